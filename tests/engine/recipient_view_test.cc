// The recipient table as a table: live, with columns, and restricted as a store that takes
// submissions must be able to.
#include "engine/recipient_view.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr PropertyTag kSpoolerStatus{0x0E100003};

class RecipientViews : public testing::Test {
 protected:
  RecipientViews() : message_(Must(database_.Store().CreateMessage(Outbox()))) {
    RecipientRow fax;
    fax.properties = {Property::Number(pr::kRecipientType, kRecipientBcc),
                      Property::Bytes(pr::kAddressType, "FAX"),
                      Property::Bytes(pr::kDisplayName, "The fax")};
    RecipientRow served = MakeSmtpRecipient("c@x.test", kRecipientCc, "Cee");
    served.properties.Set(Property::Number(kSpoolerStatus, 0));
    served.delivery.responsibility = true;
    Must(message_.ModifyRecipients(
        kModifyRecipientsAdd,
        {MakeSmtpRecipient("b@x.test", kRecipientTo, "Bee"), served, std::move(fax)}));
  }
  FolderId Outbox() { return database_.Store().Folders().outbox; }

  std::vector<std::string> Names(const Restriction& restriction) {
    RecipientView view = Must(message_.ViewRecipients());
    Must(view.Restrict(restriction));
    Must(view.SetColumns(std::vector{pr::kDisplayName}));
    std::vector<std::string> names;
    for (const RecipientColumns& row : Must(view.QueryRows(100))) names.push_back(row[0].bytes);
    EXPECT_EQ(Must(view.RowCount()), names.size());
    return names;
  }
  static Restriction Is(Property property) {
    return Restriction::Compare(Relation::kEqual, std::move(property));
  }
  static Restriction IsNot(Property property) {
    return Restriction::Compare(Relation::kNotEqual, std::move(property));
  }

  TemporaryDatabase database_;
  Message message_;
};

TEST_F(RecipientViews, CompareTheFiveRequiredColumns) {
  EXPECT_THAT(Names(Is(Property::Bytes(pr::kAddressType, "SMTP"))), ElementsAre("Bee", "Cee"));
  EXPECT_THAT(Names(IsNot(Property::Bytes(pr::kAddressType, "SMTP"))), ElementsAre("The fax"));
  EXPECT_THAT(Names(Is(Property::Bytes(pr::kAddressType, "smtp"))), IsEmpty()) << "byte for byte";
  EXPECT_THAT(Names(Is(Property::Bytes(pr::kEmailAddress, "b@x.test"))), ElementsAre("Bee"));
  EXPECT_THAT(Names(IsNot(Property::Bytes(pr::kEmailAddress, "b@x.test"))), ElementsAre("Cee"))
      << "the fax has none, so it is neither";
  EXPECT_THAT(Names(Is(Property::Number(pr::kRecipientType, kRecipientCc))), ElementsAre("Cee"));
  EXPECT_THAT(Names(IsNot(Property::Number(pr::kRecipientType, kRecipientCc))),
              ElementsAre("Bee", "The fax"));
  EXPECT_THAT(Names(Is(Property::Number(pr::kResponsibility, 1))), ElementsAre("Cee"));
  EXPECT_THAT(Names(IsNot(Property::Number(pr::kResponsibility, 1))),
              ElementsAre("Bee", "The fax"));
  EXPECT_THAT(Names(Is(Property::Number(kSpoolerStatus, 0))), ElementsAre("Cee"));
  EXPECT_THAT(Names(IsNot(Property::Number(kSpoolerStatus, 7))), ElementsAre("Cee"));
}

TEST_F(RecipientViews, CombineWithAndOrAndExist) {
  const Restriction unserved = Is(Property::Number(pr::kResponsibility, 0));
  const Restriction has_address = Restriction::Exists(pr::kEmailAddress);
  EXPECT_THAT(Names(has_address), ElementsAre("Bee", "Cee"));
  EXPECT_THAT(Names(Restriction::Exists(pr::kResponsibility)), testing::SizeIs(3));
  EXPECT_THAT(Names(Restriction::Exists(PropertyTag{0x6600001F})), IsEmpty());
  EXPECT_THAT(Names(Restriction::And({unserved, has_address})), ElementsAre("Bee"));
  EXPECT_THAT(Names(Restriction::Or({Is(Property::Bytes(pr::kDisplayName, "Cee")),
                                     Is(Property::Bytes(pr::kAddressType, "FAX"))})),
              ElementsAre("Cee", "The fax"));
  EXPECT_THAT(Names(Restriction::And({Restriction::Or({unserved, has_address}),
                                      IsNot(Property::Bytes(pr::kDisplayName, "Bee"))})),
              ElementsAre("Cee", "The fax"));
}

TEST_F(RecipientViews, ReadStringsOfEitherType) {
  const PropertyTag eight_bit = pr::kEmailAddress.WithType(PropertyType::kString8);
  EXPECT_THAT(Names(Is(Property::Bytes(eight_bit, "b@x.test"))), ElementsAre("Bee"));
  EXPECT_THAT(Names(Is(Property::Number(pr::kEmailAddress.WithType(PropertyType::kLong), 0))),
              IsEmpty());
  RecipientView view = Must(message_.ViewRecipients());
  Must(view.SetColumns(
      std::vector{eight_bit, pr::kDisplayName.WithType(PropertyType::kUnspecified)}));
  EXPECT_EQ(Must(view.QueryRows(1))[0],
            (RecipientColumns{Property::Bytes(eight_bit, "b@x.test"),
                              Property::Bytes(pr::kDisplayName, "Bee")}));
}

