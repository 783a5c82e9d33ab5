// The submission model's states and rules, without storage (specification, section 5).
//
//   state                  stored marks                               volatile marks
//   kNew                   none                                       an open object
//   kDraft                 UNSENT, not SUBMIT
//   kPreprocessQueue       SUBMIT, UNSENT, SUBMITFLAG_PREPROCESS, queue row
//   kReadyQueue            SUBMIT, UNSENT, no submit flags, queue row
//   kInline                as kReadyQueue                             inline lock: no row is shown
//   kHeld                  as kReadyQueue, deferred send time ahead
//   kLockedPreprocessQueue as kPreprocessQueue                        lock
//   kLockedReadyQueue      as kReadyQueue                             lock
//   kTransmitting          as kReadyQueue                             lock, in a transport's hands
//   kWaiting               as kReadyQueue, due later                  the transport's rest
//   kDeferred              as kReadyQueue, due later                  the transport's promise
//   kAllDone               as kReadyQueue, every responsibility TRUE  lock
//   kSent                  neither SUBMIT nor UNSENT
//   kGone                  no record
//
// kTransitions is the table of 5.3. Whoever writes a message's record names the step it takes, and
// the write is refused when the table has no such row (engine/message_rows.h). The steps that
// write no record are taken by the lock table, the due index and the spooler; the model test holds
// all but the transports' (T7 to T13) against the table, the conformance tests those.
//
// Threads  Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/property.h"
#include "engine/recipient_table.h"
#include "engine/result.h"
#include "engine/rows.h"

namespace bobbin {

enum class SubmissionState : std::uint8_t {
  kNew,
  kDraft,
  kPreprocessQueue,
  kReadyQueue,
  kInline,
  kHeld,
  kLockedPreprocessQueue,
  kLockedReadyQueue,
  kTransmitting,
  kWaiting,
  kDeferred,
  kAllDone,
  kSent,
  kGone,
};

enum class SubmissionStep : std::uint8_t {
  kSave,
  kSubmit,
  kServeInline,
  kLeaveToSpooler,
  kLock,
  kPreprocess,
  kSecondSubmit,
  kOffer,
  kServe,
  kEndServed,
  kEndWaiting,
  kEndDeferred,
  kSentDeferred,
  kRetry,
  kSendTimeReached,
  kFinish,
  kAbort,
  kUnlock,
  kDelete,
};

struct Transition {
  std::string_view source;  // In 5.3; of what is not there, the section that asks for it.
  SubmissionState from;
  SubmissionStep step;
  SubmissionState to;
};

// T20 is T1: a resend is a new message.
extern const std::span<const Transition> kTransitions;

bool IsLegal(SubmissionState from, SubmissionStep step, SubmissionState to);

// What is left of a state in the store: kNew and kGone (no record), kDraft, kPreprocessQueue,
// kReadyQueue, kSent.
SubmissionState StoredState(SubmissionState state);

// Whether a record may go from one stored state to another by this step.
//   kCorruptStore  no row of the table says so
Result<void> CheckStep(SubmissionState from, SubmissionStep step, SubmissionState to);

// What the marks of a record say.
//   kCorruptStore  marks that no state has (SUBMIT without UNSENT or queue sequence, ...)
Result<SubmissionState> StateOf(const MessageRecord& record);

// MAPI: ExpandRecips without its address book (steps 2 and 3 of engine/expand_recipients.h).
void CompleteRecipients(RecipientTable& rows);

inline constexpr std::string_view kPersonalListAddressType = "MAPIPDL";

// MAPI: PrepareSubmit (specification 4.9, ruling A2): on a message with MSGFLAG_RESEND, who has the
// message already is TRUE, and who is to get it, FALSE. On any other message nothing (C113).
void PrepareSubmit(const MessageRecord& record, RecipientTable& rows);

// PR_DEFERRED_SEND_TIME as it takes effect: NUMBER and UNITS, when both are there, count from
// the submit time and override a stored TIME (C84). Absent: send now.
std::optional<Time> EffectiveDeferredSendTime(const PropertyList& properties, Time submit_time);

// PR_DISPLAY_TO, _CC, _BCC: names of that recipient type joined by "; ", cut after `bytes_max`.
std::string DisplayNames(const RecipientTable& rows, std::int64_t recipient_type,
                         std::size_t bytes_max);

// "RE: budget" is the prefix "RE: " and the normalized subject "budget": 1..3 letters, colon,
// space.
struct SubjectParts {
  std::string_view prefix;
  std::string_view normalized;
};
SubjectParts SplitSubject(std::string_view subject);

}  // namespace bobbin
