// Statements C97 and C99 to C103: preprocessors and outbound message hooks around the transmission.
//
// The real Spooler runs; its transport is scripted and registers preprocessors at logon, as real
// ones do. Preprocessors and hooks write into one log, in the order they are called.
#include <new>

#include "engine/attachment.h"
#include "tests/conformance/conformance.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Log = std::vector<std::string>;

class LoggingPreprocessor final : public Preprocessor {
 public:
  using Work = std::function<Result<void>(Message&, PreprocessContext&)>;
  LoggingPreprocessor(Log& log, std::string name, Work work = {})
      : log_(log), name_(std::move(name)), work_(std::move(work)) {}
  std::string_view Name() const override { return name_; }
  Result<void> PreprocessMessage(Message& message, PreprocessContext& context) override {
    log_.push_back("do " + name_);
    const std::string before(Must(message.GetProp(pr::kSubject)).bytes);
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, before + "+" + name_)));
    return work_ ? work_(message, context) : Result<void>();
  }
  Result<void> RemovePreprocessInfo(Message& message) override {
    log_.push_back("undo " + name_);
    std::string subject(Must(message.GetProp(pr::kSubject)).bytes);
    if (const auto at = subject.find("+" + name_); at != std::string::npos) {
      subject.erase(at, name_.size() + 1);
    }
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, subject)));
    return {};
  }

 private:
  Log& log_;
  std::string name_;
  Work work_;
};

class LoggingHook final : public OutboundMessageHook {
 public:
  LoggingHook(Log& log, std::string name, std::function<void(HookDecision&)> decide = {})
      : log_(log), name_(std::move(name)), decide_(std::move(decide)) {}
  std::string_view Name() const override { return name_; }
  Result<void> OutboundMessage(Message& message, HookDecision& decision) override {
    log_.push_back("hook " + name_ + " sees " + Must(message.GetProp(pr::kSubject)).bytes);
    if (decide_) decide_(decision);
    return {};
  }

 private:
  Log& log_;
  std::string name_;
  std::function<void(HookDecision&)> decide_;
};

class Preprocessing : public Conformance {
 protected:
  // Registers them at logon, in their order, for everybody.
  void Register(TransportScript& script, std::vector<std::string> names,
                LoggingPreprocessor::Work work = {}) {
    script.on_logon = [this, names = std::move(names),
                       work = std::move(work)](TransportSupport& support) {
      for (const std::string& name : names) {
        support.RegisterPreprocessor({}, std::make_unique<LoggingPreprocessor>(log_, name, work));
      }
    };
    script.during = [this](OutboundMessage& message) {
      log_.push_back("send " + SubjectOf(message.Id()));
    };
  }
  std::string SubjectOf(const EntryId& id) {
    return std::string(StoredProps(Db(), id).BytesOr(pr::kSubject, {}));
  }
  std::int64_t SubmitFlagsOf(const EntryId& id) {
    return StoredProps(Db(), id).NumberOr(pr::kSubmitFlags, -1);
  }
  std::shared_ptr<LoggingHook> Hook(const std::string& name,
                                    std::function<void(HookDecision&)> decide = {}) {
    return std::make_shared<LoggingHook>(log_, name, std::move(decide));
  }

  Log log_;
};

// C97: Outbound hooks run after RemovePreprocessInfo and before the move; HOOK_CANCEL stops later
// hooks; HOOK_DELETE deletes; a replaced folder is used.
TEST_F(Preprocessing, C097_HooksRunBetweenTheCleanUpAndTheMove) {
  TransportScript script;
  Register(script, {"sign"});
  const FolderId replaced = Must(Store().CreateFolder(Store().Folders().root, "Replaced"));
  SpoolerOptions options = ScriptedSpooler::Options();
  options.outbound_hooks = {
      Hook("1",
           [&](HookDecision& decision) {
             EXPECT_EQ(decision.folder, Store().Folders().sent_items);
             decision.folder = Store().Folders().deleted_items;
           }),
      Hook("2",
           [&](HookDecision& decision) {
             EXPECT_EQ(decision.folder, Store().Folders().deleted_items)
                 << "its predecessor's value";
             decision.folder = replaced;
             decision.cancel = true;
           }),
      Hook("3", [](HookDecision& decision) { decision.delete_message = true; })};
  ScriptedSpooler spooler(Db(), script, options);
  Message message = NewDraft(Store(), {"b@x.test"}, "mail");
  ASSERT_TRUE(SetProp(
      message, Property::Bytes(pr::kSentMailEntryId,
                               Store().EntryIdOf(Store().Folders().sent_items.value).ToBytes())));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(log_, ElementsAre("do sign", "send mail+sign", "undo sign", "hook 1 sees mail",
                                "hook 2 sees mail"));
  EXPECT_EQ(FolderOf(id), replaced);

  options.outbound_hooks = {
      Hook("4", [](HookDecision& decision) { decision.delete_message = true; })};
  spooler.LogOff();
  ScriptedSpooler deleting(Db(), script, options);
  const EntryId deleted = SubmitNew(Store());
  deleting.RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsStored(Db(), deleted));
  EXPECT_EQ(Findings(Db()), "");
}

