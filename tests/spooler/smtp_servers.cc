#include "tests/spooler/smtp_servers.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool CanConnect(int port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(descriptor);
  return connected;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

SmtpTestServer::SmtpTestServer(std::vector<std::string> arguments) {
  std::vector<std::string> command = {"python3",
                                      BOBBIN_SOURCE_DIR "/tests/support/smtp_test_server.py",
                                      "--directory", directory_.Path().string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  process_.emplace(std::move(command));
  port_ = process_->ReadLine();
  if (port_.empty()) ADD_FAILURE() << "the test server did not start";
}

std::string SmtpTestServer::Url(const std::string& scheme) const {
  return scheme + "://127.0.0.1:" + port_;
}

std::vector<TakenMessage> SmtpTestServer::Messages() const {
  std::vector<TakenMessage> messages;
  for (int n = 0;; ++n) {
    const fs::path envelope = directory_.Path() / ("envelope." + std::to_string(n));
    if (!fs::exists(envelope)) return messages;
    const std::vector<std::string> lines = Lines(ReadFile(envelope));
    messages.push_back({lines.at(0),
                        lines.at(1),
                        {lines.begin() + 2, lines.end()},
                        ReadFile(directory_.Path() / ("message." + std::to_string(n)))});
  }
}

std::vector<std::string> SmtpTestServer::Log() const {
  return Lines(ReadFile(directory_.Path() / "log"));
}

std::size_t SmtpTestServer::CountLog(const std::string& part) const {
  const std::vector<std::string> log = Log();
  return static_cast<std::size_t>(
      std::count_if(log.begin(), log.end(),
                    [&](const std::string& line) { return line.find(part) != std::string::npos; }));
}

bool SmtpSink::Available() { return fs::exists(BOBBIN_POSTFIX_DIR "/usr/sbin/smtp-sink"); }

SmtpSink::SmtpSink() {
  // It cannot choose a free port itself, so ports are tried until one is free.
  fs::permissions(directory_.Path(), fs::perms::all);
  std::random_device random;
  for (int attempt = 0; attempt < 50; ++attempt) {
    port_ = 20'000 + static_cast<int>(random() % 12'000);
    if (CanConnect(port_)) continue;
    const std::string postfix = BOBBIN_POSTFIX_DIR;
    std::vector<std::string> command = {"env", "LD_LIBRARY_PATH=" + postfix + "/usr/lib/postfix",
                                        postfix + "/usr/sbin/smtp-sink", "-d",
                                        (directory_.Path() / "m.").string()};
    if (getuid() == 0) command.insert(command.end(), {"-u", "nobody"});
    command.insert(command.end(), {"127.0.0.1:" + std::to_string(port_), "100"});
    process_.emplace(std::move(command));
    if (Eventually([&] { return CanConnect(port_) || !process_->Running(); }) &&
        process_->Running()) {
      return;
    }
  }
  ADD_FAILURE() << "smtp-sink found no port";
}

std::string SmtpSink::Url() const { return "smtp://127.0.0.1:" + std::to_string(port_); }

// A dump starts with lines of its own: X-Mail-Args, X-Rcpt-Args, and a folded Received.
std::vector<TakenMessage> SmtpSink::Messages() const {
  std::vector<TakenMessage> messages;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory_.Path())) files.push_back(entry.path());
  for (const fs::path& file : files) {
    const std::string dump = ReadFile(file);
    TakenMessage message;
    std::size_t at = 0;
    bool received = false;
    while (at < dump.size()) {
      const std::size_t end = std::min(dump.find('\n', at), dump.size() - 1);
      const std::string line = dump.substr(at, end - at);
      const auto value = [&](const std::string& name) {
        const std::size_t open = line.find('<');
        return line.rfind(name, 0) == 0 && open != std::string::npos
                   ? line.substr(open + 1, line.find('>', open) - open - 1)
                   : std::string("\n");
      };
      if (received && line.rfind('\t', 0) != 0) break;
      if (value("X-Mail-Args: ") != "\n") message.sender = "FROM:<" + value("X-Mail-Args: ") + ">";
      if (value("X-Rcpt-Args: ") != "\n") message.recipients.push_back(value("X-Rcpt-Args: "));
      received = received || line.rfind("Received:", 0) == 0;
      at = end + 1;
    }
    // It ends with an empty line of its own, but only once the message is complete.
    message.content = dump.substr(at);
    if (!message.content.ends_with('\n')) continue;
    message.content.pop_back();
    messages.push_back(std::move(message));
  }
  return messages;
}

Certificate::Certificate(const fs::path& directory)
    : certificate((directory / "certificate.pem").string()), key((directory / "key.pem").string()) {
  const std::string command =
      "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
      "-addext subjectAltName=IP:127.0.0.1 -keyout '" +
      key + "' -out '" + certificate + "' 2>/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0) << "openssl could not make a certificate";
}

}  // namespace bobbin::test
