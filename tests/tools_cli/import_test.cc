// bobbin import and bobbin message props: a .msg file's message is in the store, all of it.
//
// Method: files are imported by the program and printed by it; what it prints must be what
// read_msg.py finds in the file, which shares nothing with Bobbin. The files are those of the
// corpus (BOBBIN_CORPUS; without it the test says so and goes on) and one with every type of
// property, made here. Bad files are made from good ones: cut short everywhere, and with bytes
// changed.
#include <bit>
#include <iostream>
#include <map>

#include "engine/attachment.h"
#include "engine/database.h"
#include "tests/tools_cli/cli_test.h"
#include "tests/tools_cli/msg_maker.h"
#include "tools/bobbin/msg_file.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using testing::HasSubstr;

constexpr const char* kImportedSet = "{B0BB1A00-4D53-4701-9E1C-6F7574626F78}/0x";

std::vector<fs::path> CorpusFiles() {
  std::vector<fs::path> files;
  const char* corpus = std::getenv("BOBBIN_CORPUS");
  if (corpus == nullptr || !fs::is_directory(corpus)) {
    std::cout << "NOTE: BOBBIN_CORPUS is not set: this ran on a made file only\n";
    return files;
  }
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (entry.path().extension() == ".msg") files.push_back(entry.path());
  }
  return files;
}

std::string Bits(double value) { return LittleEndianBytes(std::bit_cast<std::uint64_t>(value), 8); }