// C99: With a matching preprocessor the queue row has SUBMITFLAG_PREPROCESS after SubmitMessage,
// and no transport sees the message before it is cleared.
TEST_F(Preprocessing, C099_NoTransportSeesAMessageThatAwaitsPreprocessing) {
  TransportScript script;
  Register(script, {"sign"});
  ScriptedSpooler spooler(Db(), script);
  const EntryId id = SubmitNew(Store());
  EXPECT_EQ(SubmitFlagsOf(id), kSubmitFlagPreprocess);
  script.during = [&](OutboundMessage&) {
    EXPECT_EQ(SubmitFlagsOf(id) & kSubmitFlagPreprocess, 0);
    EXPECT_TRUE(StoredProps(Db(), id).FlagOr(pr::kPreprocess, false));
  };
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(script.offers, SizeIs(1));
  EXPECT_FALSE(StoredProps(Db(), id).FlagOr(pr::kPreprocess, false));
}

// C99, where nobody had published the preprocessor when the message was submitted: the spooler that
// has it runs it all the same.
TEST_F(Preprocessing, C099_APreprocessorThatCameLaterRunsToo) {
  const EntryId id = SubmitNew(Store(), {"b@x.test"}, "mail");
  EXPECT_EQ(SubmitFlagsOf(id), 0);
  TransportScript script;
  Register(script, {"sign"});
  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  EXPECT_THAT(log_, ElementsAre("do sign", "send mail+sign", "undo sign"));
  EXPECT_EQ(SubjectOf(id), "mail");
}

// C100: Preprocessors run in registration order, RemovePreprocessInfo in reverse. Also when the
// message is sent in several attempts: they run once.
TEST_F(Preprocessing, C100_InTheOrderOfRegistrationAndBackInReverse) {
  TransportScript script;
  Register(script, {"a", "b", "c"});
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kRetryLater; };
  ScriptedSpooler spooler(Db(), script);
  const EntryId id = SubmitNew(Store(), {"b@x.test"}, "mail");
  const StepResult idle = spooler.RunUntilIdle(Clock().Now());
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  ASSERT_TRUE(idle.next_due);
  spooler.RunUntilIdle(*idle.next_due);
  EXPECT_THAT(log_, ElementsAre("do a", "do b", "do c", "send mail+a+b+c", "send mail+a+b+c",
                                "undo c", "undo b", "undo a"));
  EXPECT_EQ(SubjectOf(id), "mail");
}

// C100, across a crash in the middle: what was begun is undone first, then all is done again.
TEST_F(Preprocessing, C100_ACrashInTheMiddleIsUndoneAndRepeated) {
  TransportScript script;
  Register(script, {"a", "b"});
  std::optional<ScriptedSpooler> spooler;
  spooler.emplace(Db(), script);
  const EntryId id = SubmitNew(Store(), {"b@x.test"}, "mail");
  {
    // As a spooler that dies after the first preprocessor has saved.
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Must(Lock(session, id));
    EXPECT_EQ(Must(session.BeginPreprocessing(id)), 1U);
    Message message = Must(session.OpenMessage(id));
    ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "mail+a")));
    Must(message.SaveChanges());
  }
  spooler.reset();
  database_.Reopen();
  EXPECT_EQ(SubmitFlagsOf(id), kSubmitFlagPreprocess);
  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  EXPECT_THAT(log_,
              ElementsAre("undo b", "undo a", "do a", "do b", "send mail+a+b", "undo b", "undo a"));
  EXPECT_EQ(SubjectOf(id), "mail");
}

