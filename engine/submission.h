// The submission model's states and rules, without storage (specification, section 5).
//
//   state    persistent marks                                    may go to
//   DRAFT    UNSENT, not SUBMIT                                  PREQ, READYQ, HELD, GONE
//   PREQ     SUBMIT, UNSENT, SUBMITFLAG_PREPROCESS, queue row    READYQ, DRAFT
//   READYQ   SUBMIT, UNSENT, no submit flags, queue row          PREQ, DRAFT, SENT, GONE
//   HELD     READYQ whose effective deferred send time is ahead  READYQ, DRAFT
//   SENT     neither SUBMIT nor UNSENT                           GONE
//
// LOCKED is volatile and overlays PREQ and READYQ (engine/lock_table.h). kTransitions is the
// table; every transaction that changes a state asks IsLegal first, and CheckStore derives the
// same states from what is stored.
//
// Threads  Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/property.h"
#include "engine/recipient_table.h"
#include "engine/result.h"
#include "engine/rows.h"

namespace bobbin {

enum class SubmissionState : std::uint8_t { kDraft, kPreprocessQueue, kReadyQueue, kSent, kGone };

enum class SubmissionStep : std::uint8_t {
  kSubmit,        // T2, T3
  kPreprocess,    // A preprocessor was registered only after T3.
  kSecondSubmit,  // T6
  kAbort,         // T17
  kFinish,        // T16
  kDelete,        // T19
};

struct Transition {
  SubmissionState from;
  SubmissionStep step;
  SubmissionState to;
};

inline constexpr std::array<Transition, 14> kTransitions{{
    {SubmissionState::kDraft, SubmissionStep::kSubmit, SubmissionState::kPreprocessQueue},
    {SubmissionState::kDraft, SubmissionStep::kSubmit, SubmissionState::kReadyQueue},
    {SubmissionState::kSent, SubmissionStep::kSubmit, SubmissionState::kPreprocessQueue},
    {SubmissionState::kSent, SubmissionStep::kSubmit, SubmissionState::kReadyQueue},
    {SubmissionState::kPreprocessQueue, SubmissionStep::kPreprocess,
     SubmissionState::kPreprocessQueue},
    {SubmissionState::kReadyQueue, SubmissionStep::kPreprocess, SubmissionState::kPreprocessQueue},
    {SubmissionState::kPreprocessQueue, SubmissionStep::kSecondSubmit,
     SubmissionState::kReadyQueue},
    {SubmissionState::kPreprocessQueue, SubmissionStep::kAbort, SubmissionState::kDraft},
    {SubmissionState::kReadyQueue, SubmissionStep::kAbort, SubmissionState::kDraft},
    {SubmissionState::kReadyQueue, SubmissionStep::kFinish, SubmissionState::kSent},
    {SubmissionState::kReadyQueue, SubmissionStep::kFinish, SubmissionState::kGone},
    {SubmissionState::kPreprocessQueue, SubmissionStep::kFinish, SubmissionState::kSent},
    {SubmissionState::kDraft, SubmissionStep::kDelete, SubmissionState::kGone},
    {SubmissionState::kSent, SubmissionStep::kDelete, SubmissionState::kGone},
}};

constexpr bool IsLegal(SubmissionState from, SubmissionStep step) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == from && transition.step == step) return true;
  }
  return false;
}

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
