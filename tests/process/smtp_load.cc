#include "tests/process/smtp_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

namespace bobbin::test {
namespace {

int Connect(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval limit{10, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return connection;
  }
  close(connection);
  return -1;
}

// The code of the next reply, its last line read whole; 0 when the connection is gone.
int ReadReply(int connection) {
  std::string line;
  for (;;) {
    char c = 0;
    if (recv(connection, &c, 1, 0) != 1) return 0;
    line.push_back(c);
    if (c != '\n') continue;
    if (line.size() >= 4 && line[3] == ' ') return std::stoi(line.substr(0, 3));
    line.clear();
  }
}

bool Command(int connection, const std::string& line, int expected) {
  const std::string bytes = line + "\r\n";
  if (send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    return false;
  }
  return ReadReply(connection) == expected;
}

}  // namespace

std::string LoadTextOf(const std::string& message) {
  constexpr int kLinesOfMost = 20;
  constexpr int kLinesWrittenAhead = 5'000;
  constexpr std::size_t kLineBytes = 78;
  const bool ahead = std::stoull(message.substr(1)) % 40 == 0;
  std::string text;
  for (int i = 0; i < (ahead ? kLinesWrittenAhead : kLinesOfMost); ++i) {
    std::string line = message + " " + std::to_string(i) + " ";
    line.resize(kLineBytes, 'x');
    text += line + "\r\n";
  }
  return text;
}

SmtpLoad::SmtpLoad(int threads, int recipients) : recipients_(recipients) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Run(i); });
}

SmtpLoad::~SmtpLoad() { Stop(); }

void SmtpLoad::SetPort(int port) { port_ = port; }

void SmtpLoad::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::set<Delivery> SmtpLoad::Acknowledged() const {
  const std::lock_guard lock(mutex_);
  return acknowledged_;
}

void SmtpLoad::Run(int thread) {
  while (!stop_) {
    const int port = port_;
    const int connection = port == 0 ? -1 : Connect(port);
    if (connection < 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      continue;
    }
    if (ReadReply(connection) == 220 && Command(connection, "EHLO load.test", 250)) {
      while (!stop_ && SendOne(connection, thread)) {
      }
    }
    close(connection);
  }
}

bool SmtpLoad::SendOne(int connection, int thread) {
  const std::string id = "m" + std::to_string(next_message_++) + "t" + std::to_string(thread);
  std::set<Delivery> wanted;
  if (!Command(connection, "MAIL FROM:<sender@load.test>", 250)) return false;
  for (int i = 0; i < recipients_; ++i) {
    const std::string recipient = "r" + std::to_string(i) + "@sink.test";
    if (!Command(connection, "RCPT TO:<" + recipient + ">", 250)) return false;
    wanted.insert({id, recipient});
  }
  if (!Command(connection, "DATA", 354)) return false;
  const std::string content = "Message-ID: <" + id +
                              "@load.test>\r\nFrom: a@load.test\r\nSubject: " + id + "\r\n\r\n" +
                              LoadTextOf(id) + ".";
  if (!Command(connection, content, 250)) return false;
  const std::lock_guard lock(mutex_);
  acknowledged_.merge(wanted);
  return true;
}

}  // namespace bobbin::test