// C101: RegisterPreprocessor with UID and type NULL applies to every message its transport handles;
// with both, to recipients matching either.
TEST_F(Preprocessing, C101_WhomAPreprocessorIsFor) {
  const std::string uid = "0123456789abcdef";
  TransportScript fax;
  fax.address_types = {"FAX"};
  fax.on_logon = [this](TransportSupport& support) {
    support.RegisterPreprocessor({}, std::make_unique<LoggingPreprocessor>(log_, "all-fax"));
  };
  TransportScript smtp;
  smtp.address_types = {"SMTP", "X400"};
  smtp.on_logon = [&](TransportSupport& support) {
    support.RegisterPreprocessor({uid, "X400"},
                                 std::make_unique<LoggingPreprocessor>(log_, "either"));
    support.RegisterPreprocessor({uid, ""}, std::make_unique<LoggingPreprocessor>(log_, "uid"));
    support.RegisterPreprocessor({"", "X400"}, std::make_unique<LoggingPreprocessor>(log_, "type"));
  };
  ScriptedSpooler spooler(Db(), {&fax, &smtp});
  const auto run_for = [&](const std::string& type, bool with_uid) {
    log_.clear();
    RecipientRow row = MakeSmtpRecipient("b@x.test", kRecipientTo);
    row.properties.Set(Property::Bytes(pr::kAddressType, type));
    if (with_uid) {
      row.properties.Set(Property::Bytes(pr::kEntryId, std::string(4, '\0') + uid + "rest"));
    }
    Message message = NewDraft(Store(), {});
    Must(message.ModifyRecipients(kModifyRecipientsAdd, {row}));
    Must(message.SubmitMessage());
    spooler.RunUntilIdle(Clock().Now());
    Log done;
    for (const std::string& line : log_) {
      if (line.rfind("do ", 0) == 0) done.push_back(line.substr(3));
    }
    return done;
  };
  EXPECT_THAT(run_for("FAX", false), ElementsAre("all-fax"));
  EXPECT_THAT(run_for("SMTP", false), IsEmpty());
  EXPECT_THAT(run_for("SMTP", true), ElementsAre("either", "uid"));
  EXPECT_THAT(run_for("X400", false), ElementsAre("either", "type"));
  EXPECT_THAT(run_for("X400", true), ElementsAre("either", "uid", "type"));
}

// C102: The spooler's SubmitMessage clears PREPROCESS and keeps PR_CLIENT_SUBMIT_TIME and queue
// position.
TEST_F(Preprocessing, C102_TheSecondSubmitKeepsTimeAndPlace) {
  TransportScript script;
  Register(script, {"sign"});
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kRetryLater; };
  ScriptedSpooler spooler(Db(), script);
  const EntryId first = SubmitNew(Store());
  const EntryId second = SubmitNew(Store());
  const std::int64_t submitted = StoredProps(Db(), first).NumberOr(pr::kClientSubmitTime, 0);
  Clock().Advance(std::chrono::minutes(5));
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_EQ(SubmitFlagsOf(first), 0);
  EXPECT_EQ(StoredProps(Db(), first).NumberOr(pr::kClientSubmitTime, -1), submitted);
  EXPECT_THAT(QueueOrder(Db()), ElementsAre(IdOf(first), IdOf(second)));
}

