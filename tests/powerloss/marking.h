// The workload's side of the marks (mark.h): a message with what has been asked of it so far.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "engine/entry_id.h"
#include "spooler/transport_provider.h"
#include "tests/powerloss/mark.h"

namespace bobbin::powerloss {

// The mutant of an application that says "done" before it is: set once, before any thread.
inline bool acknowledge_early = false;

std::uint8_t MarkedRow(RecipientState state);

struct MarkedMessage {
  std::atomic<bool> is_the_spoolers;
  EntryId id;
  MessageState state;        // After the last step that was asked for.
  std::uint32_t number = 0;  // Of that state.
  // Of those for the spooler: in the queue, and when everybody has been served.
  MessageState submitted;
  MessageState finished;

  // The message is to come to be in these states, in this order. Returns the number of the first.
  std::uint32_t Ask(std::initializer_list<MessageState> states);
  void Acknowledge(std::uint32_t state_number) const;
  void AcknowledgeAll() const { Acknowledge(number); }
};

void MarkDatabase(bool acknowledged);

// All messages of a run, in memory that processes forked from this one share: the spooler of one
// delivers what a client of another submitted.
class MarkedMessages {
 public:
  static MarkedMessages& MakeShared();  // Never freed.

  // Null: none is left.
  MarkedMessage* New();
  // Now it is the spooler's, and can be found.
  static void Give(MarkedMessage& message);
  MarkedMessage* Find(std::uint64_t object);

 private:
  static constexpr std::size_t kMessagesMax = 8192;

  std::atomic<std::size_t> used_;
  std::array<MarkedMessage, kMessagesMax> messages_;
};

// `real`, the drop directory transport, with what it asks for and answers marked: the file of each
// recipient, that a message is durably in doubt, and what is left of it if not all went well.
std::unique_ptr<TransportProvider> MarkTransport(std::unique_ptr<TransportProvider> real,
                                                 MarkedMessages& messages);

}  // namespace bobbin::powerloss
