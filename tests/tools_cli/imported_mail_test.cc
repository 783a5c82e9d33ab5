// A message imported from a .msg file arrives as correct Internet mail.
//
// Method: every file of the corpus (BOBBIN_CORPUS; without it the test says so) and made ones are
// imported, given one recipient more and submitted; the real spooler delivers to a Maildir. What
// Python's email package reads there must be what read_msg.py finds in the file: subject, body,
// addresses, the bytes of attachments, and the same of embedded messages. Neither knows Bobbin.
#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "engine/database.h"
#include "spooler/spooler.h"
#include "spooler/transports/drop_directory.h"
#include "tests/tools_cli/cli_test.h"
#include "tests/tools_cli/msg_maker.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kAdded = "added@x.test";
constexpr const char* kStore = "owner@x.test";  // Who sends what names no sender.

class ImportedMail : public CliTest {
 protected:
  ImportedMail() { Init(); }

  std::vector<ordered_json> Python(const std::string& script, const fs::path& file) const {
    const Ended run = RunProgram(
        {{"python3", BOBBIN_SOURCE_DIRECTORY "/tests/tools_cli/" + script, file.string()},
         {},
         directory_,
         {}});
    EXPECT_EQ(run.exit_code, 0) << file << run.err;
    return ParseLines(run.out);
  }

  // Imports `file`, adds the recipient, submits, delivers; what a mail reader sees.
  ordered_json Deliver(const fs::path& file) {
    const Ended run = Bobbin({"import", "--store", kStore, "--ids", file.string()});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    Database database = Database::Open(database_).value();
    const MessageId id = ParseQueueId(run.out.substr(0, run.out.find('\n'))).value();
    MessageStore store = database.OpenMessageStore(kStore).value();
    Message message = store.OpenMessage(store.EntryIdOf(id.value), kMapiModify).value();
    EXPECT_TRUE(message.ModifyRecipients(kModifyRecipientsAdd,
                                         {MakeSmtpRecipient(kAdded, kRecipientTo, "J\u00f6rg, A."),
                                          MakeSmtpRecipient("hidden@x.test", kRecipientBcc)}));
    const Result<void> submitted = message.SubmitMessage();
    EXPECT_TRUE(submitted) << ToString(submitted.error());
    RunSpooler(database);
    EXPECT_EQ(Bobbin({"queue", "list", "--ids"}).out, "") << file;
    return ReadDelivered(file);
  }

  void RunSpooler(const Database& database) const {
    SpoolerSession session = Database(database).OpenSpoolerSession().value();
    SpoolerShared shared;
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.push_back(NewDropDirectoryTransport({(directory_ / "mail").string()})());
    SpoolerOptions options;
    options.reporting_host = "host.test";
    Spooler spooler(
        database, session, shared, std::move(transports), options, [] { return 0.5; },
        [](const SpoolerEvent&) {});
    while (spooler.RunOnce(SystemClock().Now()).worked) {
    }
  }

  ordered_json ReadDelivered(const fs::path& file) const {
    const fs::path inbox = directory_ / "mail" / kAdded / "new";
    std::vector<fs::path> files;
    if (fs::exists(inbox)) {
      for (const auto& entry : fs::directory_iterator(inbox)) files.push_back(entry.path());
    }
    EXPECT_EQ(files.size(), 1U) << file;
    if (files.empty()) return ordered_json::object();
    delivered_ = ReadFile(files[0]);
    const std::vector<ordered_json> read = Python("read_mail.py", files[0]);
    fs::remove(files[0]);
    return read.empty() ? ordered_json::object() : read[0];
  }

  mutable std::string delivered_;  // As it is in the Maildir.
};

// What the file says, by path and tag.
using Facts = std::map<std::string, ordered_json>;

std::string Text(const Facts& facts, const std::string& key) {
  const auto at = facts.find(key);
  return at != facts.end() && at->second.is_string() ? at->second.get<std::string>() : "";
}

