#include "engine/submission.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "engine/ascii.h"
#include "engine/one_off_entry_id.h"

namespace bobbin {
namespace {

int TypeRank(const RecipientRow& row) {
  switch (row.BaseType()) {
    case kRecipientTo:
      return 0;
    case kRecipientCc:
      return 1;
    case kRecipientBcc:
      return 2;
    default:
      return 3;
  }
}

bool IsLetter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

bool IsResendRow(const RecipientRow& row) { return (row.Type() & kRecipientP1) != 0; }

// What has an entry identifier is left alone: it may be of an address book that is not ours. A
// list is of ours.
void GiveEntryId(RecipientRow& row) {
  if (!row.properties.BytesOr(pr::kEntryId, {}).empty()) return;
  if (row.AddressType().empty() || row.AddressType() == kPersonalListAddressType) return;
  std::optional<std::string> entry_id =
      MakeOneOffEntryId({std::string(row.DisplayName()), std::string(row.AddressType()),
                         std::string(row.EmailAddress())});
  if (entry_id) row.properties.Set(Property::Bytes(pr::kEntryId, *std::move(entry_id)));
}

void CompleteOneOff(RecipientRow& row) {
  if (const Property* original = row.properties.Find(pr::kOriginalDisplayName)) {
    row.properties.Set(Property::Bytes(pr::kDisplayName, original->bytes));
  }
  std::string type = UpperCase(row.AddressType());
  if (type != row.AddressType()) row.properties.Set(Property::Bytes(pr::kAddressType, type));
  if (row.EmailAddress().empty()) return;
  if (row.properties.Find(pr::kSearchKey) == nullptr) {
    row.properties.Set(Property::Bytes(pr::kSearchKey, MakeSearchKey(type, row.EmailAddress())));
  }
  if (row.DisplayName().empty()) {
    row.properties.Set(Property::Bytes(pr::kDisplayName, std::string(row.EmailAddress())));
  }
  GiveEntryId(row);
}

using State = SubmissionState;
using Step = SubmissionStep;

constexpr std::array kTable = std::to_array<Transition>({
    {"T1", State::kNew, Step::kSave, State::kDraft},
    {"4.2", State::kDraft, Step::kSave, State::kDraft},
    {"2.6", State::kNew, Step::kSave, State::kSent},  // Received: made without UNSENT.
    {"4.2", State::kSent, Step::kSave, State::kSent},
    {"4.7", State::kLockedPreprocessQueue, Step::kSave, State::kLockedPreprocessQueue},
    {"4.7", State::kLockedReadyQueue, Step::kSave, State::kLockedReadyQueue},

    {"T2", State::kNew, Step::kSubmit, State::kPreprocessQueue},
    {"T2", State::kDraft, Step::kSubmit, State::kPreprocessQueue},
    {"4.4", State::kSent, Step::kSubmit, State::kPreprocessQueue},  // No step of 4.4 asks UNSENT.
    {"T3", State::kNew, Step::kSubmit, State::kReadyQueue},
    {"T3", State::kNew, Step::kSubmit, State::kHeld},
    {"T3", State::kDraft, Step::kSubmit, State::kReadyQueue},
    {"T3", State::kDraft, Step::kSubmit, State::kHeld},
    {"4.4", State::kSent, Step::kSubmit, State::kReadyQueue},
    {"4.4", State::kSent, Step::kSubmit, State::kHeld},
    {"T4a", State::kNew, Step::kSubmit, State::kInline},
    {"T4a", State::kDraft, Step::kSubmit, State::kInline},
    {"4.4", State::kSent, Step::kSubmit, State::kInline},
    {"T4b", State::kInline, Step::kServeInline, State::kSent},
    {"T4b", State::kInline, Step::kServeInline, State::kGone},
    {"T4c", State::kInline, Step::kLeaveToSpooler, State::kReadyQueue},

    {"T5", State::kPreprocessQueue, Step::kLock, State::kLockedPreprocessQueue},
    {"T5", State::kReadyQueue, Step::kLock, State::kLockedReadyQueue},
    {"4.7", State::kHeld, Step::kLock,
     State::kLockedReadyQueue},  // By hand: SetLockState allows it.
    {"T5", State::kWaiting, Step::kLock, State::kLockedReadyQueue},
    {"T5", State::kDeferred, Step::kLock, State::kLockedReadyQueue},
    {"5.2", State::kReadyQueue, Step::kLock, State::kAllDone},  // Restarted before FinishedMsg.

    {"5.4", State::kLockedPreprocessQueue, Step::kPreprocess, State::kLockedPreprocessQueue},
    {"4.12", State::kLockedReadyQueue, Step::kPreprocess, State::kLockedPreprocessQueue},
    {"T6", State::kLockedPreprocessQueue, Step::kSecondSubmit, State::kLockedReadyQueue},
    {"4.5", State::kLockedReadyQueue, Step::kSecondSubmit, State::kLockedReadyQueue},
    {"6", State::kLockedPreprocessQueue, Step::kSecondSubmit, State::kAllDone},

    {"T7", State::kLockedReadyQueue, Step::kOffer, State::kTransmitting},
    {"T8", State::kTransmitting, Step::kServe, State::kTransmitting},
    {"T8", State::kLockedReadyQueue, Step::kServe, State::kLockedReadyQueue},
    // Recipients a preprocessor knows to be undeliverable.
    {"4.13", State::kLockedPreprocessQueue, Step::kServe, State::kLockedPreprocessQueue},
    {"T9", State::kTransmitting, Step::kEndServed, State::kLockedReadyQueue},
    {"T10", State::kTransmitting, Step::kEndWaiting, State::kWaiting},
    {"T11", State::kTransmitting, Step::kEndDeferred, State::kDeferred},
    {"T12", State::kDeferred, Step::kSentDeferred, State::kReadyQueue},
    {"T13", State::kWaiting, Step::kRetry, State::kReadyQueue},
    {"T14", State::kHeld, Step::kSendTimeReached, State::kReadyQueue},
    {"T15", State::kLockedReadyQueue, Step::kServe, State::kAllDone},

    {"T16", State::kAllDone, Step::kFinish, State::kSent},
    {"T16", State::kAllDone, Step::kFinish, State::kGone},
    // FinishedMsg asks for the lock and for nothing else.
    {"4.8", State::kLockedReadyQueue, Step::kFinish, State::kSent},
    {"4.8", State::kLockedReadyQueue, Step::kFinish, State::kGone},
    {"4.8", State::kLockedPreprocessQueue, Step::kFinish, State::kSent},
    {"4.8", State::kLockedPreprocessQueue, Step::kFinish, State::kGone},

    {"T17", State::kPreprocessQueue, Step::kAbort, State::kDraft},
    {"T17", State::kReadyQueue, Step::kAbort, State::kDraft},
    {"T17", State::kHeld, Step::kAbort, State::kDraft},
    {"T17", State::kWaiting, Step::kAbort, State::kDraft},
    {"T17", State::kDeferred, Step::kAbort, State::kDraft},
    {"T18", State::kLockedPreprocessQueue, Step::kUnlock, State::kPreprocessQueue},
    {"T18", State::kLockedReadyQueue, Step::kUnlock, State::kReadyQueue},
    {"T18", State::kLockedReadyQueue, Step::kUnlock, State::kHeld},
    {"4.7", State::kHeld, Step::kLock, State::kAllDone},
    {"4.7", State::kAllDone, Step::kUnlock, State::kHeld},
    {"T18", State::kTransmitting, Step::kUnlock, State::kReadyQueue},
    {"T18", State::kAllDone, Step::kUnlock, State::kReadyQueue},
    {"T19", State::kDraft, Step::kDelete, State::kGone},
    {"4.3", State::kSent, Step::kDelete, State::kGone},
});

std::string_view StateName(State stored) {
  switch (stored) {
    case State::kNew:
      return "new";
    case State::kDraft:
      return "draft";
    case State::kPreprocessQueue:
      return "awaiting preprocessing";
    case State::kReadyQueue:
      return "awaiting transports";
    case State::kSent:
      return "sent";
    default:
      return "gone";
  }
}

}  // namespace

const std::span<const Transition> kTransitions = kTable;

bool IsLegal(SubmissionState from, SubmissionStep step, SubmissionState to) {
  return std::any_of(kTable.begin(), kTable.end(), [&](const Transition& row) {
    return row.from == from && row.step == step && row.to == to;
  });
}

SubmissionState StoredState(SubmissionState state) {
  switch (state) {
    case State::kInline:
    case State::kHeld:
    case State::kLockedReadyQueue:
    case State::kTransmitting:
    case State::kWaiting:
    case State::kDeferred:
    case State::kAllDone:
      return State::kReadyQueue;
    case State::kLockedPreprocessQueue:
      return State::kPreprocessQueue;
    default:
      return state;
  }
}

Result<void> CheckStep(SubmissionState from, SubmissionStep step, SubmissionState to) {
  const bool legal = std::any_of(kTable.begin(), kTable.end(), [&](const Transition& row) {
    return row.step == step && StoredState(row.from) == from && StoredState(row.to) == to;
  });
  if (legal) return {};
  return Fail(ErrorCode::kCorruptStore, "no step of this kind leads from '" +
                                            std::string(StateName(from)) + "' to '" +
                                            std::string(StateName(to)) + "'");
}

Result<SubmissionState> StateOf(const MessageRecord& record) {
  const bool submit = (record.message_flags & kMsgFlagSubmit) != 0;
  const bool unsent = (record.message_flags & kMsgFlagUnsent) != 0;
  if (!submit) {
    if (record.queue_sequence != 0 || record.submit_flags != 0) {
      return Fail(ErrorCode::kCorruptStore, "queue data on a message that is not submitted");
    }
    return unsent ? SubmissionState::kDraft : SubmissionState::kSent;
  }
  if (!unsent || record.queue_sequence == 0) {
    return Fail(ErrorCode::kCorruptStore, "the submit flag is set but queue data are missing");
  }
  return (record.submit_flags & kSubmitFlagPreprocess) != 0 ? SubmissionState::kPreprocessQueue
                                                            : SubmissionState::kReadyQueue;
}

void PrepareSubmit(const MessageRecord& record, RecipientTable& rows) {
  if ((record.message_flags & kMsgFlagResend) == 0) return;
  const auto key = [](const RecipientRow& row) {
    const std::string_view given = row.properties.BytesOr(pr::kSearchKey, {});
    return given.empty() ? MakeSearchKey(row.AddressType(), row.EmailAddress())
                         : std::string(given);
  };
  std::unordered_set<std::string> resent;
  for (const RecipientRow& row : rows) {
    if (IsResendRow(row)) resent.insert(key(row));
  }
  for (RecipientRow& row : rows) {
    const bool has_it = (row.Type() & kRecipientSubmitted) != 0 || resent.contains(key(row));
    row.delivery.responsibility = !IsResendRow(row) && has_it;
    if (row.delivery.responsibility) row.delivery.state = RecipientState::kDelivered;
  }
}

void CompleteRecipients(RecipientTable& rows) {
  for (RecipientRow& row : rows) CompleteOneOff(row);
  // The winner of each key is found in To, Cc, Bcc order; the rows keep their own order.
  std::vector<const RecipientRow*> by_type;
  by_type.reserve(rows.size());
  for (const RecipientRow& row : rows) by_type.push_back(&row);
  std::stable_sort(by_type.begin(), by_type.end(),
                   [](const auto* a, const auto* b) { return TypeRank(*a) < TypeRank(*b); });
  std::unordered_set<std::string> seen;
  std::unordered_set<std::uint32_t> duplicates;
  for (const RecipientRow* row : by_type) {
    std::string_view key = row->properties.BytesOr(pr::kSearchKey, {});
    if (key.empty()) key = row->properties.BytesOr(pr::kEntryId, {});
    if (key.empty()) continue;
    const bool first = seen.insert((IsResendRow(*row) ? "P1" : "") + std::string(key)).second;
    if (!first) duplicates.insert(row->id.value);
  }
  if (duplicates.empty()) return;
  std::erase_if(rows, [&](const RecipientRow& row) { return duplicates.contains(row.id.value); });
}

std::optional<Time> EffectiveDeferredSendTime(const PropertyList& properties, Time submit_time) {
  static constexpr std::array<std::int64_t, 4> kUnitSeconds{60, 3'600, 86'400, 604'800};
  const Property* number = properties.Find(pr::kDeferredSendNumber);
  const Property* units = properties.Find(pr::kDeferredSendUnits);
  if (number != nullptr && units != nullptr && units->number >= 0 && units->number < 4) {
    const std::int64_t count = std::clamp<std::int64_t>(number->number, 0, 999);
    return submit_time +
           std::chrono::seconds(count * kUnitSeconds[static_cast<std::size_t>(units->number)]);
  }
  if (const Property* time = properties.Find(pr::kDeferredSendTime)) {
    return FromFileTime(time->number);
  }
  return std::nullopt;
}

std::string DisplayNames(const RecipientTable& rows, std::int64_t recipient_type,
                         std::size_t bytes_max) {
  std::string names;
  for (const RecipientRow& row : rows) {
    if (row.BaseType() != recipient_type) continue;
    const std::string_view name =
        row.DisplayName().empty() ? row.EmailAddress() : row.DisplayName();
    if (names.size() + name.size() + 2 > bytes_max) {
      names += "...";
      break;
    }
    if (!names.empty()) names += "; ";
    names += name;
  }
  return names;
}

SubjectParts SplitSubject(std::string_view subject) {
  std::size_t letters = 0;
  while (letters < subject.size() && letters < 4 && IsLetter(subject[letters])) ++letters;
  if (letters >= 1 && letters <= 3 && subject.substr(letters, 2) == ": ") {
    return {subject.substr(0, letters + 2), subject.substr(letters + 2)};
  }
  return {{}, subject};
}

}  // namespace bobbin
