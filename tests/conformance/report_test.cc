// Statements C107 to C111, C114, C115: who is told of what became of a message, and as whom it
// leaves. The real Spooler runs; its transport is scripted.
#include "engine/attachment.h"
#include "tests/conformance/conformance.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using namespace std::chrono_literals;

std::vector<Message> Inbox(const MessageStore& store) {
  std::vector<Message> messages;
  for (const ContentsRow& row : Must(store.GetContentsTable(store.Folders().inbox, 100))) {
    messages.push_back(Must(store.OpenMessage(row.entry_id, 0)));
  }
  return messages;
}

std::string ReadWhole(MessageBodyReader reader) {
  std::string bytes;
  for (;;) {
    const std::string_view piece = Must(reader.Next());
    if (piece.empty()) return bytes;
    bytes += piece;
  }
}

std::string Content(const Message& message) { return ReadWhole(Must(message.OpenContent())); }

std::string Text(const Message& message, PropertyTag tag) {
  return Must(message.GetProp(tag)).bytes;
}

RecipientRow To(std::string_view address, const PropertyList& asked = {}) {
  RecipientRow row = MakeSmtpRecipient(address, kRecipientTo);
  for (const Property& property : asked) row.properties.Set(property);
  return row;
}

Property WantsNdr(bool wanted) {
  return Property::Number(pr::kOriginatorNonDeliveryReportRequested, wanted ? 1 : 0);
}
Property WantsDr(bool wanted) {
  return Property::Number(pr::kOriginatorDeliveryReportRequested, wanted ? 1 : 0);
}

// "bad..." is refused, "slow..." deferred, everybody else is delivered to.
TransportScript ByName() {
  TransportScript script;
  script.outcome = [](const OutboundRecipient& recipient) {
    if (recipient.address.starts_with("bad")) return OutcomeKind::kFailed;
    return recipient.address.starts_with("slow") ? OutcomeKind::kRetryLater
                                                 : OutcomeKind::kDelivered;
  };
  return script;
}

// One submission and its delivery.
struct Sending {
  Database& database;
  MessageStore& store;
  const ManualClock& clock;
  TransportScript script = ByName();

  EntryId Submit(Message message, std::vector<RecipientRow> rows,
                 const std::vector<Property>& properties = {}) const {
    for (const Property& property : properties) EXPECT_TRUE(SetProp(message, property));
    Must(message.ModifyRecipients(kModifyRecipientsReplace, std::move(rows)));
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }
  void Deliver() {
    ScriptedSpooler(database, script).RunUntilIdle(clock.Now());
    EXPECT_EQ(Findings(database), "");
  }
  // Both, of a new message; the identifier.
  EntryId Send(std::vector<RecipientRow> rows, const std::vector<Property>& properties = {}) {
    const EntryId id = Submit(NewDraft(store, {}), std::move(rows), properties);
    Deliver();
    return id;
  }
};

std::vector<std::string> Addresses(const RecipientTable& rows) {
  std::vector<std::string> addresses;
  for (const RecipientRow& row : rows) addresses.emplace_back(row.EmailAddress());
  return addresses;
}

Message Original(const Message& report) {
  return Must(Must(report.OpenAttachment(0)).OpenEmbeddedMessage());
}

// "tag=number bytes" of each, but for what a store computes for the place a message has, and
// for its size, to which the report's details add.
std::vector<std::string> WithoutPlace(PropertyList properties) {
  for (const PropertyTag tag : {pr::kEntryId, pr::kParentEntryId, pr::kRecordKey, pr::kInstanceKey,
                                pr::kAccess, pr::kAccessLevel, pr::kMessageFlags, pr::kSubmitFlags,
                                pr::kStoreEntryId, pr::kStoreRecordKey, pr::kMessageSize}) {
    properties.Erase(tag);
  }
  std::vector<std::string> list;
  for (const Property& property : properties) {
    list.push_back(std::to_string(property.tag.value) + "=" + std::to_string(property.number) +
                   " " + property.bytes);
  }
  return list;
}

