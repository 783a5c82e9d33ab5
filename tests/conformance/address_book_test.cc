// Statements C33 to C35, C112 and C113: what SubmitMessage makes of the recipient table.
#include "engine/address_book.h"

#include "engine/one_off_entry_id.h"
#include "tests/conformance/conformance.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class AddressBookTest : public Conformance {
 protected:
  void TearDown() override { EXPECT_EQ(Findings(Db()), ""); }
  AddressBook Book() { return Db().GetAddressBook(); }
  void NewList(std::string_view name, const std::vector<std::string>& members,
               const std::vector<std::string>& lists = {}) {
    Must(Book().CreateList(name));
    for (const std::string& address : members) {
      Must(Book().AddMember(name, MakeSmtpRecipient(address, kRecipientTo)));
    }
    for (const std::string& list : lists) {
      Must(Book().AddMember(name, MakeListRecipient(list, kRecipientTo)));
    }
  }
  Message DraftTo(std::vector<RecipientRow> rows) {
    Message message = NewDraft(Store(), std::vector<std::string>{});
    Must(message.ModifyRecipients(kModifyRecipientsAdd, std::move(rows)));
    return message;
  }
  EntryId Submit(Message message) {
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }
  RecipientTable Stored(const EntryId& id) {
    return Must(Must(Db().OpenMessageForOperator(IdOf(id))).GetRecipientTable());
  }
  std::vector<std::string> Addresses(const EntryId& id) {
    std::vector<std::string> addresses;
    for (const RecipientRow& row : Stored(id)) addresses.emplace_back(row.EmailAddress());
    return addresses;
  }
  std::vector<std::string> Offered() {
    TransportScript script;
    ScriptedSpooler spooler(Db(), script);
    spooler.RunUntilIdle(Clock().Now());
    std::vector<std::string> addresses;
    for (const auto& offer : script.offers) {
      addresses.insert(addresses.end(), offer.addresses.begin(), offer.addresses.end());
    }
    return addresses;
  }
};

// C33: A failing PrepareSubmit or ExpandRecips is returned to the client and leaves no SUBMIT bit,
// no queue row.
TEST_F(AddressBookTest, C033_AFailingExpansionIsReturnedAndLeavesNothing) {
  Message message = DraftTo({MakeSmtpRecipient("b@x.test", kRecipientTo),
                             MakeListRecipient("nobody knows it", kRecipientTo)});
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  const std::string before = Describe(Db(), id);
  EXPECT_THAT(message.SubmitMessage(),
              IsErrorNaming(ErrorCode::kNotFound, std::vector<std::string>{"nobody knows it"}));
  EXPECT_EQ(Describe(Db(), id), before);
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  NewList("nobody knows it", {"c@x.test"});
  Must(message.SubmitMessage());
  EXPECT_THAT(Addresses(id), ElementsAre("b@x.test", "c@x.test"));
}

TEST_F(AddressBookTest, C033_MoreMembersThanAMessageMayHaveAreRefused) {
  Must(Book().CreateList("half"));
  for (std::uint32_t i = 0; i < kRecipientCountMax / 100; ++i) {
    const std::string part = "part" + std::to_string(i);
    Must(Book().CreateList(part));
    Must(Book().AddMember("half", MakeListRecipient(part, kRecipientTo)));
  }
  Message message = DraftTo({MakeListRecipient("half", kRecipientTo)});
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kNoRecipients)) << "lists of nobody";
  std::vector<RecipientRow> most;
  for (std::uint32_t i = 0; i < kRecipientCountMax; ++i) {
    most.push_back(MakeSmtpRecipient("r" + std::to_string(i) + "@x.test", kRecipientTo));
  }
  Must(message.ModifyRecipients(kModifyRecipientsReplace, most));
  Must(message.ModifyRecipients(kModifyRecipientsRemove, {[&] {
                                  RecipientRow row = Must(message.GetRecipientTable()).front();
                                  return row;
                                }()}));
  NewList("two", {"one@y.test", "two@y.test"});
  Must(message.ModifyRecipients(kModifyRecipientsAdd, {MakeListRecipient("two", kRecipientTo)}));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kTooBig));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
}

