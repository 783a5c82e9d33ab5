// Quarantine: where queued messages go whose records do not verify, out of the way of the others.
//
//   state         queue row, due row   quarantine row   the message's own rows
//   queued        one each             none             as submitted
//   quarantined   none                 one              untouched, damaged ones too
//
//   what does not verify                              what is done, in one transaction
//   message, recipient, body, attachment, or missing  quarantined
//   its folder                                        quarantined: it could not be completed
//   the queue row or the due row of a whole message   made anew, of the other one and the message
//   both of them                                      made anew; held
//   rows that name a message that is not submitted    erased: its record says so
//   a due row that no message claims                  quarantined by itself, with its bytes
//   the quarantine row of a message                   made anew when the message is damaged still,
//                                                     else in the queue again, held
//
// The quarantine row says which row was damaged and where in the queue the message was, so Release
// puts it back exactly there; recipients that were TRUE are TRUE still. What could not be read
// (kDiskError) is not damaged, and moves nothing.
//
// Durability  Each call is one durable transaction.   Threads, processes  Any number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/entry_id.h"
#include "engine/outgoing_queue.h"
#include "engine/result.h"

namespace bobbin {

class RowReader;
struct DatabaseState;
struct DueKey;

struct QuarantinedMessage {
  MessageId message;  // 0: a due row that no message claims.
  std::string table;  // Of the damaged row; empty when no one row is known to be the cause.
  std::string key;    // Of it, hexadecimal.
  std::string detail;
  Time time{};  // When it was moved here.
  StoreId store;
  std::uint64_t sequence = 0;  // Where it was in the queue.
  Time client_submit_time{};
  DueLane lane = DueLane::kScheduled;
  Time due{};
};

// For operators.
class Quarantine {
 public:
  explicit Quarantine(std::shared_ptr<DatabaseState> database) : database_(std::move(database)) {}

  // A quarantine row that is damaged itself is left out and its error added to `damaged`, when
  // given; else the call fails with it.
  Result<std::vector<QuarantinedMessage>> Messages(std::vector<Error>* damaged = nullptr) const;
  //   kNotFound  not in quarantine
  Result<QuarantinedMessage> Message(MessageId id) const;
  // What is left of it as text (engine/salvage_export.h), also when its quarantine row is damaged;
  // kNotFound as above.
  Result<std::string> Export(MessageId id) const;
  // Puts it back into the queue, as it was.
  //   kNotFound     not in quarantine
  //   kCorruptData  it still does not verify; nothing changed
  Result<void> Release(MessageId id);
  // Erases it and everything that is known to belong to it, for good. Content shared with another
  // message stays, and so does content whose own records are damaged. Its quarantine row may be.
  //   kNotFound  not in quarantine
  Result<void> Delete(MessageId id);

 private:
  std::shared_ptr<DatabaseState> database_;
};

enum class SetAsideOutcome : std::uint8_t {
  kNotQueued,  // Nothing to do, or somebody else did it.
  kWhole,      // Everything verifies.
  kMended,     // Its rows of the queue were made anew.
  kQuarantined,
};

struct SetAside {
  SetAsideOutcome outcome = SetAsideOutcome::kNotQueued;
  MessageId message;
  std::string detail;  // What was wrong.
};

// Where the caller met the message in the due index, if it did.
struct QueuePlace {
  StoreId store;
  std::uint64_t sequence = 0;
  Time due{};
};

// Verifies a queued message and does what the table says. The caller has locked it. `seen`: damage
// that was met already; the message is quarantined also when it cannot be found again. Internal to
// engine/: SpoolerSession::SetAsideDamaged.
Result<SetAside> SetAsideDamaged(DatabaseState& database, MessageId id,
                                 const std::optional<QueuePlace>& place, const Error* seen,
                                 const DueKey* stray = nullptr);

// Of a due row that does not open: the message that it is of. Empty: no message claims it.
Result<std::optional<MessageId>> MessageOfDueRow(DatabaseState& database, const DueKey& key);
// That row by itself into quarantine; false when it is gone or opens.
Result<bool> QuarantineDueRow(DatabaseState& database, const DueKey& key);

//   kNotInQueue  the message is in quarantine; the detail says where to look
Result<void> CheckNotQuarantined(RowReader& rows, MessageId id);

}  // namespace bobbin
