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
//                              transport unavailable      FALSE, same place in the queue
//   FALSE, next attempt ahead  not offered                unchanged
//   TRUE                       not offered                unchanged
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/spooler_session.h"
#include "spooler/attempt_reports.h"
#include "spooler/spooler.h"

namespace bobbin {

class DeliveryAttempt {
 public:
  struct Context {
    SpoolerSession& session;
    SpoolerShared& shared;
    const std::vector<std::unique_ptr<TransportProvider>>& transports;
    const SpoolerOptions& options;
    const Spooler::Random& random;
    const SpoolerEventSink& events;
    std::function<void(TransportProvider*)> running;  // The transport in a call, or null.
  };

  // `message` is locked by the session. `default_sender`: the reverse-path of a message that
  // has no sender of its own.
  static Result<DeliveryAttempt> Prepare(const Context& context, const DueMessage& due,
                                         Message message, const std::string& default_sender,
                                         Time now);

  // True when something can be done now: a recipient to offer to a transport that can be
  // reached, one to settle without a transport, or nothing left but to finish.
  bool IsWorthwhile() const;
  // When not: when the transports its recipients need may be reached again.
  Time BlockedUntil() const;
  bool NeedsOperator() const;  // In doubt since an earlier run, and the policy is to hold.

  void Offer();

  // The result of Offer, to be given to SpoolerSession::CommitAttempt; may be repeated.
  Result<FinishResult> Commit();

 private:
  struct Recipient {
    RecipientRow row;
    RecipientState state_before = RecipientState::kPending;
    bool changed = false;
    bool relayed = false;
    bool counted = false;  // The attempt has been counted, by an in-doubt mark or here.
  };
  class Offered;

  DeliveryAttempt(const Context& context, DueMessage due, Message message, Time now);

  bool IsDue(const Recipient& recipient) const;
  std::optional<std::size_t> TransportFor(const Recipient& recipient, std::size_t first) const;
  void OfferTo(std::size_t transport);
  void ApplyUnavailable(std::size_t transport, const SubmitResult& result,
                        const std::vector<Recipient*>& offered);
  void ApplyOutcomes(std::size_t transport, Offered& offered);
  void Apply(Recipient& recipient, RecipientOutcome outcome, std::string_view transport);
  void Settle(Recipient& recipient, RecipientState state);
  void CountAttempt(Recipient& recipient);
  void Tell(SpoolerEventKind kind, const Recipient* recipient, std::string_view transport,
            std::string detail = {}) const;
  Result<MessageBodyReader> OpenContent() const;
  ReportedOriginal Original() const;

  Context context_;
  DueMessage due_;
  Message message_;
  Time now_;
  PropertyList properties_;
  std::string reverse_path_;
  Time submit_time_{};
  std::vector<Recipient> recipients_;
  std::vector<std::size_t> next_transport_;  // Per recipient: where the scan goes on.
  std::optional<Attempt> attempt_;
  bool cancelled_ = false;
  std::optional<Time> soon_;  // A busy transport: look again then, nobody's attempt counted.
};

}  // namespace bobbin
