// Random sequences of everything that can be done to messages, by two clients with stale objects
// and two spooler sessions, against a model that fits on a few pages (specification, section 5).
//
// Method: rapidcheck makes a list of steps; each is taken in a real database and in
// the model, whose answer must be the same. After every step all that can be seen of every message,
// of the queue and of the folders is compared, and CheckStore must be clean.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/engine/submission_model.h"

namespace bobbin {
namespace {

TEST(MessageStoreModel, AgreesWithTheStoreOnRandomSequences) {
  // A list that fails is printed whole: shortening it opens a database per try and takes minutes.
  // With the "reproduce" that is printed too, RC_PARAMS does it.
  setenv("RC_PARAMS", "max_success=25 noshrink=1", 0);
  // Long lists from the start: a short one seldom brings a message far.
  const auto steps =
      rc::gen::resize(200, rc::gen::container<std::vector<ModelStep>>(rc::gen::construct<ModelStep>(
                               rc::gen::inRange<std::size_t>(0, SubmissionModel::kKindCount),
                               rc::gen::inRange<std::size_t>(0, 6), rc::gen::inRange(0, 32))));
  const bool agrees = rc::check("the store does what the model does", [&] {
    const std::vector<ModelStep> list = *steps;
    TemporaryDatabase database;
    SubmissionModel model(database);
    for (const ModelStep& step : list) {
      model.Take(step);
      model.Compare();
    }
  });
  EXPECT_TRUE(agrees);
}

}  // namespace
}  // namespace bobbin