// C107: No NDR for a recipient with NON_DELIVERY_REPORT_REQUESTED explicitly FALSE; absent means
// NDR. The row decides, then the message.
TEST_F(Conformance, C107_ANonDeliveryReportUnlessItIsExplicitlyNotWanted) {
  Sending sending{Db(), Store(), Clock()};
  sending.Send({To("bad1@x.test"), To("bad2@x.test", {WantsNdr(false)}),
                To("bad3@x.test", {WantsNdr(true)})});
  ASSERT_THAT(Inbox(Store()), SizeIs(1));
  std::string content = Content(Inbox(Store())[0]);
  EXPECT_THAT(content, AllOf(HasSubstr("Final-Recipient: rfc822; bad1@x.test"),
                             HasSubstr("Final-Recipient: rfc822; bad3@x.test"),
                             Not(HasSubstr("Final-Recipient: rfc822; bad2@x.test"))));

  sending.Send({To("bad4@x.test")}, {WantsNdr(false)});
  EXPECT_THAT(Inbox(Store()), SizeIs(1)) << "the message says no";
  sending.Send({To("bad5@x.test", {WantsNdr(true)}), To("bad6@x.test")}, {WantsNdr(false)});
  ASSERT_THAT(Inbox(Store()), SizeIs(2));
  content = Content(Inbox(Store())[1]);
  EXPECT_THAT(content, AllOf(HasSubstr("; bad5@x.test"), Not(HasSubstr("; bad6@x.test"))));

  // Never on a report, nor to the null reverse-path.
  sending.Send({To("bad7@x.test")}, {Property::Bytes(pr::kMessageClass, "Report.IPM.Note.DR")});
  sending.Send({To("bad8@x.test")}, {Property::Bytes(pr::kSenderEmailAddress, "")});
  EXPECT_THAT(Inbox(Store()), SizeIs(2));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
}

// C108: No DR unless requested; a DR does not contain the original; an NDR does. Each recipient's
// details: of a DR in its own recipient table, of an NDR in that of the original.
TEST_F(Conformance, C108_ADeliveryReportOnRequestOnlyAndWithoutTheOriginal) {
  Sending sending{Db(), Store(), Clock()};
  sending.Send({To("a@x.test")});
  sending.Send({To("a@x.test", {WantsDr(false)})}, {WantsDr(true)});
  EXPECT_THAT(Inbox(Store()), IsEmpty());

  sending.Send({To("a@x.test"), To("b@x.test", {WantsDr(true)}), To("c@x.test", {WantsDr(true)}),
                To("bad@x.test", {WantsDr(true)})});
  const std::vector<Message> inbox = Inbox(Store());
  ASSERT_THAT(inbox, SizeIs(2)) << "one of each, whatever the number of recipients";
  const Message& ndr = inbox[0];
  const Message& dr = inbox[1];
  EXPECT_EQ(Text(ndr, pr::kMessageClass), "REPORT.IPM.Note.NDR");
  EXPECT_EQ(Text(dr, pr::kMessageClass), "REPORT.IPM.Note.DR");

  EXPECT_THAT(Must(dr.GetAttachmentTable()), IsEmpty());
  EXPECT_THAT(Content(dr), AllOf(HasSubstr("Action: delivered"), HasSubstr("text/rfc822-headers"),
                                 Not(HasSubstr("A body."))));
  const RecipientTable delivered = Must(dr.GetRecipientTable());
  EXPECT_THAT(Addresses(delivered), ElementsAre("b@x.test", "c@x.test"));
  for (const RecipientRow& row : delivered) {
    EXPECT_EQ(row.properties.NumberOr(pr::kDeliverTime, 0), ToFileTime(Clock().Now()));
    EXPECT_EQ(row.properties.NumberOr(pr::kReportTime, 0), ToFileTime(Clock().Now()));
    EXPECT_THAT(std::string(row.properties.BytesOr(pr::kReportText, {})), HasSubstr("delivered"));
    EXPECT_EQ(row.properties.Find(pr::kNonDeliveryReportReasonCode), nullptr);
  }

  EXPECT_THAT(Content(ndr), AllOf(HasSubstr("message/rfc822"), HasSubstr("A body.")));
  ASSERT_THAT(Must(ndr.GetAttachmentTable()), SizeIs(1));
  EXPECT_EQ(Must(Must(ndr.OpenAttachment(0)).GetProp(pr::kAttachMethod)).number,
            kAttachEmbeddedMessage);
  const RecipientTable failed = Must(Original(ndr).GetRecipientTable());
  EXPECT_THAT(Addresses(failed), ElementsAre("a@x.test", "b@x.test", "c@x.test", "bad@x.test"));
  const PropertyList& details = failed[3].properties;
  EXPECT_EQ(details.NumberOr(pr::kNonDeliveryReportReasonCode, -9), 1);
  EXPECT_EQ(details.NumberOr(pr::kNonDeliveryReportDiagnosticCode, -9), -1);
  EXPECT_EQ(details.NumberOr(pr::kNonDeliveryReportStatusCode, -9), 500);
  EXPECT_EQ(details.NumberOr(pr::kReportTime, 0), ToFileTime(Clock().Now()));
  EXPECT_THAT(std::string(details.BytesOr(pr::kReportText, {})), HasSubstr("not delivered"));
  EXPECT_THAT(std::string(details.BytesOr(pr::kSupplementaryInfo, {})), HasSubstr("as told"));
  EXPECT_EQ(failed[0].properties.Find(pr::kReportTime), nullptr) << "it did not fail";
}

