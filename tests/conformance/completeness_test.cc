// Every statement that must be proved has a test named after it, so that none is forgotten.
#include <gmock/gmock.h>

#include <set>
#include <string>
#include <vector>

namespace bobbin {
namespace {

constexpr int kRequired[] = {1,  2,   3,   4,   5,   7,   8,   9,   10,  11,  12,  13, 14, 15,
                             16, 17,  18,  19,  21,  22,  23,  24,  26,  27,  28,  29, 30, 31,
                             36, 37,  40,  41,  42,  44,  46,  50,  51,  52,  53,  54, 58, 63,
                             68, 69,  83,  84,  85,  86,  88,  89,  90,  91,  92,  93, 94, 95,
                             96, 107, 108, 109, 110, 111, 114, 115, 116, 117, 118, 119};

TEST(ConformanceList, EveryRequiredStatementHasATest) {
  std::set<int> proved;
  const testing::UnitTest& program = *testing::UnitTest::GetInstance();
  for (int suite = 0; suite < program.total_test_suite_count(); ++suite) {
    const testing::TestSuite& tests = *program.GetTestSuite(suite);
    if (std::string(tests.name()) != "Conformance") continue;
    for (int i = 0; i < tests.total_test_count(); ++i) {
      const std::string name = tests.GetTestInfo(i)->name();
      ASSERT_EQ(name[0], 'C') << name;
      ASSERT_EQ(name[4], '_') << name;
      proved.insert(std::stoi(name.substr(1, 3)));
    }
  }
  std::vector<int> missing;
  for (const int statement : kRequired) {
    if (!proved.contains(statement)) missing.push_back(statement);
  }
  EXPECT_THAT(missing, testing::IsEmpty());
}

}  // namespace
}  // namespace bobbin
