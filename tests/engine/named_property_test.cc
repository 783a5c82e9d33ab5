// Named properties: one identifier per name and database, for good.
#include "engine/named_property.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "engine/database_state.h"
#include "engine/keyspace.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr ClassId kAppointments = MicrosoftPropertySet(0x00062002);

class NamedProperties : public testing::Test {
 protected:
  Result<std::vector<PropertyTag>> Ids(std::vector<PropertyName> names,
                                       std::uint32_t flags = kMapiCreate) {
    return GetIdsFromNames(database_.Database(), names, flags);
  }
  std::optional<PropertyName> NameOf(PropertyTag tag) {
    return Must(GetNamesFromIds(database_.Database(), {&tag, 1})).at(0);
  }

  TemporaryDatabase database_;
};

TEST_F(NamedProperties, GetIdentifiersThatStay) {
  const PropertyName number{kAppointments, 0x8205U};
  const PropertyName text{kPublicStringsPropertySet, "Keywords"};
  EXPECT_THAT(
      Must(Ids({number, text, number})),
      ElementsAre(PropertyTag{0x80000000}, PropertyTag{0x80010000}, PropertyTag{0x80000000}));
  database_.Reopen();
  EXPECT_THAT(Must(Ids({text, number}, 0)),
              ElementsAre(PropertyTag{0x80010000}, PropertyTag{0x80000000}));
  EXPECT_EQ(NameOf(PropertyTag{0x80000003}), number) << "whatever the type";
  EXPECT_EQ(NameOf(PropertyTag{0x8001001F}), text);
  EXPECT_EQ(NameOf(PropertyTag{0x80020000}), std::nullopt);
  EXPECT_EQ(Findings(database_.Database()), "");
}

// A number and its digits, an upper and a lower case letter, two sets: all are different names.
TEST_F(NamedProperties, DifferInEveryPartOfTheName) {
  const std::vector<PropertyTag> tags =
      Must(Ids({{kAppointments, 49U},
                {kAppointments, "1"},
                {kAppointments, "a"},
                {kAppointments, "A"},
                {kAppointments, std::string("a\0", 2)},
                {kPublicStringsPropertySet, "a"},
                {kPublicStringsPropertySet, std::string(kPropertyNameBytesMax, 'x')}}));
  EXPECT_EQ(std::set<PropertyTag>(tags.begin(), tags.end()).size(), tags.size());
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(NamedProperties, AreNotCreatedUnlessAskedFor) {
  EXPECT_THAT(Must(Ids({{kAppointments, 1U}}, 0)), ElementsAre(PropertyTag{0x0000000A}));
  EXPECT_THAT(Must(Ids({{kAppointments, 2U}})), ElementsAre(PropertyTag{0x80000000}));
}

TEST_F(NamedProperties, OfPsMapiAreTheIdentifierItself) {
  EXPECT_THAT(Must(Ids({{kMapiPropertySet, 0x0037U}}, 0)), ElementsAre(PropertyTag{0x00370000}));
  EXPECT_EQ(NameOf(pr::kSubject), (PropertyName{kMapiPropertySet, 0x0037U}));
}

TEST_F(NamedProperties, AllOrNoneOfACallAreCreated) {
  const PropertyName good{kAppointments, 1U};
  for (const PropertyName& bad :
       {PropertyName{kAppointments, ""}, PropertyName{kAppointments, "\xFF"},
        PropertyName{kAppointments, std::string(481, 'x')}, PropertyName{kMapiPropertySet, 0x8000U},
        PropertyName{kMapiPropertySet, "text"}}) {
    EXPECT_THAT(Ids({good, bad}), IsError(ErrorCode::kInvalidParameter));
  }
  EXPECT_THAT(Ids({good}, kMapiModify | kMapiCreate), IsError(ErrorCode::kUnknownFlags));
  EXPECT_THAT(Must(Ids({good}, 0)), ElementsAre(PropertyTag{0x0000000A}));
}

TEST_F(NamedProperties, EndAtFFFE) {
  std::vector<PropertyName> names;
  for (std::uint32_t i = kNamedPropertyFirst; i < kNamedPropertyLast; ++i) {
    names.push_back({kAppointments, i});
  }
  EXPECT_EQ(Must(Ids(names)).back(), PropertyTag{0xFFFD0000});
  EXPECT_THAT(Ids({{kAppointments, "one"}, {kAppointments, "too many"}}),
              IsError(ErrorCode::kNotEnoughResources));
  EXPECT_THAT(Must(Ids({{kAppointments, "one"}})), ElementsAre(PropertyTag{0xFFFE0000}));
  EXPECT_THAT(Ids({{kAppointments, "too many"}}), IsError(ErrorCode::kNotEnoughResources));
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(NamedProperties, OneNameHasOneIdentifierWhoeverAsks) {
  constexpr int kThreads = 4;
  constexpr std::uint32_t kNames = 50;
  std::vector<std::vector<PropertyTag>> seen(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < kNames; ++i) {
        seen[static_cast<std::size_t>(t)].push_back(Must(Ids({{kAppointments, i}})).at(0));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& tags : seen) EXPECT_EQ(tags, seen[0]);
  EXPECT_EQ(std::set<PropertyTag>(seen[0].begin(), seen[0].end()).size(), kNames);
  EXPECT_EQ(Findings(database_.Database()), "");
}

// Values under a named tag are stored like any other, and the check sees names that lost their way.
TEST_F(NamedProperties, HoldValues) {
  const PropertyTag tag = Must(Ids({{kAppointments, "Place"}}))[0].WithType(PropertyType::kUnicode);
  Message message = NewDraft(database_.Store());
  Must(message.SetProps(std::vector{Property::Bytes(tag, "Room 5")}));
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges());
  EXPECT_EQ(StoredProps(database_.Database(), id).BytesOr(tag, {}), "Room 5");
}

TEST_F(NamedProperties, CheckFindsANameThatLeadsElsewhere) {
  Must(Ids({{kAppointments, "a"}, {kAppointments, "b"}}));
  Must(database_.Database().State()->Update([](RowWriter& rows) -> Result<void> {
    return rows.Erase(table::kMeta, PropertyNameKey({kAppointments, "a"}));
  }));
  EXPECT_THAT(Findings(database_.Database()), HasSubstr("does not lead to it"));
  Must(database_.Database().State()->Update([](RowWriter& rows) -> Result<void> {
    RETURN_IF_ERROR(rows.PutPropertyName(0x8000, {kAppointments, "b"}));
    return rows.PutPropertyName(0x9000, {kAppointments, "c"});
  }));
  EXPECT_THAT(Findings(database_.Database()), HasSubstr("beyond the counter"));
  EXPECT_THAT(Findings(database_.Database()), HasSubstr("does not lead to it"));
}

TEST(ClassIdText, IsWrittenAsWindowsDoes) {
  EXPECT_EQ(kMapiPropertySet.ToText(), "{00020328-0000-0000-C000-000000000046}");
  EXPECT_EQ(Must(ClassId::FromBytes("\x01\x02\x03\x04\x05\x06\x07\x08"
                                    "abcdefgh"))
                .ToText(),
            "{04030201-0605-0807-6162-636465666768}");
  EXPECT_THAT(ClassId::FromBytes("short"), IsError(ErrorCode::kInvalidParameter));
}

}  // namespace
}  // namespace bobbin
