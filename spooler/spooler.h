// Spooler: moves messages from the outgoing queue to the transport providers.
//
// RunOnce(now) does one step and says when to come back:
//
//   pick the first due message nobody has locked -> lock it -> [preprocessors, second submit] ->
//   offer its FALSE recipients to the transports in order -> outcomes, reports and queue change in
//   one transaction -> [RemovePreprocessInfo, hooks, finish] -> unlocked
//
//   state of a recipient           what RunOnce does
//   kPending, due                  offers it
//   kInDoubt after a restart       offers it again (InDoubtPolicy::kResend), or holds the message
//   no transport takes it          fails it; non-delivery report, same transaction (C69)
//   older than expire_after        kExpired; non-delivery report, same transaction
//   all TRUE                       calls no transport, finishes the message (C86)
//
// A transport that cannot be reached is left alone until its own back-off is over; messages that
// need it wait in order, without an attempt of their own. A younger message overtakes only when
// another transport can take it (C48), or when the older one alone is what a transport does not
// take (spooler/transport_provider.h, Order). Recipients go to the first transport whose UIDs
// match, else whose address types do, in transport order, and on to the next match when that leaves
// them FALSE (C66, C67). Transports log on when the Spooler is made and off when it is destroyed.
//
// What a transport has told is written down before anything else is taken up: repeated for as long
// as that fails for a reason that may pass; where the completion or a report meets damage, without
// it, and the message goes into quarantine (engine/quarantine.h).
//
// Durability  Nothing of its own: a new Spooler after a crash goes on where the store says.
// Threads     A Spooler: one worker thread, with a SpoolerSession of its own (two workers on one
//             session could both lock the same message, C9). Workers of one process share a
//             SpoolerShared. Stop() may be called from any thread.
// Processes   Any number; locks keep a message in one worker's hands.
// Errors      Events (spooler_event.h); kStoreFailed also in the result: stop and reopen.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/database.h"
#include "engine/spooler_session.h"
#include "spooler/outbound_message_hook.h"
#include "spooler/preprocessor.h"
#include "spooler/retry_schedule.h"
#include "spooler/spooler_event.h"
#include "spooler/spooler_shared.h"
#include "spooler/transport_provider.h"

namespace bobbin {

enum class InDoubtPolicy : std::uint8_t { kResend, kHold };

struct SpoolerOptions {
  RetrySchedule retry;
  InDoubtPolicy in_doubt = InDoubtPolicy::kResend;
  std::string reporting_host;                      // In reports and trace headers.
  std::size_t report_original_bytes_max = 50'000;  // Longer originals: headers only.
  std::chrono::seconds delay_report_after{std::chrono::hours(4)};  // Since submission.
  std::uint32_t preprocess_attempts_max = 8;
  // Registered with every transport behind its own, for all its recipients; on a message that
  // several transports handle one of a name runs once.
  std::vector<std::function<std::unique_ptr<Preprocessor>()>> preprocessors{};
  std::vector<std::shared_ptr<OutboundMessageHook>> outbound_hooks{};  // In their order.
  // Whose Inbox receives what transports bring (StartMessage). None: nothing is fetched.
  std::optional<StoreId> inbound_store{};
  std::chrono::seconds poll_interval{10};
};

struct StepResult {
  bool worked = false;                // A message was taken up: call again at once.
  std::optional<Time> next_due;       // When not: nothing to do before this, unless signalled.
  std::optional<Error> store_failed;  // The database must be opened again.
};

class Spooler {
 public:
  using Random = std::function<double()>;  // Uniform in [0, 1).

  // `session` and `shared` are borrowed. `transports` are in transport order.
  Spooler(Database database, SpoolerSession& session, SpoolerShared& shared,
          std::vector<std::unique_ptr<TransportProvider>> transports, SpoolerOptions options,
          Random random, SpoolerEventSink events);
  ~Spooler();

  StepResult RunOnce(Time now);

  // Runs until Stop: RunOnce, then waits for the queue signal or the next due time.
  // Returns the error when the store has failed.
  Result<void> Run(const Clock& clock);

  // MAPI: IXPLogon::FlushQueues with kFlushUpload, kFlushDownload. Ends the waiting of transports
  // and messages, then sends and fetches until nothing is left or the transports clear their
  // flush bits. Returns as RunOnce does. kFlushForce, kFlushNoUi and kFlushAsyncOk are the
  // transports' to obey.
  //   kUnknownFlags  nothing is done, no transport is told
  Result<StepResult> FlushQueues(std::uint32_t flags, Time now);
  // MAPI: IXPLogon::ValidateState of every transport.
  //   kBusy  one of them is in a critical section; the others were asked
  Result<void> ValidateState();

  // Lets the message in progress come to its end; Cancel makes its transport return soon.
  void Stop();
  void Cancel();

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace bobbin
