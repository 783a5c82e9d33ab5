// What senders ask of reports, on its way to the next server (RFC 3461, 6533).
#include "spooler/delivery_notification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bobbin {
namespace {

using ::testing::Optional;

TEST(DeliveryNotification, WhatWasParsedIsWrittenAsItCame) {
  for (const char* const xtext : {"job+2B7", "a+20b", "+3D", "QQ314159", "~!/<>"}) {
    MessageNotification message;
    message.envelope_id = ParseEnvelopeId(xtext).value();
    EXPECT_EQ(MailParameters(message), std::string(" ENVID=") + xtext);
  }
  for (const char* const original : {"rfc822;old+2Bb@x.test", "rfc822;\"a+20b\"@x.test",
                                     "X400;c+3Dus", "utf-8;\\x{FC}@x.test"}) {
    for (const bool utf8 : {false, true}) {
      RecipientNotification recipient;
      recipient.original_recipient = ParseOriginalRecipient(original, utf8).value();
      EXPECT_EQ(RcptParameters(recipient, utf8), std::string(" ORCPT=") + original);
    }
  }
  for (const char* const words : {"NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,DELAY",
                                  "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"}) {
    RecipientNotification recipient;
    recipient.notify = ParseNotify(words);
    EXPECT_EQ(RcptParameters(recipient, false), std::string(" NOTIFY=") + words);
  }
  for (const char* const content : {"FULL", "HDRS"}) {
    MessageNotification message;
    message.content = ParseReturnContent(content);
    EXPECT_EQ(MailParameters(message), std::string(" RET=") + content);
  }
}

TEST(DeliveryNotification, AnInternationalAddressIsInAsciiWhereSmtputf8IsNotSaid) {
  RecipientNotification recipient;
  recipient.original_recipient = "utf-8;j\u00f6rg+\u20ac\U0001F600@x.test";
  EXPECT_EQ(RcptParameters(recipient, true), " ORCPT=utf-8;j\u00f6rg+2B\u20ac\U0001F600@x.test");
  EXPECT_EQ(RcptParameters(recipient, false),
            " ORCPT=utf-8;j\\x{F6}rg+2B\\x{20AC}\\x{1F600}@x.test");
}

// Properties may come from anybody, not only from a parser.
TEST(DeliveryNotification, WhatTheParametersCannotCarryIsLeftOut) {
  for (const std::string& id :
       {std::string("a\r\nRCPT TO:<v@x.test>"), std::string(101, 'x'), std::string(50, ' '),
        std::string("\u00fc"), std::string("a\0b", 3)}) {
    MessageNotification message;
    message.envelope_id = id;
    EXPECT_EQ(MailParameters(message), "") << id;
  }
  for (const std::string& original :
       {std::string("b@x.test"), std::string("rfc822;"), std::string(";b@x.test"),
        std::string("rfc822 NOTIFY=NEVER;b"), std::string("r\r\nDATA;b"),
        std::string("rfc822;\r\nDATA"), std::string("rfc822;\u00fc@x.test"),
        "rfc822;" + std::string(494, 'x'), std::string("utf-8;\xC3@x.test")}) {
    RecipientNotification recipient;
    recipient.original_recipient = original;
    EXPECT_EQ(RcptParameters(recipient, true), "") << original;
  }
}

TEST(DeliveryNotification, PropertiesSayWhatWasAskedForAndNoMore) {
  EXPECT_EQ(NotificationOf({}, {}), RecipientNotification());
  EXPECT_EQ(NotificationOf(PropertyList{}), MessageNotification());

  for (const char* const words : {"NEVER", "FAILURE", "SUCCESS,FAILURE,DELAY"}) {
    const RecipientNotification given{ParseNotify(words), "rfc822;old@x.test"};
    PropertyList row;
    SetNotification(given, row);
    const PropertyList asks{Property::Number(pr::kOriginatorDeliveryReportRequested, 1)};
    EXPECT_EQ(NotificationOf(row, asks), given) << "the row comes before the message";
  }
  for (const ReturnContent content : {ReturnContent::kFull, ReturnContent::kHeaders}) {
    const MessageNotification given{content, "job 7"};
    PropertyList message;
    SetNotification(given, message);
    EXPECT_EQ(NotificationOf(message), given);
  }

  const PropertyList asks{Property::Number(pr::kOriginatorDeliveryReportRequested, 1)};
  EXPECT_THAT(NotificationOf({}, asks).notify, Optional(NotifyRequest{true, true, false}));
  const PropertyList declines{Property::Number(pr::kOriginatorNonDeliveryReportRequested, 0)};
  EXPECT_THAT(NotificationOf({}, declines).notify, Optional(NotifyRequest{}));
}

}  // namespace
}  // namespace bobbin
