// Tables on a terminal: coloured, cut to its width, silent where NO_COLOR says so.
//
// Method: run the program on a pseudo-terminal of a given width.

#include <sstream>

#include "tests/tools_cli/cli_test.h"
#include "tools/bobbin/display_text.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class TerminalTest : public CliTest {
 protected:
  TerminalTest() {
    Init();
    queue_id_ = Submit("Subject: " + std::string(300, 's') + "\n\nHello\n");
  }

  Ended OnTerminal(std::vector<std::string> arguments, std::vector<std::string> environment) const {
    Start start = StartOf(std::move(arguments));
    start.environment.insert(start.environment.end(), environment.begin(), environment.end());
    return RunOnTerminal(start, 100);
  }

  std::string queue_id_;
};

TEST_F(TerminalTest, RowsAreCutToTheWidth) {
  const Ended run = OnTerminal({"queue", "list"}, {"TERM=xterm", "NO_COLOR=1"});
  EXPECT_EQ(run.exit_code, 0) << run.out;
  std::istringstream lines(run.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(cli::DisplayWidth(line.substr(0, line.find('\r'))), 100U) << line;
  }
  EXPECT_THAT(run.out, HasSubstr("sss…"));
  EXPECT_THAT(Bobbin({"queue", "list"}).out, HasSubstr(std::string(300, 's')))
      << "elsewhere rows are whole";
}

TEST_F(TerminalTest, ColourIsForTerminalsThatWantIt) {
  EXPECT_THAT(OnTerminal({"queue", "list"}, {"TERM=xterm"}).out, HasSubstr("\x1b["));
  EXPECT_THAT(OnTerminal({"queue", "list"}, {"TERM=xterm", "NO_COLOR=1"}).out,
              Not(HasSubstr("\x1b")));
  EXPECT_THAT(OnTerminal({"queue", "list"}, {"TERM=dumb"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Bobbin({"queue", "list"}).out, Not(HasSubstr("\x1b")));
}

TEST_F(TerminalTest, JsonIsAsciiOnATerminalAndParses) {
  Submit("Subject: \xC3\xA9\xE2\x80\xAE\n\nHello\n");
  const Ended run = OnTerminal({"queue", "list", "--json"}, {"TERM=xterm"});
  for (const char c : run.out) EXPECT_GE(c, 0);
  EXPECT_EQ(ParseLines(run.out).at(1)["subject"], "\xC3\xA9\xE2\x80\xAE");
}

TEST_F(TerminalTest, CheckShowsThatItWorks) {
  EXPECT_THAT(OnTerminal({"check"}, {"TERM=xterm"}).out,
              testing::AllOf(HasSubstr("checking pages"), HasSubstr("checking records")));
}

}  // namespace
}  // namespace bobbin::test