// C34: MAPIPDL recipients are replaced by their members before queueing. Nested, in cycles, with
// the list's recipient type.
TEST_F(AddressBookTest, C034_ListsGiveWayToTheirMembers) {
  NewList("inner", {"c@x.test", "d@x.test"});
  NewList("outer", {"b@x.test"}, {"inner"});
  Must(Book().AddMember("inner", MakeListRecipient("outer", kRecipientTo)));
  RecipientRow by_id = MakeListRecipient("a name of the user's own", kRecipientCc);
  by_id.properties.Set(
      Property::Bytes(pr::kEntryId, Must(Book().GetList("outer")).entry_id.ToBytes()));
  by_id.properties.Set(Property::Bytes(pr::kAddressType, "mapipdl"));
  const EntryId id =
      Submit(DraftTo({MakeSmtpRecipient("a@x.test", kRecipientTo), std::move(by_id)}));
  EXPECT_THAT(Addresses(id), ElementsAre("a@x.test", "b@x.test", "c@x.test", "d@x.test"));
  const RecipientTable rows = Stored(id);
  EXPECT_EQ(rows[0].Type(), kRecipientTo);
  for (std::size_t i = 1; i < rows.size(); ++i) EXPECT_EQ(rows[i].Type(), kRecipientCc);
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kDisplayCc, {}), "b@x.test; c@x.test; d@x.test");
  EXPECT_THAT(Offered(), ElementsAre("a@x.test", "b@x.test", "c@x.test", "d@x.test"));
}

TEST_F(AddressBookTest, C034_OriginalDisplayNamesAreRestored) {
  RecipientRow row = MakeSmtpRecipient("b@x.test", kRecipientTo, "My Friend");
  row.properties.Set(Property::Bytes(pr::kOriginalDisplayName, "Bob Builder"));
  const EntryId id = Submit(DraftTo({std::move(row)}));
  EXPECT_EQ(Stored(id)[0].DisplayName(), "Bob Builder");
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kDisplayTo, {}), "Bob Builder");
}

TEST_F(AddressBookTest, C034_MembersComeWithTheNamesTheListHas) {
  Must(Book().CreateList("friends"));
  Must(Book().AddMember("friends", MakeSmtpRecipient("b@x.test", kRecipientTo, "Bob Builder")));
  RecipientRow renamed = MakeSmtpRecipient("c@x.test", kRecipientTo, "My Friend");
  renamed.properties.Set(Property::Bytes(pr::kOriginalDisplayName, "Cee"));
  Must(Book().AddMember("friends", std::move(renamed)));
  const EntryId id = Submit(DraftTo({MakeListRecipient("friends", kRecipientCc)}));
  EXPECT_EQ(Stored(id)[0].DisplayName(), "Bob Builder");
  EXPECT_EQ(Stored(id)[1].DisplayName(), "Cee");
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kDisplayCc, {}), "Bob Builder; Cee");
}