// A header is one line; runs of blanks are one there to a mail reader.
std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!blank) {
      line.push_back(c);
    } else if (!line.empty() && line.back() != ' ') {
      line.push_back(' ');
    }
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string Lines(std::string text) {
  for (std::size_t at = 0; (at = text.find("\r\n", at)) != std::string::npos;) text.erase(at, 1);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

void ExpectMail(const ordered_json& mail, const Facts& facts, const std::string& path,
                const std::string& prefix) {
  EXPECT_EQ(OneLine(mail.value("subject", "?")), OneLine(Text(facts, path + " 0x0037001F")));
  EXPECT_EQ(mail["defects"], ordered_json::array());
  EXPECT_THAT(mail["has"], Not(Contains("bcc")));
  const auto body = facts.find(path + " 0x1000001F");
  if (body != facts.end()) {
    EXPECT_EQ(Lines(mail["plain"].is_string() ? mail["plain"].get<std::string>() : "(none)"),
              Lines(body->second));
  }
  const std::string html = Text(facts, path + " 0x10130102");
  if (!html.empty()) {
    EXPECT_TRUE(mail["html"].is_string());
  }
  for (int i = 0; facts.contains(prefix + "recipient/" + std::to_string(i) + " 0x0C150003"); ++i) {
    const std::string row = prefix + "recipient/" + std::to_string(i);
    const ordered_json type = facts.at(row + " 0x0C150003");
    if (Text(facts, row + " 0x3002001F") != "SMTP" || (type != 1 && type != 2)) continue;
    const std::string address = Text(facts, row + " 0x3003001F");
    bool found = false;
    for (const ordered_json& shown : mail[type == 1 ? "to" : "cc"]) {
      const std::string name = shown[0];
      found = found || (shown[1] == address &&
                        (name.empty() || name == OneLine(Text(facts, row + " 0x3001001F"))));
    }
    EXPECT_TRUE(found) << address << " in " << mail["to"] << mail["cc"];
  }
  std::multiset<std::string> data;
  std::size_t embedded = 0;
  for (int i = 0; facts.contains(prefix + "attachment/" + std::to_string(i) + " 0x37050003"); ++i) {
    const std::string part = prefix + "attachment/" + std::to_string(i);
    if (facts.contains(part + "/message 0x001A001F")) {
      std::vector<ordered_json> messages;
      for (const ordered_json& shown : mail["attachments"]) {
        if (shown.contains("message")) messages.push_back(shown["message"]);
      }
      ASSERT_LT(embedded, messages.size()) << part;
      ExpectMail(messages[embedded++], facts, part + "/message", part + "/message/");
    } else if (facts.contains(part + " 0x37010102")) {
      data.insert(Text(facts, part + " 0x37010102"));
    }
  }
  for (const ordered_json& shown : mail["attachments"]) {
    if (shown.contains("message")) continue;
    const auto at = data.find(shown["data"]);
    EXPECT_TRUE(at != data.end()) << shown["name"] << " is not what is in the file";
    if (at != data.end()) data.erase(at);
  }
  EXPECT_THAT(data, IsEmpty()) << "attachments that did not arrive";
}

TEST_F(ImportedMail, EveryFileOfTheCorpusArrivesAsWhatItSays) {
  const char* corpus = std::getenv("BOBBIN_CORPUS");
  std::vector<fs::path> files;
  if (corpus == nullptr || !fs::is_directory(corpus)) {
    std::cout << "NOTE: BOBBIN_CORPUS is not set: only made files are tried\n";
    return;
  }
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (entry.path().extension() == ".msg") files.push_back(entry.path());
  }
  EXPECT_GE(files.size(), 43U);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file);
    Facts facts;
    for (const ordered_json& property : Python("read_msg.py", file)) {
      facts[property["path"].get<std::string>() + " " + property["tag"].get<std::string>()] =
          property["value"];
    }
    const ordered_json mail = Deliver(file);
    ASSERT_TRUE(mail.contains("to"));
    ExpectMail(mail, facts, "message", "");
    EXPECT_THAT(mail["to"], Contains(ordered_json({"J\u00f6rg, A.", kAdded})));
    EXPECT_THAT(mail["has"], testing::IsSupersetOf({"from", "date", "message-id"}));
    EXPECT_EQ(delivered_.find("hidden@x.test"), std::string::npos);
  }
}

