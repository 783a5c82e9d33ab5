// Settings come from flags and one file under the same names; what is wrong is named with its
// place.
//
// Method: small files and command lines, and the printed form read back.

#include "tools/bobbind/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/bobbind/client_networks.h"
#include "tools/bobbind/event_log.h"
#include "tools/bobbind/setting_table.h"

namespace bobbin::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Apply(std::string_view toml, Configuration* configuration = nullptr) {
  Configuration own;
  const Result<void> applied =
      ApplyToml(toml, "f.toml", configuration == nullptr ? own : *configuration);
  return applied ? "" : applied.error().detail;
}

tl::expected<CommandLine, ConfigurationError> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "bobbind");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Configuration, EverySettingCanBeSetInTheFile) {
  Configuration configuration;
  EXPECT_EQ(Apply("database = \"/d\"\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\ndiscard = true\n"
                  "message-bytes-max = 5_000\nin-doubt = \"hold\"\n",
                  &configuration),
            "");
  EXPECT_EQ(configuration.database, "/d");
  EXPECT_THAT(configuration.listen, ElementsAre("127.0.0.1:1", "[::1]:2"));
  EXPECT_TRUE(configuration.discard);
  EXPECT_EQ(configuration.message_bytes_max, 5'000U);
  EXPECT_EQ(configuration.in_doubt, "hold");
}

TEST(Configuration, ErrorsNameThePlaceAndWhatToDo) {
  EXPECT_EQ(Apply("\nnexthop = \"x\""),
            "f.toml:2: unknown setting 'nexthop'; did you mean 'next-hop'?");
  EXPECT_EQ(Apply("zzzzzzzz = 1"),
            "f.toml:1: unknown setting 'zzzzzzzz'; --help lists those that are known");
  EXPECT_EQ(Apply("workers = 0"), "f.toml:1: workers: 0 is out of range; choose 1 to 256");
  EXPECT_THAT(Apply("workers = \"4\""), HasSubstr("f.toml:1: workers: not a whole number"));
  EXPECT_THAT(Apply("workers = 4.5"), HasSubstr("f.toml:1: workers: not a whole number"));
  EXPECT_THAT(Apply("listen = [1]"), HasSubstr("f.toml:1: listen: not a list of strings"));
  EXPECT_THAT(Apply("in-doubt = \"drop\""), HasSubstr("'drop' is not one of resend, hold"));
  EXPECT_THAT(Apply("workers ="), HasSubstr("f.toml:1: "));
  EXPECT_THAT(Apply("[section]\nworkers = 1"), HasSubstr("unknown setting 'section'"));
}

TEST(Configuration, WhatIsPrintedReadsBack) {
  Configuration configuration;
  configuration.database = "/quotes\"and\\backslash\tand \xC3\xBC";
  configuration.command = {"/bin/p", "-d", "{recipient}"};
  configuration.discard = true;
  configuration.workers = 17;
  Configuration again;
  EXPECT_EQ(Apply(ToToml(configuration), &again), "");
  EXPECT_EQ(ToToml(again), ToToml(configuration));
  EXPECT_EQ(again.database, configuration.database);
  EXPECT_THAT(again.command, ElementsAre("/bin/p", "-d", "{recipient}"));
}

TEST(Configuration, FlagsHaveTheNamesOfTheSettings) {
  const auto line = Parse({"--database", "/d", "--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2",
                           "--workers=7", "--discard", "--command=-x", "--check-config"});
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(line->configuration.database, "/d");
  EXPECT_THAT(line->configuration.listen, ElementsAre("127.0.0.1:1", "127.0.0.1:2"));
  EXPECT_EQ(line->configuration.workers, 7U);
  EXPECT_TRUE(line->configuration.discard);
  EXPECT_THAT(line->configuration.command, ElementsAre("-x"));
  EXPECT_TRUE(line->check_config);
}

TEST(Configuration, BadCommandLinesAreUsageErrors) {
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{"--worker", "7"},
                                                    {"--workers", "x"},
                                                    {"--workers", "999"},
                                                    {"--workers"},
                                                    {"stray"},
                                                    {"-q"},
                                                    {"--in-doubt", "drop"}}) {
    const auto line = Parse(arguments);
    ASSERT_FALSE(line) << arguments[0];
    EXPECT_TRUE(line.error().in_command_line);
  }
  EXPECT_EQ(Parse({"--worker", "7"}).error().detail,
            "unknown setting 'worker'; did you mean 'workers'?");
  const auto missing = Parse({"--config", "/nonexistent/f.toml"});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().detail, HasSubstr("/nonexistent/f.toml: cannot be read"));
  EXPECT_FALSE(missing.error().in_command_line);
}

TEST(ClientNetworks, MatchAddressesAndBlocks) {
  const auto networks = ClientNetworks::Parse({"127.0.0.0/8", "192.0.2.7", "2001:db8::/33"});
  ASSERT_TRUE(networks);
  EXPECT_TRUE(networks->Contains("127.1.2.3"));
  EXPECT_TRUE(networks->Contains("::ffff:127.0.0.1"));
  EXPECT_TRUE(networks->Contains("192.0.2.7"));
  EXPECT_TRUE(networks->Contains("2001:db8:7fff::1"));
  EXPECT_FALSE(networks->Contains("192.0.2.8"));
  EXPECT_FALSE(networks->Contains("128.0.0.1"));
  EXPECT_FALSE(networks->Contains("2001:db8:8000::1"));
  EXPECT_FALSE(networks->Contains("nonsense"));
  EXPECT_TRUE(ClientNetworks::Parse({"0.0.0.0/0"})->Contains("192.0.2.1"));
  for (const char* bad : {"", "x", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "::1/129"}) {
    EXPECT_FALSE(ClientNetworks::Parse({bad})) << bad;
  }
}

TEST(EventLog, WritesOneLineWhateverAClientSends) {
  EXPECT_EQ(FormatEvent("queued", {{"from", "<a@x>"}, {"hello", "a b"}, {"none", ""}}),
            "queued from=<a@x> hello=\"a b\"");
  EXPECT_EQ(FormatEvent("e", {{"k", "x\r\n\"=\\\x7F"}}), "e k=\"x\\x0d\\x0a\\\"=\\\\\\x7f\"");
}

}  // namespace
}  // namespace bobbin::daemon