// C109: The NDR's attached original equals the message at submit time: properties, recipients,
// attachments, streams and content, after several attempts that changed its rows.
TEST_F(Conformance, C109_TheAttachedOriginalIsTheMessageAsItWasSubmitted) {
  Sending sending{Db(), Store(), Clock()};
  Message message = NewDraft(Store(), {});
  const auto body = [&](std::string_view bytes) {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(bytes));
    return Must(writer.Finish());
  };
  Attachment attachment = Must(message.CreateAttachment());
  Must(attachment.SetStream(pr::kAttachDataBinary, body(std::string(300'000, 'a'))));
  Must(attachment.SaveChanges());
  Must(message.SetStream(pr::kBody, body(std::string(100'000, 'b'))));
  Must(message.SetContent(body("Subject: x\r\n\r\n" + std::string(10'000, 'c') + "\r\n")));
  const EntryId id = sending.Submit(
      std::move(message), {To("slow@x.test"), To("bad@x.test"), To("good@x.test")},
      {Property::Number(pr::kDeleteAfterSubmit, 1), Property::Number(pr::kPriority, 1)});
  const Message submitted = Must(Db().OpenMessageForOperator(IdOf(id)));
  const PropertyList properties = Must(submitted.GetProps());
  const RecipientTable recipients = Must(submitted.GetRecipientTable());

  sending.Deliver();
  ASSERT_THAT(Inbox(Store()), SizeIs(1));
  for (int attempt = 0; attempt < 200 && IsQueued(id); ++attempt) {
    Clock().Advance(1h);
    sending.Deliver();
  }
  ASSERT_FALSE(IsStored(Db(), id)) << "expired, and deleted after it";
  const std::vector<Message> inbox = Inbox(Store());
  ASSERT_THAT(inbox, SizeIs(2)) << "the refused recipient at once, the slow one in the end";
  for (std::size_t i = 0; i < inbox.size(); ++i) {
    const Message original = Original(inbox[i]);
    EXPECT_EQ(WithoutPlace(Must(original.GetProps())), WithoutPlace(properties));
    const RecipientTable rows = Must(original.GetRecipientTable());
    ASSERT_THAT(rows, SizeIs(3));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      EXPECT_EQ(rows[r].id, recipients[r].id);
      EXPECT_FALSE(rows[r].delivery.responsibility);
      EXPECT_EQ(rows[r].delivery.state, RecipientState::kPending);
      EXPECT_EQ(rows[r].delivery.attempts, 0U);
      const bool reported = r == (i == 0 ? 1 : 0);
      EXPECT_EQ(rows[r].properties == recipients[r].properties, !reported) << r;
    }
    EXPECT_EQ(Must(original.GetProp(pr::kMessageFlags)).number & kMsgFlagSubmit, 0);
    EXPECT_EQ(ReadWhole(Must(original.OpenStream(pr::kBody))), std::string(100'000, 'b'));
    EXPECT_THAT(Content(original), HasSubstr(std::string(10'000, 'c')));
    EXPECT_EQ(ReadWhole(Must(Must(original.OpenAttachment(0)).OpenStream(pr::kAttachDataBinary))),
              std::string(300'000, 'a'));
  }
  const RecipientTable expired = Must(Original(inbox[1]).GetRecipientTable());
  EXPECT_EQ(expired[0].properties.NumberOr(pr::kNonDeliveryReportDiagnosticCode, -9), 5)
      << "maximum time expired";
}

// C110: Report class of an IPM.Note NDR is REPORT.IPM.Note.NDR. The class of the original is in the
// middle, whatever it is.
TEST_F(Conformance, C110_TheReportClassIsMadeOfTheOriginals) {
  Sending sending{Db(), Store(), Clock()};
  const EntryId id = sending.Send(
      {To("bad@x.test"), To("a@x.test")},
      {Property::Bytes(pr::kMessageClass, "IPM.Note.Custom"), WantsDr(true),
       Property::Bytes(pr::kSubject, "RE: budget"), Property::Number(pr::kPriority, -1),
       Property::Bytes(pr::kConversationIndex, std::string(22, '\1'))});
  const PropertyList original = StoredProps(Db(), id);
  const std::vector<Message> inbox = Inbox(Store());
  ASSERT_THAT(inbox, SizeIs(2));
  EXPECT_EQ(Text(inbox[0], pr::kMessageClass), "REPORT.IPM.Note.Custom.NDR");
  EXPECT_EQ(Text(inbox[1], pr::kMessageClass), "REPORT.IPM.Note.Custom.DR");
  for (const Message& report : inbox) {
    EXPECT_EQ(Text(report, pr::kOriginalMessageClass), "IPM.Note.Custom");
    EXPECT_EQ(Text(report, pr::kOriginalSubject), "RE: budget");
    EXPECT_EQ(Text(report, pr::kConversationTopic), "budget");
    EXPECT_EQ(Text(report, pr::kConversationIndex), std::string(22, '\1'));
    EXPECT_EQ(Text(report, pr::kOriginalDisplayTo), "bad@x.test; a@x.test");
    EXPECT_EQ(Text(report, pr::kOriginalDisplayCc), "");
    EXPECT_EQ(Text(report, pr::kOriginalDisplayBcc), "");
    EXPECT_EQ(Text(report, pr::kOriginalEntryId), id.ToBytes());
    EXPECT_EQ(Text(report, pr::kOriginalSearchKey), original.BytesOr(pr::kSearchKey, "none"));
    EXPECT_NE(Text(report, pr::kSearchKey), Text(report, pr::kOriginalSearchKey));
    EXPECT_EQ(Must(report.GetProp(pr::kOriginalSubmitTime)).number,
              original.NumberOr(pr::kClientSubmitTime, 0));
    EXPECT_EQ(Must(report.GetProp(pr::kReportTime)).number, ToFileTime(Clock().Now()));
    EXPECT_EQ(Must(report.GetProp(pr::kMessageDeliveryTime)).number, ToFileTime(Clock().Now()));
    EXPECT_EQ(Must(report.GetProp(pr::kPriority)).number, -1);
    EXPECT_THAT(Text(report, pr::kReportText), HasSubstr("mail system at mail.a.test"));
    EXPECT_EQ(Text(report, pr::kSenderName), "Mail Delivery System");
    EXPECT_EQ(Must(report.GetProp(pr::kMessageFlags)).number & ~std::int64_t{kMsgFlagHasAttach},
              kMsgFlagUnmodified)
        << "unread";
  }
}

// C111: Reports go to PR_REPORT_ENTRYID if set, else to the sender; PR_REPORT_TAG is copied. A
// destination with a store here has it in its Inbox, another gets Internet mail.
TEST_F(Conformance, C111_ReportsGoToTheReportAddressElseToTheSender) {
  Sending sending{Db(), Store(), Clock()};
  const MessageStore clerk = Must(Db().CreateMessageStore("clerk@a.test"));
  const std::string tag("opaque\0tag", 10);
  sending.Send({To("bad@x.test")}, {Property::Bytes(pr::kReportTag, tag)});
  ASSERT_THAT(Inbox(Store()), SizeIs(1));
  EXPECT_EQ(Text(Inbox(Store())[0], pr::kReportTag), tag);

  // A one-off entry identifier: "C" SMTP clerk@a.test in UTF-16LE.
  std::string entry_id(
      "\0\0\0\0\x81\x2B\x1F\xA4\xBE\xA3\x10\x19\x9D\x6E\x00\xDD\x01\x0F\x54\x02\0\0\0\x80", 24);
  for (const char c : std::string("C\0SMTP\0clerk@a.test\0", 20)) entry_id += {c, '\0'};
  sending.Send({To("bad@x.test"), To("a@x.test")},
               {Property::Bytes(pr::kReportEntryId, entry_id), WantsDr(true)});
  EXPECT_THAT(Inbox(clerk), SizeIs(2));
  sending.Send({To("bad@x.test")},
               {Property::Bytes(pr::kReportEntryId, "of an address book"),
                Property::Bytes(pr::kReportSearchKey, MakeSearchKey("SMTP", "clerk@a.test"))});
  EXPECT_THAT(Inbox(clerk), SizeIs(3));
  sending.Send({To("bad@x.test")}, {Property::Bytes(pr::kReportName, "clerk@a.test")});
  EXPECT_THAT(Inbox(clerk), SizeIs(4));
  sending.Send({To("bad@x.test")}, {Property::Bytes(pr::kReportEntryId, "nobody can read this")});
  EXPECT_THAT(Inbox(Store()), SizeIs(2)) << "the sender, then";

  std::string sent;
  sending.script.during = [&](OutboundMessage& message) {
    if (message.Recipients()[0].address != "far@y.test") return;
    EXPECT_EQ(message.ReversePath(), "");
    for (;;) {
      const std::string_view piece = Must(message.Content().Next());
      if (piece.empty()) break;
      sent += piece;
    }
  };
  sending.Send({To("bad@x.test")}, {Property::Bytes(pr::kReportName, "far@y.test")});
  EXPECT_THAT(sent, AllOf(HasSubstr("To: <far@y.test>"), HasSubstr("multipart/report"),
                          HasSubstr("Diagnostic-Code: smtp; 250 as told")));
  EXPECT_THAT(Inbox(Store()), SizeIs(2));

  // A store whose name is no address has an Inbox all the same.
  MessageStore archive = Must(Db().CreateMessageStore("archive"));
  Sending{Db(), archive, Clock()}.Send({To("bad@x.test")});
  EXPECT_THAT(Inbox(archive), SizeIs(1));
}

// C114: PR_SENT_REPRESENTING_* unset by the client is present on the outbound copy, absent on the
// local message; set by the client it is left alone.
TEST_F(Conformance, C114_TheOutboundCopyAloneSaysWhomTheSenderRepresents) {
  Sending sending{Db(), Store(), Clock()};
  std::string sent;
  sending.script.during = [&](OutboundMessage& message) {
    sent.clear();
    for (;;) {
      const std::string_view piece = Must(message.Content().Next());
      if (piece.empty()) break;
      sent += piece;
    }
  };
  EntryId id = sending.Send({To("a@x.test")});
  EXPECT_THAT(sent, HasSubstr("From: alice@a.test\r\n"));
  const PropertyList local = StoredProps(Db(), id);
  EXPECT_EQ(local.Find(pr::kSentRepresentingName), nullptr);
  EXPECT_EQ(local.Find(pr::kSentRepresentingEmailAddress), nullptr);
  EXPECT_EQ(local.BytesOr(pr::kSenderEmailAddress, {}), "alice@a.test");
  EXPECT_EQ(local.BytesOr(pr::kSenderName, {}), "alice@a.test");

  id = sending.Send({To("a@x.test")},
                    {Property::Bytes(pr::kSentRepresentingName, "The Boss"),
                     Property::Bytes(pr::kSentRepresentingEmailAddress, "boss@a.test")});
  EXPECT_THAT(sent, AllOf(HasSubstr("From: The Boss <boss@a.test>\r\n"),
                          HasSubstr("Sender: alice@a.test\r\n")));
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSentRepresentingName, {}), "The Boss");
}

// C115: With no identity available PR_SENDER_NAME becomes "Unknown"; a name the client gave stays.
TEST_F(Conformance, C115_WithoutAnIdentityTheSenderIsUnknown) {
  MessageStore archive = Must(Db().CreateMessageStore("archive"));
  Sending sending{Db(), archive, Clock()};
  std::string sent;
  sending.script.during = [&](OutboundMessage& message) {
    EXPECT_EQ(message.ReversePath(), "");
    sent = Must(message.Content().Next());
  };
  EntryId id = sending.Send({To("a@x.test")});
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSenderName, {}), "Unknown");
  EXPECT_EQ(StoredProps(Db(), id).Find(pr::kSentRepresentingName), nullptr);
  EXPECT_THAT(sent, HasSubstr("From: Unknown <MAILER-DAEMON@mail.a.test>\r\n"));
  id = sending.Send({To("a@x.test")}, {Property::Bytes(pr::kSenderName, "Archive")});
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSenderName, {}), "Archive");
}

}  // namespace
}  // namespace bobbin