// HTML in the code page it is in, an image it shows, a file name in Japanese, an OLE object, an
// address that is none on the Internet.
TEST_F(ImportedMail, PartsAreWhatTheyWereMeantToBe) {
  MadeMessage message;
  message.properties = {Fixed(0x3FDE0003, 932),
                        Fixed(0x3FFD0003, 932),
                        Stored(0x0037001E, "\x93\xFA\x96\x7B " + std::string(100, 'x')),
                        Stored(0x10130102, "<html><img src=\"cid:image@1\">\x93\xFA</html>"),
                        Stored(0x1000001F, Utf16("plain\r\n\r\ntext")),
                        Stored(0x0C1E001F, Utf16("EX")),
                        Stored(0x0C1F001F, Utf16("/O=X/CN=Amy")),
                        Stored(0x0C1A001F, Utf16("Amy")),
                        Stored(0x5D01001F, Utf16("amy@x.test"))};
  message.recipients = {
      {Fixed(0x0C150003, 2), Stored(0x3002001F, Utf16("EX")),
       Stored(0x3003001F, Utf16("/O=X/CN=Bob")), Stored(0x39FE001F, Utf16("bob@x.test")),
       Stored(0x3001001F, Utf16("Bob"))},
      {Fixed(0x0C150003, 1), Stored(0x3002001F, Utf16("EX")),
       Stored(0x3003001F, Utf16("/O=X/CN=Room")), Stored(0x3001001F, Utf16("Room 5"))}};
  const std::string image("\x89PNG\r\n\0\n\r", 9);
  message.attachments = {
      {{Fixed(0x37050003, 1), Stored(0x37010102, image), Stored(0x370E001F, Utf16("image/png")),
        Stored(0x3712001F, Utf16("image@1"))},
       nullptr,
       false},
      {{Fixed(0x37050003, 1), Stored(0x37010102, "text\n.\nFrom x\r\n"),
        Stored(0x370E001F, Utf16("message/rfc822")), Stored(0x3707001E, "\x93\xFA\x96\x7B.txt")},
       nullptr,
       false},
      {{Fixed(0x37050003, 6)}, nullptr, true},
      {{Fixed(0x37050003, 2), Stored(0x3708001F, Utf16("C:\\a.txt"))}, nullptr, false}};
  WriteMsg(directory_ / "parts.msg", message);
  const ordered_json mail = Deliver(directory_ / "parts.msg");
  const std::string japan = "\xE6\x97\xA5\xE6\x9C\xAC";
  EXPECT_EQ(mail["subject"], japan + " " + std::string(100, 'x'));
  EXPECT_EQ(mail["plain"], "plain\n\ntext");
  EXPECT_EQ(mail["html"], "<html><img src=\"cid:image@1\">\xE6\x97\xA5</html>");
  EXPECT_EQ(mail["html_charset"], "shift_jis");
  EXPECT_EQ(mail["from"], ordered_json::array({ordered_json::array({"Amy", "amy@x.test"})}));
  EXPECT_EQ(mail["cc"], ordered_json::array({ordered_json::array({"Bob", "bob@x.test"})}));
  EXPECT_THAT(mail["groups"], ElementsAre("Room 5"));
  EXPECT_THAT(delivered_, HasSubstr("Return-Path: <amy@x.test>\n"));
  ASSERT_EQ(mail["attachments"].size(), 3U) << "a path on a disk is no attachment";
  EXPECT_EQ(mail["attachments"][0], ordered_json({{"name", nullptr},
                                                  {"type", "image/png"},
                                                  {"inline", true},
                                                  {"id", "image@1"},
                                                  {"data", ToHex(image)}}));
  EXPECT_EQ(mail["attachments"][1]["name"], japan + ".txt");
  EXPECT_EQ(mail["attachments"][1]["type"], "application/octet-stream");
  EXPECT_EQ(mail["attachments"][1]["data"], ToHex("text\n.\nFrom x\r\n"));
  EXPECT_THAT(mail["attachments"][2]["data"].get<std::string>(),
              testing::StartsWith("d0cf11e0a1b11ae1"));
  EXPECT_EQ(mail["defects"], ordered_json::array());
}

}  // namespace
}  // namespace bobbin::test
