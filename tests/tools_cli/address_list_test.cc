// Counting the addresses of a list, so that none that cannot be read is lost without a word.

#include "tools/bobbin/address_list.h"

#include <gtest/gtest.h>

namespace bobbin::cli {
namespace {

TEST(CountAddresses, CountsWhatSeparatorsSeparate) {
  EXPECT_EQ(CountAddresses(""), 0U);
  EXPECT_EQ(CountAddresses(" , ;\r\n "), 0U);
  EXPECT_EQ(CountAddresses("a@x.test"), 1U);
  EXPECT_EQ(CountAddresses("a@x.test, Bob <b@x.test>,\r\n c@x.test"), 3U);
  EXPECT_EQ(CountAddresses("a@x.test; b@x.test"), 2U);
  EXPECT_EQ(CountAddresses("bob@x.test <bob@x.test>"), 1U);
}

TEST(CountAddresses, KnowsWhatIsNoSeparator) {
  EXPECT_EQ(CountAddresses("\"A, B\" <a@x.test>, b@x.test (one, (two), three)"), 2U);
  EXPECT_EQ(CountAddresses("\"a\\\", b\"@x.test"), 1U);
  EXPECT_EQ(CountAddresses("<@r1.test,@r2.test:a@x.test>"), 1U);
  EXPECT_EQ(CountAddresses("a@[IPv6:2001:db8::1]"), 1U);
  EXPECT_EQ(CountAddresses("(only a comment)"), 0U);
}

TEST(CountAddresses, LeavesOutTheNamesOfGroups) {
  EXPECT_EQ(CountAddresses("undisclosed-recipients:;"), 0U);
  EXPECT_EQ(CountAddresses("friends: a@x.test, b@x.test;, c@x.test"), 3U);
}

TEST(CountAddresses, TakesWhatDoesNotEndForAnAddress) {
  EXPECT_EQ(CountAddresses("a@x.test, \"b@x.test"), 2U);
  EXPECT_EQ(CountAddresses("a@x.test, <b@x.test, c@x.test"), 2U);
}

TEST(CountRecipients, LooksAtToCcAndBccInAnyCaseAndFolding) {
  EXPECT_EQ(CountRecipients("From: z@x.test\r\nTO: a@x.test,\r\n\tb@x.test\r\ncc : c@x.test\r\n"
                            "Bcc:\r\n d@x.test\r\nReply-To: y@x.test\r\nTo: e@x.test\r\n\r\n"),
            5U);
  EXPECT_EQ(CountRecipients("Subject: To: a@x.test\n\n"), 0U);
  EXPECT_EQ(CountRecipients(""), 0U);
}

}  // namespace
}  // namespace bobbin::cli
