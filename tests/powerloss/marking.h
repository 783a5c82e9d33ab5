// The workload's side of the marks (mark.h): a message with what has been asked of it so far.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "engine/entry_id.h"
#include "spooler/preprocessor.h"
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
  std::uint8_t local_rows = 0;  // A bit for each recipient whose message store is here.
  std::uint64_t added = 0;      // By the last preprocessing.
  std::uint64_t inbox = 0;      // Where a report goes, and what it is known by.
  std::uint64_t report = 0;

  // The message is to come to be in these states, in this order. Returns the number of the first.
  std::uint32_t Ask(std::initializer_list<MessageState> states);
  void Acknowledge(std::uint32_t state_number) const;
  void AcknowledgeAll() const { Acknowledge(number); }
  // The store is to make another message because of this one (Subject::kMade).
  void AskForMade(std::uint64_t folder, std::uint64_t content, std::uint32_t row) const;
  // Everybody here has got it.
  MessageState WithLocalRowsServed(MessageState before) const;
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

// To such an address nothing is delivered: the transport says so, for good.
inline constexpr std::string_view kRefused = "refused";

// `real`, the drop directory transport, with what it asks for and answers marked: the file of each
// recipient, that a message is durably in doubt, and what is left of it if not all went well.
std::unique_ptr<TransportProvider> MarkTransport(std::unique_ptr<TransportProvider> real,
                                                 MarkedMessages& messages);

// Puts `letter` on top of the property kLayers, and takes it off again; ends the program when
// another is on top of it. `real`, if any, does its work first.
std::unique_ptr<Preprocessor> MarkLayer(char letter, std::unique_ptr<Preprocessor> real,
                                        MarkedMessages& messages);

}  // namespace bobbin::powerloss
