// One attempt at one locked message: who is offered to which transport, what became of them, and
// the single commit that follows. Internal to the spooler.
//
//   recipient before           after the offer            committed as
//   FALSE, due                 delivered                  TRUE kDelivered
//                              failed                     TRUE kFailed, reported
//                              retry later                FALSE kPending, next attempt; or, when
//                                                         the message is too old, TRUE kExpired
//                              in doubt                   FALSE kInDoubt, next attempt; likewise
//                              no transport takes it      TRUE kFailed, reported
//                              transport makes wait       FALSE, same place in the queue
//                              transport takes it aside   FALSE, same place; offered when given
//                              back
//   FALSE, next attempt ahead  not offered                unchanged
//   TRUE                       not offered                unchanged
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/spooler_session.h"
#include "spooler/attempt_reports.h"
#include "spooler/outbound_content.h"
#include "spooler/preprocessing.h"
#include "spooler/worker_context.h"

namespace bobbin {

// Whether trying the same again may succeed: the message has nothing to do with it.
bool MayPass(ErrorCode code);

class DeliveryAttempt {
 public:
  // `message` is locked by the session.
  //   kCorruptData  also: it has no sender of its own, and its store does not tell its name
  static Result<DeliveryAttempt> Prepare(const WorkerContext& context, const DueMessage& due,
                                         Message message, Time now);

  bool AwaitsPreprocessing() const;
  OutboundIdentity Identity() const;

  // True when something can be done now: a recipient to offer to a transport that can be
  // reached, one to settle without a transport, or nothing left but to finish.
  bool IsWorthwhile() const;
  // When not: when the transports its recipients need may be reached again. Time::max(): all of
  // them have taken the message aside.
  Time BlockedUntil() const;
  // In doubt since an earlier attempt, the policy is to hold, and no operator has released it.
  bool NeedsOperator() const;

  // Recipients that a preprocessor knows to be undeliverable: they fail, durably and with their
  // report. The message stays locked; this object is of no further use.
  Result<void> SaveUndeliverable(const std::vector<PreprocessedRecipient>& undeliverable);
  // Preprocessing has failed for good: everybody does.
  void FailAll(const Reply& reply);

  void Offer();

  // The result of Offer, to be given to SpoolerSession::CommitAttempt; may be repeated.
  Result<FinishResult> Commit();
  // When Commit fails and it will not pass: what has become of everybody is written down without
  // the completion, and, where not even the reports can be written, without them: who has failed
  // is then pending still, with the reply that says why, because TRUE would mean that the sender
  // knows. Who has got it is TRUE whatever else is damaged. May be repeated.
  Result<void> CommitOutcomes();

 private:
  struct Recipient {
    RecipientRow row;
    RecipientState state_before = RecipientState::kPending;
    Time next_attempt_before{};
    RecipientState state_unsettled = RecipientState::kPending;  // Once it is settled: else.
    std::vector<std::size_t> transports;  // Those that match, in the order they are asked.
    std::size_t next_transport = 0;       // Into `transports`.
    bool changed = false;
    DeliveredTo delivered_to = DeliveredTo::kMailbox;  // Once it is.
    bool counted = false;  // The attempt has been counted, by an in-doubt mark or here.
    bool waits = false;    // Until its next attempt: not offered again in this one.
  };
  class Offered;

  DeliveryAttempt(const WorkerContext& context, DueMessage due, Message message, Time now);

  bool IsDue(const Recipient& recipient) const;
  std::optional<std::size_t> TransportFor(const Recipient& recipient) const;
  bool CanBeOffered(std::size_t transport) const;
  std::optional<std::size_t> NextTransport() const;
  void OfferTo(std::size_t transport);
  // True: to be offered again at once.
  bool ApplyEnd(std::size_t transport, Offered& offered, EndResult end, bool may_resend);
  void TakeBackMarks(const std::vector<Recipient*>& offered);
  void ApplyUnreadable(const Error& error, std::string_view transport,
                       const std::vector<Recipient*>& offered);
  void Rest(std::size_t transport, Time until, std::uint32_t failures);
  void ApplyUnavailable(std::size_t transport, const SubmitResult& result,
                        const std::vector<Recipient*>& offered);
  void TellRest(std::size_t transport, Time until, const SubmitResult& why) const;
  void ApplyError(std::size_t transport, const SubmitResult& result,
                  const std::vector<Recipient*>& offered);
  void MakeWait(std::size_t transport, const std::vector<Recipient*>& recipients,
                const SubmitResult& why);
  void WaitForSchedule(Recipient& recipient);
  void Apply(Recipient& recipient, RecipientOutcome outcome, std::string_view transport);
  void Settle(Recipient& recipient, RecipientState state);
  void CountAttempt(Recipient& recipient);
  Result<void> StoreSettled();
  Result<void> StoreChanged();
  void SetStored();
  void TellReports() const;
  Result<void> SaveSettled(std::string_view transport, Offered& offered);
  void Tell(SpoolerEventKind kind, const Recipient* recipient, std::string_view transport,
            std::string detail = {}) const;
  // What has changed and is not stored yet, with the reports on it.
  Attempt MakeAttempt(bool settled_only);
  bool NeedsPostProcessing() const;
  Result<FinishResult> CommitAndPostProcess();
  RecipientTable Rows() const;
  bool UndoForReports();
  ReportedOriginal Original() const;

  struct Unprocessed {
    Message message;  // Not to be saved.
    PropertyList properties;
  };

  WorkerContext context_;
  DueMessage due_;
  Message message_;
  Time now_;
  PropertyList properties_;
  std::string reverse_path_;
  Time submit_time_{};
  std::vector<Recipient> recipients_;
  std::vector<bool> rests_;  // Per transport: not asked again in this attempt.
  std::optional<Unprocessed> unprocessed_;
  std::optional<Attempt> attempt_;
  bool settled_is_stored_ = false;  // Post-processing is all that is left.
  bool cancelled_ = false;
  std::optional<Error> damaged_;  // Its content cannot be read, now or ever.
  std::optional<Time> soon_;      // Unreadable content: look again then, nobody's attempt counted.
};

}  // namespace bobbin
