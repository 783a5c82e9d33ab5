// The state table (engine/submission.h) against the specification's, and that no record is written
// past it.
//
// Method: every row of 5.3 is written out here as it stands there, every pair 5.3 calls illegal
// too; the records are written by the steps of engine/message_rows.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/identity_file.h"
#include "engine/message_rows.h"
#include "engine/submission.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using State = SubmissionState;
using Step = SubmissionStep;

std::set<State> Targets(State from, Step step) {
  std::set<State> targets;
  for (const Transition& row : kTransitions) {
    if (row.from == from && row.step == step) targets.insert(row.to);
  }
  return targets;
}

TEST(SubmissionStates, HaveEveryTransitionOfTheSpecification) {
  const std::set<State> submitted{State::kPreprocessQueue, State::kReadyQueue, State::kHeld,
                                  State::kInline};
  EXPECT_TRUE(IsLegal(State::kNew, Step::kSave, State::kDraft)) << "T1";
  EXPECT_EQ(Targets(State::kNew, Step::kSubmit), submitted) << "T2, T3, T4a";
  EXPECT_EQ(Targets(State::kDraft, Step::kSubmit), submitted) << "T2, T3, T4a";
  EXPECT_EQ(Targets(State::kInline, Step::kServeInline), (std::set{State::kSent, State::kGone}))
      << "T4b";
  EXPECT_EQ(Targets(State::kInline, Step::kLeaveToSpooler), std::set{State::kReadyQueue}) << "T4c";
  EXPECT_EQ(Targets(State::kPreprocessQueue, Step::kLock), std::set{State::kLockedPreprocessQueue});
  for (const State state : {State::kReadyQueue, State::kWaiting, State::kDeferred}) {
    EXPECT_TRUE(IsLegal(state, Step::kLock, State::kLockedReadyQueue)) << "T5";
  }
  EXPECT_TRUE(IsLegal(State::kLockedPreprocessQueue, Step::kSecondSubmit, State::kLockedReadyQueue))
      << "T6";
  EXPECT_EQ(Targets(State::kLockedReadyQueue, Step::kOffer), std::set{State::kTransmitting})
      << "T7";
  EXPECT_EQ(Targets(State::kTransmitting, Step::kServe), std::set{State::kTransmitting}) << "T8";
  EXPECT_EQ(Targets(State::kTransmitting, Step::kEndServed), std::set{State::kLockedReadyQueue})
      << "T9";
  EXPECT_EQ(Targets(State::kTransmitting, Step::kEndWaiting), std::set{State::kWaiting}) << "T10";
  EXPECT_EQ(Targets(State::kTransmitting, Step::kEndDeferred), std::set{State::kDeferred}) << "T11";
  EXPECT_EQ(Targets(State::kDeferred, Step::kSentDeferred), std::set{State::kReadyQueue}) << "T12";
  EXPECT_EQ(Targets(State::kWaiting, Step::kRetry), std::set{State::kReadyQueue}) << "T13";
  EXPECT_EQ(Targets(State::kHeld, Step::kSendTimeReached), std::set{State::kReadyQueue}) << "T14";
  EXPECT_TRUE(IsLegal(State::kLockedReadyQueue, Step::kServe, State::kAllDone)) << "T15";
  EXPECT_EQ(Targets(State::kAllDone, Step::kFinish), (std::set{State::kSent, State::kGone}))
      << "T16";
  for (const State state : {State::kPreprocessQueue, State::kReadyQueue, State::kHeld,
                            State::kWaiting, State::kDeferred}) {
    EXPECT_EQ(Targets(state, Step::kAbort), std::set{State::kDraft}) << "T17";
  }
  for (const State state : {State::kLockedReadyQueue, State::kTransmitting, State::kAllDone}) {
    EXPECT_TRUE(IsLegal(state, Step::kUnlock, State::kReadyQueue)) << "T18";
  }
  EXPECT_EQ(Targets(State::kLockedPreprocessQueue, Step::kUnlock),
            std::set{State::kPreprocessQueue})
      << "T18";
  EXPECT_EQ(Targets(State::kDraft, Step::kDelete), std::set{State::kGone}) << "T19";
}

TEST(SubmissionStates, NameEveryRowOfTheSpecificationAndNoneTwice) {
  std::set<std::string> sources;
  for (const Transition& row : kTransitions) {
    sources.emplace(row.source);
    EXPECT_EQ(std::count_if(kTransitions.begin(), kTransitions.end(),
                            [&](const Transition& other) {
                              return row.from == other.from && row.step == other.step &&
                                     row.to == other.to;
                            }),
              1)
        << row.source;
  }
  for (int number = 1; number <= 19; ++number) {
    if (number == 4) continue;
    EXPECT_TRUE(sources.contains("T" + std::to_string(number))) << number;
  }
  for (const char* part : {"T4a", "T4b", "T4c"}) EXPECT_TRUE(sources.contains(part)) << part;
}

