#include "tests/tools/running_daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "engine/database.h"
#include "engine/identity_file.h"
#include "engine/lock_table.h"
#include "tests/support/file_bytes.h"
#include "tests/support/matchers.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace bobbin::daemon {
namespace {

constexpr int kReplySecondsMax = 30;

// `output` -1: standard output goes to the file `<errors>.out`.
pid_t Spawn(std::vector<std::string> words, int output, const std::filesystem::path& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int create = O_CREAT | O_WRONLY | O_APPEND;
  posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), create, 0600);
  const std::string output_path = errors.string() + ".out";
  if (output >= 0) {
    posix_spawn_file_actions_adddup2(&actions, output, 1);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, output_path.c_str(), create, 0600);
  }
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t process = -1;
  const int error = posix_spawn(&process, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + words.front());
  return process;
}

int WaitFor(pid_t process) {
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProgramResult RunBobbind(const std::vector<std::string>& arguments) {
  const TemporaryDirectory directory;
  const std::filesystem::path errors = directory.Path() / "errors";
  std::vector<std::string> words = {BOBBIND};
  words.insert(words.end(), arguments.begin(), arguments.end());
  ProgramResult result;
  result.exit_code = WaitFor(Spawn(std::move(words), -1, errors));
  result.output = ReadFile(errors.string() + ".out");
  result.errors = ReadFile(errors);
  return result;
}

RunningDaemon::RunningDaemon(std::vector<std::string> arguments,
                             const std::filesystem::path& database)
    : database_(database.empty() ? directory_.Path() / "database" : database) {
  Must(Database::Create(DatabasePath()));
  words_ = {BOBBIND, "--database", DatabasePath().string()};
  const auto has = [&](std::string_view name) {
    return std::find(arguments.begin(), arguments.end(), name) != arguments.end();
  };
  if (!has("--listen")) words_.insert(words_.end(), {"--listen", "127.0.0.1:0"});
  if (!has("--maildir")) words_.insert(words_.end(), {"--next-hop", "smtp://127.0.0.1:1"});
  words_.insert(words_.end(), arguments.begin(), arguments.end());
  Start();
}

void RunningDaemon::Start() {
  ready_lines_.clear();
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  process_ = Spawn(words_, output[1], directory_.Path() / "log");
  close(output[1]);
  std::string text;
  char byte = 0;
  while (std::count(text.begin(), text.end(), '\n') < 3 && read(output[0], &byte, 1) == 1) {
    text += byte;
    if (byte != '\n') continue;
    const std::size_t begin = text.find_last_of('\n', text.size() - 2);
    ready_lines_.push_back(text.substr(begin == std::string::npos ? 0 : begin + 1));
    ready_lines_.back().pop_back();
  }
  close(output[0]);
  if (ready_lines_.size() != 3) throw std::runtime_error("bobbind did not start: " + Log());
  const std::size_t colon = ready_lines_[0].find(" (SMTP)");
  port_ = static_cast<std::uint16_t>(
      std::stoi(ready_lines_[0].substr(ready_lines_[0].rfind(':', colon) + 1)));
}

RunningDaemon::~RunningDaemon() {
  if (process_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  // What a killed process leaves in /dev/shm.
  if (const auto identity = ReadIdentityFile(database_)) RemoveVolatileState(identity->database);
}

std::string RunningDaemon::Log() const { return ReadFile(directory_.Path() / "log"); }

void RunningDaemon::Signal(int signal) const { kill(process_, signal); }

void RunningDaemon::LimitFileSize(std::uint64_t bytes) const {
  const rlimit limit{bytes, bytes};
  if (prlimit(process_, RLIMIT_FSIZE, &limit, nullptr) != 0) throw std::runtime_error("prlimit");
}

int RunningDaemon::Wait() { return WaitFor(std::exchange(process_, -1)); }

std::uint64_t RunningDaemon::QueueCount() const {
  const Database database = Must(Database::Open(DatabasePath()));
  return Must(database.GetOutgoingQueue().Count());
}

std::vector<std::string> RunningDaemon::QueuedContents() const {
  const Database database = Must(Database::Open(DatabasePath()));
  std::vector<std::string> contents;
  for (const QueueRow& row : Must(database.GetOutgoingQueue().Rows(10'000))) {
    const Message message = Must(database.OpenMessageForOperator(row.message));
    MessageBodyReader reader = Must(message.OpenContent());
    std::string content;
    for (;;) {
      const std::string_view piece = Must(reader.Next());
      if (piece.empty()) break;
      content += piece;
    }
    if (content.compare(0, 10, "Received: ") != 0) throw std::runtime_error("no Received field");
    std::size_t end = content.find("\r\n") + 2;
    while (content[end] == '\t') end = content.find("\r\n", end) + 2;
    contents.push_back(content.substr(end));
  }
  return contents;
}

SmtpSocket::SmtpSocket(std::uint16_t port, bool ipv6) {
  socket_ = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{kReplySecondsMax, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address4{};
  address4.sin_family = AF_INET;
  address4.sin_port = htons(port);
  address4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 address6{};
  address6.sin6_family = AF_INET6;
  address6.sin6_port = htons(port);
  address6.sin6_addr = in6addr_loopback;
  const int connected =
      ipv6 ? connect(socket_, reinterpret_cast<const sockaddr*>(&address6), sizeof address6)
           : connect(socket_, reinterpret_cast<const sockaddr*>(&address4), sizeof address4);
  if (connected != 0) Close();
}

bool SmtpSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string SmtpSocket::Reply() {
  for (;;) {
    const std::size_t end = unread_.find("\r\n");
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 2);
      if (line.size() > 3 && line[3] == '-') continue;
      return line;
    }
    char buffer[4096];
    const ssize_t size = recv(socket_, buffer, sizeof buffer, 0);
    if (size <= 0) return {};
    unread_.append(buffer, static_cast<std::size_t>(size));
  }
}

std::string SmtpSocket::Command(std::string_view line) {
  Send(std::string(line) + "\r\n");
  return Reply();
}

std::string SmtpSocket::Codes(std::size_t count) {
  std::string codes;
  for (std::size_t i = 0; i < count; ++i) codes += (i == 0 ? "" : " ") + Reply().substr(0, 3);
  return codes;
}

bool SmtpSocket::OpenData() {
  Send("EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n");
  return Codes(5) == "220 250 250 250 354";
}

void SmtpSocket::Close() {
  if (socket_ >= 0) close(std::exchange(socket_, -1));
}

void SmtpSocket::Reset() {
  const linger at_once{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Close();
}

}  // namespace bobbin::daemon
