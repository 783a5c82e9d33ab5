// CheckAddress: what may reach a protocol or a library as an envelope address.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spooler/internet_message.h"

namespace bobbin {
namespace {

using ::testing::HasSubstr;

std::string Verdict(std::string_view address, bool local_names = false) {
  const auto result = CheckAddress(address, local_names);
  if (result) return "good";
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidParameter);
  return result.error().detail;
}

TEST(CheckAddress, TakesWhatRfc5321And6531Allow) {
  for (const std::string& address :
       {std::string("a@x.test"), std::string("a.b+c-d_e=f/g@x.test"), std::string("a@[192.0.2.1]"),
        std::string("a@[IPv6:2001:db8::1]"), std::string("\"two words\"@x.test"),
        std::string("\"a@b\\\"c>\"@x.test"), std::string("j\u00f6rg@m\u00fcller.test"),
        std::string("a@host"), std::string("a@under_score.test"), std::string(64, 'l') + "@x.test",
        "a@" + std::string(252, 'd'), std::string("..odd..@x.test")}) {
    EXPECT_EQ(Verdict(address), "good") << address;
  }
}

TEST(CheckAddress, RefusesWhatCouldBeReadAsACommandOrAnotherAddress) {
  for (const std::string& address :
       {std::string("a@x.test\r\nRCPT TO:<v@x.test>"), std::string("a\n@x.test"),
        std::string("a\0@x.test", 9), std::string("a\x7F@x.test"), std::string("a\tb@x.test"),
        std::string("\"a\rb\"@x.test")}) {
    EXPECT_THAT(Verdict(address), HasSubstr("control character")) << address;
  }
  for (const std::string& address :
       {std::string("<a@x.test>"), std::string("a b@x.test"), std::string("a>@x.test"),
        std::string("a@x.test>"), std::string("a@x.test SIZE=1"), std::string("a@b@x.test"),
        std::string("@relay.test:a@x.test"), std::string("\"a\"b@x.test"),
        std::string("\"a@x.test"), std::string("\"a\\\"@x.test"), std::string("a\"b\"@x.test"),
        std::string("a@"), std::string("a@.x.test"), std::string("a@x..test"),
        std::string("a@x.test."), std::string("a@[]"), std::string("a@[1.2.3.4"),
        std::string("a@x,y.test"), std::string("")}) {
    EXPECT_NE(Verdict(address), "good") << address;
  }
}

TEST(CheckAddress, KeepsTheLimitsOfRfc5321) {
  EXPECT_THAT(Verdict(std::string(65, 'l') + "@x.test"), HasSubstr("64"));
  EXPECT_THAT(Verdict("a@" + std::string(253, 'd')), HasSubstr("254"));
}

TEST(CheckAddress, TakesLocalNamesOnlyWhereTheyAreAllowed) {
  EXPECT_EQ(Verdict("root", true), "good");
  EXPECT_EQ(Verdict("\"two words\"", true), "good");
  EXPECT_THAT(Verdict("root"), HasSubstr("no domain"));
}

}  // namespace
}  // namespace bobbin
