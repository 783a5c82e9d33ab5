// Real mail comes out as it went in, byte for byte.
//
// Method: every .eml of the corpus goes into a real bobbind over SMTP, twice: as a client sends it
// that makes CRLF of its line ends, and raw, as one that does not (PHP, libcurl); and into
// `bobbin submit`. Nothing can leave (the next hop is a closed port), so each is still there to be
// exported under the queue id it was acknowledged with. What comes out must be what was sent:
// without dot-stuffing, behind the one Received field that Bobbin adds.
//
// BOBBIN_CORPUS names the corpus; without it the small set beside this file is used, and the test
// says so.

#include "tests/support/corpus.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "engine/database.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;

std::string WithCrlf(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out.push_back('\r');
    out.push_back(text[i]);
  }
  return out;
}

// As a client stuffs dots: after what it takes for a line end, CRLF.
std::string DotStuffed(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_start = i == 0 || (i >= 2 && text[i - 1] == '\n' && text[i - 2] == '\r');
    if (line_start && text[i] == '.') out.push_back('.');
    out.push_back(text[i]);
  }
  return out;
}

// A line of one dot after a line end that is none: what the listener refuses.
bool HasLoneDot(const std::string& text) {
  std::string plain;
  for (const char c : DotStuffed(text)) {
    if (c != '\0') plain.push_back(c == '\r' ? '\n' : c);
  }
  return ("\n" + plain + "\n").find("\n.\n") != std::string::npos;
}

class Session {
 public:
  explicit Session(int port) : connection_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{30, 0};
    setsockopt(connection_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(connection_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    EXPECT_EQ(Reply().substr(0, 3), "220");
    EXPECT_EQ(Command("EHLO corpus.test").substr(0, 3), "250");
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { close(connection_); }

  std::string Command(const std::string& line) {
    const std::string bytes = line + "\r\n";
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(connection_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return "";
      sent += static_cast<std::size_t>(n);
    }
    return Reply();
  }

  // The reply to the final dot.
  std::string Send(const std::string& content) {
    EXPECT_EQ(Command("MAIL FROM:<a@x.test>").substr(0, 3), "250");
    EXPECT_EQ(Command("RCPT TO:<b@x.test>").substr(0, 3), "250");
    EXPECT_EQ(Command("DATA").substr(0, 3), "354");
    return Command(DotStuffed(content) + ".");
  }

 private:
  std::string Reply() {
    std::string line;
    char c = 0;
    while (recv(connection_, &c, 1, 0) == 1) {
      line.push_back(c);
      if (c != '\n') continue;
      if (line.size() >= 4 && line[3] == ' ') return line;
      line.clear();
    }
    return "";
  }

  int connection_;
};

class CorpusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    files_ = CorpusMessages();
    ASSERT_FALSE(files_.empty());
    path_ = directory_.Path() / "db";
    ASSERT_TRUE(Database::Create(path_));
    Result<Database> opened = Database::Open(path_);
    ASSERT_TRUE(opened) << ToString(opened.error());
    database_.emplace(*std::move(opened));
  }

  int StartDaemon() {
    const std::string program = BOBBIN_BIN_DIR "/bobbind";
    daemon_.emplace(std::vector<std::string>{program, "--database", path_.string(), "--listen",
                                             "127.0.0.1:0", "--next-hop", "smtp://127.0.0.1:1",
                                             "--log-level", "error"});
    const std::string line = daemon_->ReadLine();
    return std::atoi(line.c_str() + line.find_last_of(':') + 1);
  }

  std::string Exported(const std::string& queue_id) {
    const Result<MessageId> id = ParseQueueId(queue_id);
    if (!id) return "not a queue id: " + queue_id;
    const auto message = database_->OpenMessageForOperator(*id);
    if (!message) return ToString(message.error());
    auto reader = message->OpenContent();
    if (!reader) return reader.error().code == ErrorCode::kNotFound ? "" : ToString(reader.error());
    std::string content;
    for (;;) {
      const auto piece = reader->Next();
      if (!piece) return ToString(piece.error());
      if (piece->empty()) return content;
      content += *piece;
    }
  }

