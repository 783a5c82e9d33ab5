// What the application under test says to the recorder: what it is about to ask for, and what has
// been acknowledged to it.
//
//   Asked(m, n, {s1, s2})  from now on message m may come to be in state s1, then s2; these are its
//                          states n and n + 1
//   Acknowledged(m, n)     it is in state n, or a later one that was asked for
//
// State 0 of every message is "does not exist". Files delivered to the drop directory and the
// database itself are marked the same way, by other kinds of subject. A message that the store
// makes (a copy for a local recipient, a report) is only asked for: it is there, once, in every
// state in which the recipient it is due to is TRUE, and in no other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace bobbin::powerloss {

enum class Subject : std::uint8_t {
  kMessage = 1,  // `id` is its identifier.
  kFile = 2,     // In some new/ of the drop directory; `id` is the digest of all of it.
  kDatabase = 3,
  kMade = 4,  // `id` is its content, `folder` where it is.
};

inline constexpr std::size_t kMarkedRecipientsMax = 6;

// What can be told of a stored message, in a form that compares.
struct MessageState {
  bool exists = false;
  bool queued = false;
  bool held = false;
  bool unsent = false;
  std::uint8_t recipient_count = 0;
  // RecipientState, plus 0x10 with responsibility TRUE.
  std::array<std::uint8_t, kMarkedRecipientsMax> recipients{};
  std::uint64_t folder = 0;
  std::uint64_t content = 0;  // Digest of subject and content; of a report, of the subject alone.
  std::uint64_t added = 0;    // Digest of what preprocessors have added, if they have.
  friend bool operator==(const MessageState&, const MessageState&) = default;
};

inline constexpr std::uint8_t kResponsible = 0x10;
inline constexpr std::size_t kMarkedStatesMax = 4;

struct Mark {
  Subject subject = Subject::kMessage;
  bool acknowledged = false;
  std::uint8_t state_count = 0;
  std::uint32_t number = 0;
  std::uint64_t id = 0;
  std::uint64_t message = 0;  // kFile, kMade: because of which message,
  std::uint32_t row = 0;      // and of which recipient.
  std::uint64_t folder = 0;
  std::array<MessageState, kMarkedStatesMax> states{};
};

}  // namespace bobbin::powerloss

// In the recorder; absent when the program runs without it.
// NOLINTNEXTLINE(readability-identifier-naming): C, as it is looked up by name.
extern "C" void bobbin_power_loss_mark(const bobbin::powerloss::Mark* mark) __attribute__((weak));