TEST_F(AddressBookTest, C034_OneOffsGetAnEntryIdentifierAndOthersKeepTheirs) {
  const auto entry_id = [](const RecipientRow& row) {
    return std::string(row.properties.BytesOr(pr::kEntryId, {}));
  };
  RecipientRow renamed = MakeSmtpRecipient("b@x.test", kRecipientTo, "My Friend");
  renamed.properties.Set(Property::Bytes(pr::kOriginalDisplayName, "Bob Builder"));
  RecipientRow known = MakeSmtpRecipient("c@x.test", kRecipientTo);
  known.properties.Set(Property::Bytes(pr::kEntryId, "of an address book"));
  RecipientRow emptied = MakeSmtpRecipient("d@x.test", kRecipientTo, "D\u00e9");
  emptied.properties.Set(Property::Bytes(pr::kEntryId, ""));
  RecipientRow fax;
  fax.properties = {Property::Number(pr::kRecipientType, kRecipientTo),
                    Property::Bytes(pr::kAddressType, "fax"),
                    Property::Bytes(pr::kEmailAddress, "+1 555")};
  RecipientRow unresolved;
  unresolved.properties = {Property::Number(pr::kRecipientType, kRecipientTo),
                           Property::Bytes(pr::kDisplayName, "nobody knows whom")};
  NewList("inner", {"e@x.test"});
  NewList("list", {"B@x.test"}, {"inner"});
  EXPECT_EQ(entry_id(Must(Book().GetList("list")).members[1]), "") << "a list is no one-off";

  Message draft =
      DraftTo({renamed, known, emptied, fax, unresolved, MakeListRecipient("list", kRecipientTo)});
  EXPECT_EQ(entry_id(Must(draft.GetRecipientTable())[0]), "") << "not before it is submitted";
  const RecipientTable rows = Stored(Submit(std::move(draft)));
  ASSERT_THAT(rows, SizeIs(6)) << "the same address is one recipient, whatever its identifiers";
  EXPECT_EQ(entry_id(rows[0]), MakeOneOffEntryId({"Bob Builder", "SMTP", "b@x.test"}));
  EXPECT_EQ(entry_id(rows[1]), "of an address book");
  EXPECT_EQ(entry_id(rows[2]), MakeOneOffEntryId({"D\u00e9", "SMTP", "d@x.test"}));
  EXPECT_EQ(entry_id(rows[3]), MakeOneOffEntryId({"+1 555", "FAX", "+1 555"}));
  EXPECT_EQ(entry_id(rows[4]), "");
  EXPECT_EQ(entry_id(rows[5]), MakeOneOffEntryId({"e@x.test", "SMTP", "e@x.test"}));
}

// C35: Two rows with equal search key become one before any transport sees the message.
TEST_F(AddressBookTest, C035_DuplicatesBecomeOneBeforeATransportSeesThem) {
  NewList("list", {"B@X.test", "c@x.test"});
  const EntryId id = Submit(DraftTo({MakeSmtpRecipient("c@x.test", kRecipientBcc),
                                     MakeSmtpRecipient("b@x.test", kRecipientCc, "first of Cc"),
                                     MakeSmtpRecipient("b@X.TEST", kRecipientCc, "second"),
                                     MakeListRecipient("list", kRecipientTo)}));
  EXPECT_THAT(Addresses(id), ElementsAre("B@X.test", "c@x.test"));
  EXPECT_EQ(Stored(id)[0].Type(), kRecipientTo) << "To goes before Cc";
  EXPECT_THAT(Offered(), ElementsAre("B@X.test", "c@x.test"));

  // Without search keys the entry identifiers are compared.
  const auto known_as = [](const char* entry_id, std::int64_t type) {
    RecipientRow row;
    row.properties.Set(Property::Number(pr::kRecipientType, type));
    row.properties.Set(Property::Bytes(pr::kDisplayName, entry_id));
    row.properties.Set(Property::Bytes(pr::kAddressType, "X400"));
    row.properties.Set(Property::Bytes(pr::kEntryId, entry_id));
    return row;
  };
  const EntryId keyless =
      Submit(DraftTo({known_as("one", kRecipientCc), known_as("two", kRecipientTo),
                      known_as("one", kRecipientTo)}));
  const RecipientTable left = Stored(keyless);
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].DisplayName(), "two");
  EXPECT_EQ(left[1].DisplayName(), "one");
  EXPECT_EQ(left[1].Type(), kRecipientTo);
}