// C103: A preprocessor that empties the recipient list and sets PR_DELETE_AFTER_SUBMIT prevents
// sending; the message ends deleted, no NDR.
TEST_F(Preprocessing, C103_APreprocessorMayStopAMessage) {
  TransportScript script;
  Register(script, {"stop"}, [](Message& message, PreprocessContext&) -> Result<void> {
    EXPECT_TRUE(SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1)));
    return message.ModifyRecipients(kModifyRecipientsReplace, {});
  });
  ScriptedSpooler spooler(Db(), script);
  const EntryId id = SubmitNew(Store());
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(script.offers, IsEmpty());
  EXPECT_FALSE(IsStored(Db(), id));
  EXPECT_THAT(Must(Store().GetContentsTable(Store().Folders().inbox, 10)), IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

// Specification 4.13: by-products are submitted by the spooler; recipients a preprocessor knows to
// be undeliverable are reported and offered to nobody.
TEST_F(Preprocessing, ByProductsAreSubmittedAndUndeliverableRecipientsReported) {
  TransportScript script;
  Register(script, {"split"}, [](Message& message, PreprocessContext& context) -> Result<void> {
    if (Must(message.GetProp(pr::kSubject)).bytes != "mail+split") return {};
    Message product = Must(context.CreateMessage());
    EXPECT_TRUE(SetProp(product, Property::Bytes(pr::kSubject, "product")));
    Must(product.ModifyRecipients(kModifyRecipientsAdd,
                                  {MakeSmtpRecipient("product@x.test", kRecipientTo)}));
    context.Submit(std::move(product));
    for (const RecipientRow& row : Must(message.GetRecipientTable())) {
      if (row.EmailAddress() == "bad@x.test") {
        context.SetUndeliverable(row.id, {0, "5.7.1", "refused by policy"});
      }
    }
    return {};
  });
  ScriptedSpooler spooler(Db(), script);
  SubmitNew(Store(), {"good@x.test", "bad@x.test"}, "mail");
  spooler.RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(2));
  EXPECT_THAT(script.offers[0].addresses, ElementsAre("good@x.test"));
  EXPECT_THAT(script.offers[1].addresses, ElementsAre("product@x.test"));
  const auto inbox = Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  ASSERT_THAT(inbox, SizeIs(1));
  const Message report = Must(Store().OpenMessage(inbox[0].entry_id, 0));
  MessageBodyReader content = Must(report.OpenContent());
  const std::string text(Must(content.Next()));
  EXPECT_THAT(text, testing::HasSubstr("refused by policy"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("+split"))) << "the original as it was";
  const Message original = Must(Must(report.OpenAttachment(0)).OpenEmbeddedMessage());
  EXPECT_EQ(Must(original.GetProp(pr::kSubject)).bytes, "mail");
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
}

// Specification 7, item 6: a preprocessor that fails is tried again, the wait doubling; at last
// everybody is reported and the message ends.
TEST_F(Preprocessing, AFailingPreprocessorIsRetriedAndThenReported) {
  bool fails = true;
  TransportScript script;
  Register(script, {"sign"}, [&](Message&, PreprocessContext&) -> Result<void> {
    if (fails) return Fail(ErrorCode::kNotFound, "the key is not there");
    return {};
  });
  SpoolerOptions options = ScriptedSpooler::Options();
  options.preprocess_attempts_max = 3;
  options.retry.first = std::chrono::seconds(60);
  options.retry.jitter = 0;
  ScriptedSpooler spooler(Db(), script, options);
  const EntryId recovers = SubmitNew(Store(), {"b@x.test"}, "recovers");
  const Time start = Clock().Now();
  EXPECT_EQ(spooler.RunUntilIdle(start).next_due, start + std::chrono::seconds(60));
  EXPECT_EQ(SubmitFlagsOf(recovers), kSubmitFlagPreprocess);
  EXPECT_THAT(script.offers, IsEmpty());
  fails = false;
  spooler.RunUntilIdle(start + std::chrono::seconds(60));
  EXPECT_FALSE(IsQueued(recovers));
  EXPECT_THAT(script.offers, SizeIs(1));

  fails = true;
  const EntryId never = SubmitNew(Store(), {"b@x.test"}, "never");
  Time now = start + std::chrono::hours(1);
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_TRUE(IsQueued(never));
    now = spooler.RunUntilIdle(now).next_due.value_or(now);
  }
  EXPECT_FALSE(IsQueued(never));
  EXPECT_THAT(script.offers, SizeIs(1));
  const auto inbox = Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  ASSERT_THAT(inbox, SizeIs(1));
  MessageBodyReader content = Must(Must(Store().OpenMessage(inbox[0].entry_id, 0)).OpenContent());
  EXPECT_THAT(std::string(Must(content.Next())), testing::HasSubstr("the key is not there"));
  EXPECT_EQ(Findings(Db()), "");
}