// Every type, single and multi-value, named by number and by text, short and long.
MadeProperties EveryType() {
  const std::string id = "0123456789abcdef";
  return {
      Fixed(0x3FFD0003, 932),
      Stored(0x0037001E, "\x93\xFA\x96\x7B"),  // Two characters of code page 932.
      Stored(0x1000001F, Utf16(std::string(100'000, 'x')) + Utf16(std::string(1, '\0'))),
      Stored(0x10130102, std::string(300'000, '\xFE')),
      Stored(0x001A001F, Utf16("IPM.Note")),
      Stored(0x3F00001F, ""),
      Fixed(0x36000002, 0xFFFE),
      Fixed(0x36010003, 0xFFFFFFFE),
      Fixed(0x36020004, std::bit_cast<std::uint32_t>(1.5F)),
      {0x36030005, Bits(-2.25), {}},
      Fixed(0x36040006, 12'345),
      {0x36050007, Bits(45'000.5), {}},
      Fixed(0x3606000B, 1),
      Fixed(0x36070014, 0x8000000000000001),
      Fixed(0x36080040, 0x0CB34557A3DD4000),  // The year 4501, Outlook's "never".
      Stored(0x36090048, id),
      Fixed(0x360A000A, 1),  // PT_ERROR and PT_NULL have no value.
      Fixed(0x360B0001, 0),
      Stored(0x36101002, LittleEndianBytes(1, 2) + LittleEndianBytes(0xFFFF, 2)),
      Stored(0x36111003, LittleEndianBytes(7, 4) + LittleEndianBytes(8, 4)),
      Stored(0x36121004, LittleEndianBytes(std::bit_cast<std::uint32_t>(0.5F), 4)),
      Stored(0x36131005, Bits(0.5) + Bits(1e300)),
      Stored(0x36141006, LittleEndianBytes(5, 8)),
      Stored(0x36151014, LittleEndianBytes(5, 8)),
      Stored(0x36161040, LittleEndianBytes(0x01D00000'00000000, 8)),
      Stored(0x36171048, id + "fedcba9876543210"),
      Stored(0x36191003, std::string(80'000, '\x01')),
      {0x3618101F, LittleEndianBytes(0, 8), {Utf16("one"), Utf16("two")}},
      {0x361A101E, LittleEndianBytes(0, 4), {"\x93\xFA"}},
      {0x361B1102, LittleEndianBytes(0, 16), {std::string("\0\1", 2), std::string(5'000, 'b')}},
      Fixed(0x80000003, 42),
      Stored(0x8001001F, Utf16("a named one")),
      Stored(0x8777001F, Utf16("one whose name is missing")),
      Fixed(0x30070040, 0x01D00000'00000000),  // Computed by the store, as are the next three.
      Fixed(0x0E070003, 0x31),
      Stored(0x0E04001F, Utf16(std::string(5'000, 't'))),
      Stored(0x66590102, std::string(5'000, 'c')),
  };
}

MadeMessage EveryMessage() {
  MadeMessage message;
  message.properties = EveryType();
  // Together more than a message may have beside its streams.
  for (std::uint32_t i = 0; i < 40; ++i) {
    message.properties.push_back(
        Stored(0x6000001F + (i << 16), Utf16(std::string(1'000, static_cast<char>('A' + i)))));
  }
  message.recipients = {
      {Fixed(0x30000003, 7), Fixed(0x0C150003, 2), Fixed(0x0E0F000B, 1),
       Stored(0x3001001E, "\x93\xFA"), Stored(0x3002001F, Utf16("SMTP")),
       Stored(0x3003001F, Utf16("b@x.test")), Stored(0x5FF70102, std::string(4'000, 'e'))},
      {Stored(0x3001001F, Utf16("no type"))}};
  auto embedded = std::make_shared<MadeMessage>();
  embedded->properties = {Stored(0x0037001E, "\x93\xFA"), Fixed(0x80000003, 43),
                          Stored(0x1000001F, Utf16(std::string(5'000, 'y')))};
  embedded->recipients = {{Fixed(0x0C150003, 1), Stored(0x3001001F, Utf16("inner"))}};
  message.attachments = {
      {{Fixed(0x37050003, 1), Fixed(0x0E210003, 0), Stored(0x37010102, std::string(200'000, 'a'))},
       nullptr,
       false},
      {{Fixed(0x37050003, 5), Fixed(0x0E200003, 99)}, embedded, false},
      {{Fixed(0x37050003, 6)}, nullptr, true}};
  return message;
}

MadeNames EveryName() {
  MadeNames names;
  names.sets = "SIXTEEN BYTE SET";
  // A number in that set (index 3), a text in PS_PUBLIC_STRINGS (2).
  names.entries = LittleEndianBytes(0x8205, 4) + LittleEndianBytes(3U << 1, 2) +
                  LittleEndianBytes(0, 2) + LittleEndianBytes(0, 4) +
                  LittleEndianBytes(2U << 1 | 1, 2) + LittleEndianBytes(1, 2);
  names.texts = LittleEndianBytes(16, 4) + Utf16("Keywords");
  return names;
}

// Values by what they are called: path, name, type. Identifiers of named properties differ.
std::map<std::string, ordered_json> ByName(const std::vector<ordered_json>& properties) {
  std::map<std::string, ordered_json> values;
  for (const ordered_json& property : properties) {
    const std::string tag = property["tag"];
    const bool named = tag >= "0x8000";
    values[property["path"].get<std::string>() + " " +
           (named && property["name"].is_string()
                ? property["name"].get<std::string>() + " " + tag.substr(6)
                : tag)] = property["value"];
  }
  return values;
}

class ImportTest : public CliTest {
 protected:
  ImportTest() { Init(); }

  std::vector<ordered_json> Witness(const fs::path& file) const {
    const Ended run = RunProgram(
        {{"python3", BOBBIN_SOURCE_DIRECTORY "/tests/tools_cli/read_msg.py", file.string()},
         {},
         directory_,
         {}});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return ParseLines(run.out);
  }

  std::string Import(const fs::path& file) const {
    const Ended run = Bobbin({"import", "--store", "mail", "--ids", file.string()});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.out.substr(0, run.out.find('\n'));
  }

  std::vector<ordered_json> Properties(const std::string& id) const {
    const Ended run = Bobbin({"message", "props", "--json", "--value-bytes", "1000000000", id});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return ParseLines(run.out);
  }

  // Every value of the file is there, under its own name or the one for what a store computes.
  // Returns how many there are.
  std::size_t ExpectAllOf(const fs::path& file) const {
    const std::map<std::string, ordered_json> stored = ByName(Properties(Import(file)));
    const std::map<std::string, ordered_json> wanted = ByName(Witness(file));
    for (const auto& [name, value] : wanted) {
      const std::size_t tag = name.find(" 0x") + 1;
      const std::string path = name.substr(0, tag);
      std::string kept = path + kImportedSet;
      if (tag != 0) kept += name.substr(tag + 2, 4) + " " + name.substr(tag + 6);
      const auto at = stored.contains(kept) && tag != 0 ? stored.find(kept) : stored.find(name);
      if (at == stored.end()) {
        ADD_FAILURE() << file << ": " << name << " is not there";
      } else if (value.is_null()) {  // An OLE object: a compound file, written anew.
        EXPECT_THAT(at->second.get<std::string>(), testing::StartsWith("d0cf11e0a1b11ae1"));
      } else {
        EXPECT_EQ(at->second, value) << file << ": " << name;
      }
    }
    return wanted.size();
  }
};

TEST_F(ImportTest, EveryPropertyOfTheCorpusIsReadBackUnchanged) {
  const std::vector<fs::path> files = CorpusFiles();
  std::size_t count = 0;
  for (const fs::path& file : files) count += ExpectAllOf(file);
  if (!files.empty()) {
    EXPECT_GE(files.size(), 43U);
    EXPECT_GT(count, 8'000U);
  }
  EXPECT_EQ(Bobbin({"check"}).exit_code, 0);
}

TEST_F(ImportTest, EveryTypeOfPropertyIsReadBackUnchanged) {
  const fs::path file = directory_ / "every.msg";
  WriteMsg(file, EveryMessage(), EveryName());
  EXPECT_GT(ExpectAllOf(file), 80U);
  EXPECT_EQ(Bobbin({"check"}).exit_code, 0);
}

TEST_F(ImportTest, ValuesAreWhatTheyMean) {
  const fs::path file = directory_ / "every.msg";
  WriteMsg(file, EveryMessage(), EveryName());
  const auto values = ByName(Properties(Import(file)));
  const std::string japanese = "\xE6\x97\xA5";
  EXPECT_EQ(values.at("message 0x0037001F"), japanese + "\xE6\x9C\xAC");
  EXPECT_EQ(values.at("recipient/0 0x3001001F"), japanese) << "in the message's code page";
  EXPECT_EQ(values.at("attachment/1/message 0x0037001F"), japanese) << "in that around it";
  EXPECT_EQ(values.at("message 0x36080040"), "4501-01-01T00:00:00.0000000Z");
  EXPECT_EQ(values.at("message 0x36040006"), 12'345);
  EXPECT_EQ(values.at("message 0x3618101F"), ordered_json({"one", "two"}));
  EXPECT_EQ(values.at("message {54584953-4545-204E-4259-544520534554}/0x8205 0003"), 42);
  EXPECT_EQ(values.at("message {00020329-0000-0000-C000-000000000046}/Keywords 001F"),
            "a named one");
  EXPECT_EQ(values.at(std::string("message ") + kImportedSet + "8777 001F"),
            "one whose name is missing");
  EXPECT_EQ(values.at("message 0x1000001F").get<std::string>().size(), 100'000U);
  EXPECT_EQ(values.at("recipient/1 0x0C150003"), 1) << "To, unless the file says";
  EXPECT_NE(values.at("message 0x30070040"),
            values.at(std::string("message ") + kImportedSet + "3007 0040"));
}

TEST_F(ImportTest, PropsHasTheDocumentedFieldsAndSparesLongValues) {
  const fs::path file = directory_ / "every.msg";
  WriteMsg(file, EveryMessage(), EveryName());
  const std::string id = Import(file);
  const std::vector<ordered_json> properties =
      ParseLines(Bobbin({"message", "props", "--json", id}).out);
  ASSERT_FALSE(properties.empty());
  EXPECT_THAT(properties[0], HasTheFieldsOf("message props"));
  for (const ordered_json& property : properties) {
    const bool is_long = property["bytes"].is_number() && property["bytes"] > 65'536;
    EXPECT_EQ(property["value"].is_null(), is_long) << property["path"] << property["tag"];
  }
  const Ended table = Bobbin({"message", "props", id});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("PR_SUBJECT"));
  EXPECT_THAT(table.out, HasSubstr("293 KiB"));
}

TEST_F(ImportTest, SaysWhatItMadeAndGoesOnAfterABadFile) {
  WriteMsg(directory_ / "every.msg", EveryMessage(), EveryName());
  const Ended run = Bobbin({"import", "--store", "mail", "--folder", "Drafts", "--json",
                            File("no message"), "every.msg", "nowhere.msg"});
  EXPECT_EQ(run.exit_code, 65) << "the first failure";
  EXPECT_THAT(run.err, HasSubstr("not a compound file"));
  EXPECT_THAT(run.err, HasSubstr("import nowhere.msg: No such file"));
  const std::vector<ordered_json> made = ParseLines(run.out);
  ASSERT_EQ(made.size(), 1U);
  ASSERT_THAT(made[0], HasTheFieldsOf("import"));
  EXPECT_EQ(made[0]["recipient_count"], 2);
  EXPECT_EQ(made[0]["attachment_count"], 3);
  const Database database = Database::Open(database_).value();
  const MessageStore store = database.OpenMessageStore("mail").value();
  EXPECT_EQ(store.GetFolder(store.Folders().drafts)->content_count, 1U);
  EXPECT_EQ(store.GetFolder(store.Folders().inbox)->content_count, 0U);
}

// In a database without stores as in any other; and no store is made for it.
TEST_F(ImportTest, SaysFirstThatAFileIsNotThere) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"import", "nowhere.msg"},
        std::vector<std::string>{"import", "--store", "a", "nowhere.msg"}}) {
    const Ended run = Bobbin(arguments);
    EXPECT_EQ(run.exit_code, 66);
    EXPECT_THAT(run.err, HasSubstr("import nowhere.msg: No such file"));
    EXPECT_EQ(run.err.find("store"), std::string::npos) << run.err;
  }
  const Database database = Database::Open(database_).value();
  EXPECT_TRUE(database.ListMessageStores().value().empty());
}

TEST_F(ImportTest, NeedsToKnowWhereTo) {
  WriteMsg(directory_ / "every.msg", EveryMessage(), EveryName());
  EXPECT_EQ(Bobbin({"import", "every.msg"}).exit_code, 64) << "there is no store";
  EXPECT_EQ(Bobbin({"import", "--store", "a", "every.msg"}).exit_code, 0);
  EXPECT_EQ(Bobbin({"import", "every.msg"}).exit_code, 0) << "there is one";
  EXPECT_EQ(Bobbin({"import", "--folder", "Nope", "every.msg"}).exit_code, 66);
  EXPECT_EQ(Bobbin({"import", "nowhere.msg"}).exit_code, 66);
  EXPECT_EQ(Bobbin({"import", "--store", "b", "every.msg"}).exit_code, 0);
  EXPECT_EQ(Bobbin({"import", "every.msg"}).exit_code, 64) << "there are two";
}

TEST_F(ImportTest, MessagesNestedTooDeepAreRefused) {
  auto message = std::make_shared<MadeMessage>();
  for (int depth = 0; depth <= kEmbeddedDepthMax; ++depth) {
    auto outer = std::make_shared<MadeMessage>();
    outer->attachments = {{{Fixed(0x37050003, 5)}, message, false}};
    if (depth == kEmbeddedDepthMax) {
      WriteMsg(directory_ / "deep.msg", *message);
      WriteMsg(directory_ / "too-deep.msg", *outer);
    }
    message = outer;
  }
  EXPECT_EQ(Bobbin({"import", "--store", "a", "deep.msg"}).exit_code, 0);
  const Ended run = Bobbin({"import", "--store", "a", "too-deep.msg"});
  EXPECT_EQ(run.exit_code, 65);
  EXPECT_THAT(run.err, HasSubstr("16 deep"));
}

// The reader alone, in this process: a crash would end the test, a sanitizer would speak.
void ReadAll(const fs::path& file, std::map<ErrorCode, int>& outcomes) {
  Result<cli::MsgFile> read = cli::ReadMsgFile(file);
  if (!read) {
    ++outcomes[read.error().code];
    return;
  }
  ++outcomes[ErrorCode{}];
  for (cli::MsgProperty& property : read->message.properties) {
    while (property.stream != nullptr) {
      const Result<std::string_view> piece = property.stream->Next();
      if (!piece || piece->empty()) break;
    }
  }
}

TEST_F(ImportTest, DamagedFilesAreReadOrRefused) {
  const fs::path good = directory_ / "good.msg";
  WriteMsg(good, EveryMessage(), EveryName());
  const std::string bytes = ReadFile(good);
  std::map<ErrorCode, int> outcomes;
  for (std::size_t size = 0; size < bytes.size(); size += 1'777) {
    ReadAll(File(bytes.substr(0, size), "cut.msg"), outcomes);
  }
  EXPECT_EQ(outcomes[ErrorCode{}], 0) << "a file cut short was read";
  std::uint32_t random = 12'345;
  for (int i = 0; i < 800; ++i) {
    std::string changed = bytes;
    for (int change = 0; change < 3; ++change) {
      random = random * 1'664'525 + 1'013'904'223;
      // Mostly where the structure is: the header, and the end, where libgsf puts its tables.
      const std::size_t range = i % 2 == 0 ? 512 : 40'000;
      const std::size_t offset = (random >> 8) % range;
      changed[i % 2 == 0 ? offset : bytes.size() - 1 - offset] = static_cast<char>(random >> 3);
    }
    ReadAll(File(changed, "changed.msg"), outcomes);
  }
  for (const auto& [code, count] : outcomes) {
    EXPECT_TRUE(code == ErrorCode{} || code == ErrorCode::kCorruptData ||
                code == ErrorCode::kTooBig || code == ErrorCode::kTooComplex)
        << ErrorName(code) << " " << count;
  }
}

}  // namespace
}  // namespace bobbin::test