// C112: Resend: rows with MAPI_SUBMITTED are not offered, MAPI_P1 rows are, and no P1 row appears
// in the transmitted recipient list.
TEST_F(AddressBookTest, C112_AResendGoesToTheP1RowsOnlyAndShowsTheOthers) {
  Message message = DraftTo({MakeSmtpRecipient("has@x.test", kRecipientTo | kRecipientSubmitted),
                             MakeSmtpRecipient("failed@x.test", kRecipientTo | kRecipientSubmitted),
                             MakeSmtpRecipient("twin@x.test", kRecipientCc),
                             MakeSmtpRecipient("added@x.test", kRecipientCc),
                             MakeSmtpRecipient("failed@x.test", kRecipientP1),
                             MakeSmtpRecipient("TWIN@x.test", kRecipientP1)});
  ASSERT_TRUE(SetProp(
      message, Property::Number(pr::kMessageFlags, kMsgFlagUnsent | kMsgFlagRead |
                                                       kMsgFlagUnmodified | kMsgFlagResend)));
  const EntryId id = Submit(std::move(message));
  std::vector<bool> responsibilities;
  for (const RecipientRow& row : Stored(id)) {
    responsibilities.push_back(row.delivery.responsibility);
  }
  EXPECT_THAT(responsibilities, ElementsAre(true, true, true, false, false, false));
  const PropertyList props = StoredProps(Db(), id);
  EXPECT_EQ(props.BytesOr(pr::kDisplayTo, {}), "has@x.test; failed@x.test");
  EXPECT_EQ(props.BytesOr(pr::kDisplayCc, {}), "twin@x.test; added@x.test");
  EXPECT_THAT(Offered(),
              testing::UnorderedElementsAre("added@x.test", "failed@x.test", "TWIN@x.test"));
}

// C113: PrepareSubmit on a message without MSGFLAG_RESEND changes nothing.
TEST_F(AddressBookTest, C113_WithoutTheResendFlagEveryRowIsToBeServed) {
  const EntryId id =
      Submit(DraftTo({MakeSmtpRecipient("has@x.test", kRecipientTo | kRecipientSubmitted),
                      MakeSmtpRecipient("b@x.test", kRecipientTo)}));
  for (const RecipientRow& row : Stored(id)) EXPECT_FALSE(row.delivery.responsibility);
}

