// What the database remembers of its deleted messages, and the totals of its tables.
//
// Method: rapidcheck makes a list of transactions, each of a few steps (store, draw without
// storing, store what was drawn, replace, erase; some end in an error). After each, the intervals
// must say of every message whether it lives, as a std::set does, with no more of them than living
// messages and one; and every total must be that of the rows.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <iterator>
#include <set>

#include "engine/database.h"
#include "engine/kv/memory_engine.h"
#include "engine/rows.h"

namespace bobbin {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

class Deleting {
 public:
  struct Step {
    int kind = 0;
    std::size_t pick = 0;
  };

  // False when it refused, which then must have left no trace.
  bool Run(const std::vector<Step>& steps, bool refuse = false) {
    const auto before = state_;
    const bool ran = engine_
                         ->Update([&](kv::WriteTransaction& raw) -> Result<void> {
                           state_ = before;
                           RowWriter rows(codec_, raw);
                           for (const Step& step : steps) RETURN_IF_ERROR(Take(rows, step));
                           if (refuse) return Fail(ErrorCode::kCancel, "as asked");
                           return {};
                         })
                         .IsCommitted();
    if (!ran) state_ = before;
    return ran;
  }

  std::vector<DeletedMessages> Intervals() {
    std::vector<DeletedMessages> found;
    const Result<void> read = engine_->View([&](kv::ReadTransaction& raw) {
      return RowReader(codec_, raw).ScanDeleted(kAll, [&](const DeletedMessages& deleted) {
        found.insert(found.begin(), deleted);
        return Result<bool>(true);
      });
    });
    EXPECT_TRUE(read);
    return found;
  }

  std::string Wrong() {
    const std::vector<DeletedMessages> intervals = Intervals();
    std::set<std::uint64_t> said;
    for (std::size_t i = 0; i < intervals.size(); ++i) {
      const auto [first, last] = intervals[i];
      if (first > last || last >= state_.next) return "no interval";
      for (std::uint64_t id = first; id <= last; ++id) said.insert(id);
      const auto living = state_.living.lower_bound(first);
      if (living != state_.living.end() && *living <= last) return "a living one is in it";
      const bool has_next = i + 1 < intervals.size();
      if (has_next && (living == state_.living.end() || *living > intervals[i + 1].first)) {
        return "nothing lives between two";
      }
    }
    if (intervals.size() > state_.living.size() + 1) return "too many rows";
    if (!std::includes(said.begin(), said.end(), state_.deleted.begin(), state_.deleted.end())) {
      return "a deleted one is in none";
    }
    return WrongTotals();
  }

 private:
  struct State {
    std::uint64_t next = 1;
    std::set<std::uint64_t> living;
    std::set<std::uint64_t> deleted;
    std::set<std::uint64_t> drafts;
  };

  static std::uint64_t Pick(const std::set<std::uint64_t>& from, std::size_t pick) {
    return *std::next(from.begin(), static_cast<std::ptrdiff_t>(pick % from.size()));
  }

  Result<void> Store(RowWriter& rows, std::uint64_t id) {
    state_.living.insert(id);
    MessageRecord record;
    record.revision = ++revision_;
    return rows.PutMessage(MessageId{id}, record);
  }

  Result<void> Take(RowWriter& rows, const Step& step) {
    switch (step.kind) {
      case 0:
      case 1:
        return Store(rows, state_.next++);
      case 2:  // Some of it is never stored.
        for (std::size_t i = step.pick % 4; i > 0; --i) state_.drafts.insert(state_.next++);
        return {};
      case 3: {
        if (state_.drafts.empty()) return {};
        const std::uint64_t id = Pick(state_.drafts, step.pick);
        state_.drafts.erase(id);
        return Store(rows, id);
      }
      case 4:
        return state_.living.empty() ? Result<void>() : Store(rows, Pick(state_.living, step.pick));
      default: {
        if (state_.living.empty()) return rows.EraseMessage(MessageId{state_.next});
        const std::uint64_t id = Pick(state_.living, step.pick);
        state_.living.erase(id);
        state_.deleted.insert(id);
        return rows.EraseMessage(MessageId{id});
      }
    }
  }

  std::string WrongTotals() {
    std::string wrong;
    EXPECT_TRUE(engine_->View([&](kv::ReadTransaction& raw) -> Result<void> {
      wrong.clear();
      RowReader rows(codec_, raw);
      ASSIGN_OR_RETURN(const auto totals, rows.Totals());
      for (std::size_t i = 0; totals && i < totals->size(); ++i) {
        TableTotal total;
        RETURN_IF_ERROR(rows.Scan(kv::TableId{static_cast<std::uint8_t>(i)}, {}, {},
                                  [&](std::string_view, std::string_view value) {
                                    total.Add(value);
                                    return Result<bool>(true);
                                  }));
        if (total != (*totals)[i]) wrong = "the total of " + std::string(table::kNames[i]);
      }
      if (!totals && !(state_.living.empty() && state_.deleted.empty())) wrong = "no totals";
      return {};
    }));
    return wrong;
  }

  std::shared_ptr<kv::Engine> engine_ = kv::NewMemoryEngine(Database::TableNames());
  const RecordCodec codec_{RecordKey{}};
  State state_;
  std::uint32_t revision_ = 0;
};

RC_GTEST_PROP(DeletedMessages, AreKeptAsASetWould, ()) {
  using Transaction = std::vector<std::pair<int, std::size_t>>;
  // Numbers are small, too, where lists are to be short.
  const auto step = rc::gen::resize(
      rc::kNominalSize,
      rc::gen::pair(rc::gen::inRange(0, 8), rc::gen::inRange<std::size_t>(0, 1000)));
  const auto transactions =
      *rc::gen::resize(100, rc::gen::container<std::vector<Transaction>>(
                                rc::gen::resize(4, rc::gen::container<Transaction>(step))));
  Deleting database;
  for (const Transaction& transaction : transactions) {
    std::vector<Deleting::Step> steps;
    for (const auto& [kind, pick] : transaction) steps.push_back({kind, pick});
    const bool refuse = !steps.empty() && steps[0].pick % 5 == 0;
    database.Run(steps, refuse);
    RC_ASSERT(database.Wrong() == std::string());
  }
}

TEST(DeletedMessages, OfAQueueAreOneRowWhateverIsNeverStored) {
  Deleting database;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(database.Run({{0}, {2, static_cast<std::size_t>(i)}}));
    ASSERT_TRUE(i < 10 || database.Run({{5, 0}}));
  }
  EXPECT_EQ(database.Intervals().size(), 1U);
  EXPECT_EQ(database.Wrong(), "");
}

}  // namespace
}  // namespace bobbin
