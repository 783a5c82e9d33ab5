// Command lines: an argument that is taken has nothing in it that could end a line elsewhere, and a
// refusal is a reply that fits one line.

#include <algorithm>

#include "tests/fuzz/fuzz.h"
#include "tools/bobbind/smtp_command.h"

namespace bobbin::fuzz {
namespace {

using namespace bobbin::daemon;  // NOLINT(google-build-using-namespace)

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void ExpectNoControls(std::string_view text) {
  BOBBIN_CHECK(std::none_of(text.begin(), text.end(), IsControl));
}

template <class T>
bool Taken(const Parsed<T>& parsed) {
  if (parsed) return true;
  BOBBIN_CHECK(parsed.error().code >= 500 && parsed.error().code < 560);
  const std::string line = parsed.error().Line();
  BOBBIN_CHECK(line.size() <= 512);
  ExpectNoControls(std::string_view(line).substr(0, line.size() - 2));
  return false;
}

void Run(std::string_view line) {
  const SmtpCommand command = ParseCommand(line);
  BOBBIN_CHECK(command.argument.size() <= line.size());
  for (const std::string_view argument : {command.argument, line}) {
    if (const auto mail = ParseMailArguments(argument); Taken(mail)) {
      ExpectNoControls(mail->reverse_path);
    }
    for (const bool utf8 : {false, true}) {
      const auto recipient = ParseRcptArguments(argument, utf8);
      if (Taken(recipient)) ExpectNoControls(recipient->address);
    }
    if (const auto hello = ParseHelloArgument(argument); Taken(hello)) {
      BOBBIN_CHECK(!hello->empty());
    }
    Taken(ParseAttributes(argument));
  }
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  bobbin::fuzz::Run(bobbin::fuzz::Input(data, bytes));
  return 0;
}