TEST_F(AddressBookTest, ManyMembersAreOneTransactionAndEachIsAnswered) {
  NewList("friends", {"b@x.test"});
  const auto rows = [](const std::vector<std::string>& addresses) {
    RecipientTable table;
    for (const auto& address : addresses) table.push_back(MakeSmtpRecipient(address, kRecipientTo));
    return table;
  };
  const auto members = [&] {
    std::vector<std::string> addresses;
    for (const RecipientRow& row : Must(Book().GetList("friends")).members) {
      addresses.emplace_back(row.EmailAddress());
    }
    return addresses;
  };
  const std::uint64_t updates = Must(Db().Statistics()).updates;
  const auto added =
      Must(Book().AddMembers("friends", rows({"c@x.test", "B@X.test", "d@x.test", "C@x.test"})));
  EXPECT_EQ(Must(Db().Statistics()).updates, updates + 1);
  EXPECT_THAT(added, ElementsAre(IsOk(), IsError(ErrorCode::kCollision), IsOk(),
                                 IsErrorNaming(ErrorCode::kCollision,
                                               std::vector<std::string>{"C@x.test"})));
  EXPECT_THAT(members(), ElementsAre("b@x.test", "c@x.test", "d@x.test"));

  const auto removed =
      Must(Book().RemoveMembers("friends", rows({"D@x.test", "e@x.test", "b@x.test", "d@x.test"})));
  EXPECT_EQ(Must(Db().Statistics()).updates, updates + 2);
  EXPECT_THAT(removed, ElementsAre(IsOk(), IsError(ErrorCode::kNotFound), IsOk(),
                                   IsError(ErrorCode::kNotFound)));
  EXPECT_THAT(members(), ElementsAre("c@x.test"));
  EXPECT_EQ(Findings(Db()), "");

  // What is added after a removal is a row of its own.
  Must(Book().AddMembers("friends", rows({"b@x.test", "f@x.test"})));
  EXPECT_THAT(members(), ElementsAre("c@x.test", "b@x.test", "f@x.test"));
  EXPECT_THAT(Must(Book().AddMembers("friends", {})), IsEmpty());
  EXPECT_THAT(Book().AddMembers("others", {}), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(Book().RemoveMembers("others", {}), IsError(ErrorCode::kNotFound));
}

TEST_F(AddressBookTest, OfManyMembersAllAreAddedOrNone) {
  NewList("friends", {"r0@x.test"});
  RecipientTable most;
  for (std::uint32_t i = 0; i <= kRecipientCountMax; ++i) {
    most.push_back(MakeSmtpRecipient("r" + std::to_string(i) + "@x.test", kRecipientTo));
  }
  EXPECT_THAT(Book().AddMembers("friends", most), IsError(ErrorCode::kTooBig));
  EXPECT_THAT(Must(Book().GetList("friends")).members, SizeIs(1));
  most.back() = RecipientRow{};
  EXPECT_THAT(Book().AddMembers("friends", most), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Book().RemoveMembers("friends", most), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Must(Book().GetList("friends")).members, SizeIs(1));

  // As many as there may be: who is there already does not count.
  most.pop_back();
  Must(Book().AddMembers("friends", most));
  EXPECT_THAT(Must(Book().GetList("friends")).members, SizeIs(kRecipientCountMax));
  EXPECT_THAT(Book().AddMember("friends", MakeSmtpRecipient("one@more.test", kRecipientTo)),
              IsError(ErrorCode::kTooBig));
  EXPECT_THAT(Book().AddMember("friends", most.back()), IsError(ErrorCode::kCollision));
  Must(Book().RemoveMembers("friends", most));
  EXPECT_THAT(Must(Book().GetList("friends")).members, IsEmpty());
}

TEST_F(AddressBookTest, ListsAreKeptAndRefuseWhatTheyCannotBe) {
  NewList("friends", {"b@x.test"});
  EXPECT_THAT(Book().CreateList("friends"), IsError(ErrorCode::kCollision));
  EXPECT_THAT(Book().CreateList(""), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Book().CreateList("a;b"), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Book().CreateList(std::string(256, 'x')), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Book().CreateList("\xFF"), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Book().GetList(std::string(600, 'x')), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(Book().AddMember("friends", MakeSmtpRecipient("B@X.test", kRecipientTo)),
              IsError(ErrorCode::kCollision));
  EXPECT_THAT(Book().AddMember("friends", RecipientRow{}), IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(Book().AddMember("others", MakeSmtpRecipient("c@x.test", kRecipientTo)),
              IsError(ErrorCode::kNotFound));
  Must(Book().AddMember("friends", MakeSmtpRecipient("c@x.test", kRecipientTo, "Cee")));
  database_.Reopen();
  const DistributionListInfo list = Must(Book().GetList("friends"));
  ASSERT_THAT(list.members, SizeIs(2));
  EXPECT_EQ(list.members[1].DisplayName(), "Cee");
  EXPECT_EQ(Findings(Db()), "");
  Must(Book().RemoveMember("friends", MakeSmtpRecipient("b@X.test", kRecipientTo)));
  EXPECT_THAT(Book().RemoveMember("friends", MakeSmtpRecipient("b@x.test", kRecipientTo)),
              IsError(ErrorCode::kNotFound));
  EXPECT_THAT(Must(Book().GetList("friends")).members, SizeIs(1));
  EXPECT_THAT(Must(Book().GetLists()), ElementsAre("friends"));
  Must(Book().DeleteList("friends"));
  EXPECT_THAT(Must(Book().GetLists()), IsEmpty());
  EXPECT_THAT(Book().GetList("friends"), IsError(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace bobbin