TEST(SubmissionStates, HaveNoneThatTheSpecificationForbids) {
  for (const Transition& row : kTransitions) {
    const bool taken_back = row.to == State::kDraft && row.from != State::kNew;
    EXPECT_TRUE(!taken_back || row.from == State::kDraft || row.step == Step::kAbort) << row.source;
    if (row.step == Step::kAbort) {
      EXPECT_NE(row.from, State::kInline);
      EXPECT_NE(row.from, State::kLockedReadyQueue);
      EXPECT_NE(row.from, State::kLockedPreprocessQueue);
      EXPECT_NE(row.from, State::kTransmitting);
      EXPECT_NE(row.from, State::kAllDone);
    }
    EXPECT_NE(row.from, State::kGone) << "a deleted message comes back by " << row.source;
    EXPECT_NE(row.to, State::kNew) << row.source;
    EXPECT_FALSE(row.from == State::kReadyQueue && row.to == State::kGone)
        << "a queued message is deleted by " << row.source;
  }
}

class SubmissionStatesInTheStore : public testing::Test {
 protected:
  SubmissionStatesInTheStore() {
    Message draft = NewDraft(database_.Store(), {"c@x.test"}, "subject");
    Must(draft.SaveChanges());
    id_ = MessageId{Must(draft.Id()).Object()};
    codec_.emplace(Must(ReadIdentityFile(database_.Path())).record_key);
    database_.Close();
    engine_ = database_.Engine();
  }

  MessageRecord Stored() {
    std::optional<MessageRecord> record;
    Must(engine_->View([&](kv::ReadTransaction& transaction) -> Result<void> {
      RowReader rows(*codec_, transaction);
      ASSIGN_OR_RETURN(record, rows.Message(id_));
      return {};
    }));
    return record.value();
  }

  Result<void> Write(Step step, const std::function<void(MessageRecord&)>& change) {
    return Update([&](RowWriter& rows) -> Result<void> {
      ASSIGN_OR_RETURN(const auto before, rows.Message(id_));
      MessageRecord record = *before;
      change(record);
      return ReplaceMessage(rows, id_, *before, record, step);
    });
  }

  Result<void> Update(const std::function<Result<void>(RowWriter&)>& write) {
    return engine_
        ->Update([&](kv::WriteTransaction& transaction) -> Result<void> {
          RowWriter rows(*codec_, transaction);
          return write(rows);
        })
        .ToResult();
  }

  TemporaryDatabase database_;
  MessageId id_;
  std::optional<RecordCodec> codec_;
  std::shared_ptr<kv::Engine> engine_;
};

TEST_F(SubmissionStatesInTheStore, GovernEveryRecordThatIsWritten) {
  const MessageRecord before = Stored();
  const auto nothing = [](MessageRecord&) {};
  const auto sent = [](MessageRecord& record) { record.message_flags &= ~kMsgFlagUnsent; };
  const auto queued = [](MessageRecord& record) {
    record.message_flags |= kMsgFlagSubmit;
    record.queue_sequence = 7;
  };
  for (const Step step : {Step::kFinish, Step::kSave, Step::kSubmit}) {
    EXPECT_THAT(Write(step, sent), IsError(ErrorCode::kCorruptStore));
  }
  for (const Step step : {Step::kSave, Step::kLock, Step::kSecondSubmit, Step::kAbort}) {
    EXPECT_THAT(Write(step, queued), IsError(ErrorCode::kCorruptStore));
  }
  EXPECT_THAT(Write(Step::kAbort, nothing), IsError(ErrorCode::kCorruptStore));
  EXPECT_THAT(
      Update([&](RowWriter& rows) { return EraseMessage(rows, id_, before, Step::kFinish); }),
      IsError(ErrorCode::kCorruptStore));
  EXPECT_THAT(Update([&](RowWriter& rows) {
                return InsertMessage(rows, MessageId{id_.value + 1}, before, Step::kSubmit);
              }),
              IsError(ErrorCode::kCorruptStore));
  EXPECT_EQ(Stored().revision, before.revision) << "a refused step wrote its record";

  EXPECT_THAT(Write(Step::kSave, nothing), IsOk());
  EXPECT_EQ(Stored().revision, before.revision + 1);
  EXPECT_THAT(Write(Step::kSubmit, queued), IsOk());
}

}  // namespace
}  // namespace bobbin