  // Behind one folded Received field.
  static std::string WithoutReceived(const std::string& content) {
    if (content.rfind("Received: ", 0) != 0) return "no Received field: " + content.substr(0, 80);
    std::size_t end = content.find("\r\n");
    while (end != std::string::npos && end + 2 < content.size() &&
           (content[end + 2] == ' ' || content[end + 2] == '\t')) {
      end = content.find("\r\n", end + 2);
    }
    return content.substr(end + 2);
  }

  // Sends `content` and compares what is stored; false when it was refused for a lone dot.
  void SendAndCompare(Session& session, const std::string& content) {
    const std::string reply = session.Send(content);
    const std::string mark = "queued as ";
    const std::size_t at = reply.find(mark);
    ASSERT_NE(at, std::string::npos) << "reply: " << reply;
    const std::string id = reply.substr(
        at + mark.size(), reply.find_first_of(" \r", at + mark.size()) - at - mark.size());
    EXPECT_EQ(WithoutReceived(Exported(id)), content);
  }

  TemporaryDirectory directory_;
  fs::path path_;
  std::vector<fs::path> files_;
  std::optional<Database> database_;
  std::optional<ChildProcess> daemon_;
};

TEST_F(CorpusTest, SubmittedOverSmtpWithCrlfAndExportedByteForByte) {
  Session session(StartDaemon());
  for (const fs::path& file : files_) {
    SCOPED_TRACE(file.string());
    std::string content = WithCrlf(ReadFile(file));
    if (content.size() < 2 || content.substr(content.size() - 2) != "\r\n") content += "\r\n";
    if (HasLoneDot(content)) {  // A bare CR before a dot can make one even here.
      EXPECT_EQ(session.Send(content)[0], '5');
      continue;
    }
    ASSERT_NO_FATAL_FAILURE(SendAndCompare(session, content));
  }
  std::cout << files_.size() << " messages with CRLF\n";
}

TEST_F(CorpusTest, SubmittedOverSmtpWithBareLineFeedsAndExportedByteForByte) {
  Session session(StartDaemon());
  std::size_t refused = 0;
  for (const fs::path& file : files_) {
    SCOPED_TRACE(file.string());
    std::string content = ReadFile(file);
    if (content.size() < 2 || content.substr(content.size() - 2) != "\r\n") content += "\r\n";
    if (HasLoneDot(content)) {
      const std::string reply = session.Send(content);
      EXPECT_EQ(reply[0], '5') << reply;
      ++refused;
      continue;
    }
    ASSERT_NO_FATAL_FAILURE(SendAndCompare(session, content));
  }
  std::cout << files_.size() << " messages raw, " << refused
            << " of them refused for a lone dot between bare line feeds\n";
}

TEST_F(CorpusTest, SubmittedByCommandAndExportedByteForByte) {
  const fs::path out = directory_.Path() / "out";
  for (const fs::path& file : files_) {
    SCOPED_TRACE(file.string());
    const std::string submit = std::string(BOBBIN_BIN_DIR "/bobbin submit --database '") +
                               path_.string() + "' -f a@x.test b@x.test < '" + file.string() +
                               "' > '" + out.string() + "'";
    ASSERT_EQ(std::system(submit.c_str()), 0);
    std::string id = ReadFile(out);
    while (!id.empty() && std::isspace(static_cast<unsigned char>(id.back())) != 0) id.pop_back();
    EXPECT_EQ(Exported(id), ReadFile(file));
  }
  const std::string export_one =
      std::string(BOBBIN_BIN_DIR "/bobbin queue list --ids --database '") + path_.string() +
      "' | head -1 | xargs " BOBBIN_BIN_DIR "/bobbin message export --database '" + path_.string() +
      "' > '" + out.string() + "'";
  ASSERT_EQ(std::system(export_one.c_str()), 0);
  EXPECT_EQ(ReadFile(out), ReadFile(files_.front()));
  std::cout << files_.size() << " messages through bobbin submit\n";
}

}  // namespace
}  // namespace bobbin::test