// What a preprocessor has decided is durable before the message can be sent, whatever becomes of
// the attempt: here the transport cannot be reached.
TEST_F(Preprocessing, AnUndeliverableRecipientIsReportedThoughTheOthersWait) {
  TransportScript script;
  Register(script, {"check"}, [](Message& message, PreprocessContext& context) -> Result<void> {
    for (const RecipientRow& row : Must(message.GetRecipientTable())) {
      if (row.EmailAddress() == "bad@x.test") {
        context.SetUndeliverable(row.id, {0, "5.7.1", "refused by policy"});
      }
    }
    return {};
  });
  SpoolerShared shared;
  ScriptedSpooler spooler(Db(), std::vector<TransportScript*>{&script}, ScriptedSpooler::Options(),
                          &shared);
  const Time now = Clock().Now();
  shared.SetUnavailable(0, now + std::chrono::hours(1), 1);
  SubmitNew(Store(), {"good@x.test", "bad@x.test"}, "mail");
  spooler.RunUntilIdle(now);
  EXPECT_THAT(script.offers, IsEmpty());
  EXPECT_THAT(Must(Store().GetContentsTable(Store().Folders().inbox, 10)), SizeIs(1));
  spooler.RunUntilIdle(now + std::chrono::hours(1));
  ASSERT_THAT(script.offers, SizeIs(1));
  EXPECT_THAT(script.offers[0].addresses, ElementsAre("good@x.test"));
  EXPECT_THAT(Must(Store().GetContentsTable(Store().Folders().inbox, 10)), SizeIs(1));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

// A by-product that cannot be submitted is not left out: preprocessing is tried again.
TEST_F(Preprocessing, ARefusedByProductIsMadeAgain) {
  int runs = 0;
  TransportScript script;
  Register(script, {"split"}, [&](Message& message, PreprocessContext& context) -> Result<void> {
    if (Must(message.GetProp(pr::kSubject)).bytes != "mail+split") return {};
    Message product = Must(context.CreateMessage());
    EXPECT_TRUE(SetProp(product, Property::Bytes(pr::kSubject, "product")));
    if (++runs == 2) {  // Without recipients it is refused.
      Must(product.ModifyRecipients(kModifyRecipientsAdd,
                                    {MakeSmtpRecipient("product@x.test", kRecipientTo)}));
    }
    context.Submit(std::move(product));
    return {};
  });
  ScriptedSpooler spooler(Db(), script);
  SubmitNew(Store(), {"good@x.test"}, "mail");
  const StepResult first = spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(script.offers, IsEmpty());
  ASSERT_TRUE(first.next_due);
  spooler.RunUntilIdle(*first.next_due);
  ASSERT_THAT(script.offers, SizeIs(2));
  EXPECT_THAT(script.offers[1].addresses, ElementsAre("product@x.test"));
  EXPECT_EQ(runs, 2);
}

// A message that ends the program whenever it is preprocessed does so only a few times.
TEST_F(Preprocessing, AMessageThatKillsThePreprocessorIsGivenUp) {
  SpoolerOptions options = ScriptedSpooler::Options();
  options.preprocess_attempts_max = 2;
  TransportScript script;
  Register(script, {"sign"}, [](Message& message, PreprocessContext&) -> Result<void> {
    if (Must(message.GetProp(pr::kSubject)).bytes == "poison+sign") throw std::bad_alloc();
    return {};
  });
  SubmitNew(Store(), {"b@x.test"}, "poison");
  SubmitNew(Store(), {"c@x.test"}, "mail");
  for (int run = 0; run < 2; ++run) {
    ScriptedSpooler dying(Db(), script, options);
    EXPECT_THROW(dying.RunUntilIdle(Clock().Now()), std::bad_alloc);
  }
  ScriptedSpooler spooler(Db(), script, options);
  spooler.RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(1));
  EXPECT_THAT(script.offers[0].addresses, ElementsAre("c@x.test"));
  EXPECT_THAT(Must(Store().GetContentsTable(Store().Folders().inbox, 10)), SizeIs(1));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
}

class SavingHook final : public OutboundMessageHook {
 public:
  std::string_view Name() const override { return "saving"; }
  Result<void> OutboundMessage(Message& message, HookDecision&) override {
    ++runs;
    return message.SaveChanges();  // Read-only from here.
  }
  int runs = 0;
};

TEST_F(Preprocessing, AHookThatSpoilsItsMessageHoldsUpNothing) {
  TransportScript script;
  SpoolerOptions options = ScriptedSpooler::Options();
  const auto hook = std::make_shared<SavingHook>();
  options.outbound_hooks = {hook};
  ScriptedSpooler spooler(Db(), script, options);
  SubmitNew(Store(), {"b@x.test"}, "first");
  SubmitNew(Store(), {"c@x.test"}, "second");
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(script.offers, SizeIs(2));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_EQ(hook->runs, 2);
}

}  // namespace
}  // namespace bobbin
