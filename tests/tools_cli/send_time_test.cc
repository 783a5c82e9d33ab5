// Times as people type them.
#include "tools/bobbin/send_time.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"
#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

const Time kNow = FromFileTime(kFileTimeOfUnixEpoch) + std::chrono::seconds(1'000'000'000);

std::string Parsed(std::string_view text) {
  const Result<Time> time = ParseSendTime(text, kNow);
  return time ? FormatTime(*time) : std::string(ErrorName(time.error().code));
}

TEST(SendTime, ReadsRfc3339) {
  EXPECT_EQ(Parsed("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00.000Z");
  EXPECT_EQ(Parsed("2026-01-31t12:00:00z"), "2026-01-31T12:00:00.000Z");
  EXPECT_EQ(Parsed("2026-01-31 12:00:00Z"), "2026-01-31T12:00:00.000Z");
  EXPECT_EQ(Parsed("2026-01-31T12:00:00.25Z"), "2026-01-31T12:00:00.250Z");
  EXPECT_EQ(Parsed("2026-01-31T12:00:00.1234567890123Z"), "2026-01-31T12:00:00.123Z");
  EXPECT_EQ(Parsed("2026-01-01T00:30:00+01:00"), "2025-12-31T23:30:00.000Z");
  EXPECT_EQ(Parsed("2025-12-31T20:30:00-03:30"), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(Parsed("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00.000Z");
  EXPECT_EQ(Parsed("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z") << "a leap second";
  EXPECT_EQ(Parsed("0001-01-01T00:00:00Z"), "1970-01-01T00:00:00.000Z") << "long past";
}

TEST(SendTime, ReadsDistances) {
  ASSERT_EQ(FormatTime(kNow), "2001-09-09T01:46:40.000Z");
  EXPECT_EQ(Parsed("+0s"), "2001-09-09T01:46:40.000Z");
  EXPECT_EQ(Parsed("+90s"), "2001-09-09T01:48:10.000Z");
  EXPECT_EQ(Parsed("+30m"), "2001-09-09T02:16:40.000Z");
  EXPECT_EQ(Parsed("+2h"), "2001-09-09T03:46:40.000Z");
  EXPECT_EQ(Parsed("+1d"), "2001-09-10T01:46:40.000Z");
  EXPECT_EQ(Parsed("+1h30m"), "2001-09-09T03:16:40.000Z");
}

TEST(SendTime, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      "now",
                                      "+",
                                      "+h",
                                      "+2",
                                      "+2w",
                                      "-2h",
                                      "2h",
                                      "+2h ",
                                      "+99999999999999999999s",
                                      "+9999999999d",
                                      "+9000000000h9000000000h",
                                      "2026-01-31",
                                      "2026-01-31T12:00:00",
                                      "2026-01-31T12:00Z",
                                      "2026-02-29T12:00:00Z",
                                      "2026-13-01T12:00:00Z",
                                      "2026-01-31T24:00:00Z",
                                      "2026-01-31T12:60:00Z",
                                      "2026-01-31T12:00:61Z",
                                      "2026-01-31T12:00:00.Z",
                                      "2026-01-31T12:00:00+1:00",
                                      "2026-01-31T12:00:00+24:00",
                                      "2026-01-31T12:00:00Z ",
                                      "2201-01-01T00:00:00Z",
                                      "12026-01-31T12:00:00Z"}) {
    EXPECT_EQ(Parsed(text), "MAPI_E_INVALID_PARAMETER") << text;
  }
}

}  // namespace
}  // namespace bobbin::cli