TEST_F(RecipientViews, ShowTheRequiredColumnsAndErrorsForWhatIsMissing) {
  RecipientView view = Must(message_.ViewRecipients());
  EXPECT_THAT(Must(view.Columns()),
              testing::IsSupersetOf({pr::kRowId, pr::kDisplayName, pr::kRecipientType,
                                     pr::kAddressType, pr::kResponsibility}));
  const PropertyTag null{0x00000001};
  Must(view.SetColumns(std::vector{pr::kRowId, null, pr::kEmailAddress, pr::kResponsibility}));
  const auto rows = Must(view.QueryRows(100));
  ASSERT_EQ(rows.size(), 3U);
  const RecipientTable table = Must(message_.GetRecipientTable());
  EXPECT_EQ(rows[2], (RecipientColumns{
                         Property::Number(pr::kRowId, table[2].id.value), Property::Number(null, 0),
                         Property::Number(pr::kEmailAddress.WithType(PropertyType::kError),
                                          static_cast<std::int64_t>(ErrorCode::kNotFound)),
                         Property::Number(pr::kResponsibility, 0)}));
  EXPECT_EQ(rows[1][3].number, 1);
}

TEST_F(RecipientViews, AreLive) {
  RecipientView view = Must(message_.ViewRecipients());
  Must(view.Restrict(Is(Property::Bytes(pr::kAddressType, "SMTP"))));
  Must(message_.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("d@x.test", 1)}));
  EXPECT_EQ(Must(view.RowCount()), 3U) << "not saved, and seen";
  Must(message_.ModifyRecipients(kModifyRecipientsRemove,
                                 {Must(message_.GetRecipientTable()).front()}));
  EXPECT_EQ(Must(view.RowCount()), 2U);
  Must(message_.SubmitMessage());
  EXPECT_THAT(view.RowCount(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(message_.ViewRecipients(), IsError(ErrorCode::kInvalidObject));
}

TEST_F(RecipientViews, GiveRowsByParts) {
  RecipientView view = Must(message_.ViewRecipients());
  Must(view.SetColumns(std::vector{pr::kDisplayName}));
  EXPECT_EQ(Must(view.QueryRows(1, 1)).at(0)[0].bytes, "Cee");
  EXPECT_EQ(Must(view.QueryRows(100, 1)).size(), 2U);
  EXPECT_THAT(Must(view.QueryRows(100, 3)), IsEmpty());
  const Restriction bcc = Is(Property::Number(pr::kRecipientType, kRecipientBcc));
  EXPECT_EQ(Must(view.FindRow(bcc)), 2U);
  EXPECT_THAT(view.FindRow(bcc, 3), IsError(ErrorCode::kNotFound));
  Must(view.Restrict(IsNot(Property::Bytes(pr::kDisplayName, "Bee"))));
  EXPECT_EQ(Must(view.FindRow(bcc)), 1U) << "positions are those of the rows shown";
}

TEST_F(RecipientViews, RefuseWhatTheyCannotDoAndStayAsTheyWere) {
  RecipientView view = Must(message_.ViewRecipients());
  Must(view.SetColumns(std::vector{pr::kDisplayName}));
  Must(view.Restrict(Is(Property::Number(pr::kRecipientType, kRecipientCc))));
  const auto refuse = [&](ErrorCode code, const Restriction& restriction) {
    EXPECT_THAT(view.Restrict(restriction), IsError(code));
    EXPECT_THAT(view.FindRow(restriction), IsError(code));
    EXPECT_THAT(view.Restrict(Restriction::And({restriction})), IsError(code)) << "inside, too";
    EXPECT_EQ(Must(view.RowCount()), 1U);
  };
  for (const Relation relation : {Relation::kLess, Relation::kLessOrEqual, Relation::kGreater,
                                  Relation::kGreaterOrEqual, static_cast<Relation>(6)}) {
    refuse(ErrorCode::kTooComplex,
           Restriction::Compare(relation, Property::Number(pr::kRecipientType, 1)));
  }
  refuse(ErrorCode::kTooComplex, Is(Property::Bytes(PropertyTag{0x6601101F}, "")));
  refuse(ErrorCode::kInvalidParameter, Is(Property::Bytes(pr::kMessageRecipients, "")));
  refuse(ErrorCode::kInvalidParameter, Is(Property::Number(PropertyTag{0x0C15000A}, 1)));
  refuse(ErrorCode::kInvalidParameter, Restriction::And({}));
  refuse(ErrorCode::kInvalidParameter, Restriction::Or({}));
  Restriction deep = Restriction::Exists(pr::kRowId);
  for (int i = 0; i < 31; ++i) deep = Restriction::And({deep});
  EXPECT_THAT(view.Restrict(deep), IsOk());
  EXPECT_EQ(Must(view.RowCount()), 3U);
  EXPECT_THAT(view.Restrict(Restriction::Or({deep})), IsError(ErrorCode::kTooComplex));
  EXPECT_THAT(view.SetColumns({}), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(view.QueryRows(0), IsError(ErrorCode::kInvalidParameter));
  EXPECT_EQ(Must(view.QueryRows(100)).size(), 3U);
}

}  // namespace
}  // namespace bobbin
