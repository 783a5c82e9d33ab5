// A real bobbind on a real database, and raw sockets to talk to it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace bobbin::daemon {

struct ProgramResult {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

// Runs bobbind to its end.
ProgramResult RunBobbind(const std::vector<std::string>& arguments);

class RunningDaemon {
 public:
  // Creates the database, and adds --database and, unless `arguments` has one, --listen
  // 127.0.0.1:0 and a next hop that cannot be reached: what is taken stays queued.
  // `database`: where to create it; else in a temporary directory.
  explicit RunningDaemon(std::vector<std::string> arguments = {},
                         const std::filesystem::path& database = {});
  RunningDaemon(const RunningDaemon&) = delete;
  RunningDaemon& operator=(const RunningDaemon&) = delete;
  ~RunningDaemon();  // SIGKILL, if it still runs.

  // When it has ended, again: the same program on the same database, with another port and a log
  // that goes on.
  void Start();

  std::uint16_t Port() const { return port_; }
  const std::vector<std::string>& ReadyLines() const { return ready_lines_; }
  const std::filesystem::path& DatabasePath() const { return database_; }
  std::string Log() const;

  void Signal(int signal) const;
  void LimitFileSize(std::uint64_t bytes) const;  // Writes behind it fail from now on.
  int Wait();                                     // The exit code; 128 + n when a signal ended it.

  // Of the database, through an engine of this process.
  std::uint64_t QueueCount() const;
  // The stored contents of the queue, in order, without the Received field.
  std::vector<std::string> QueuedContents() const;

 private:
  TemporaryDirectory directory_;
  std::filesystem::path database_;
  std::vector<std::string> words_;
  pid_t process_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::string> ready_lines_;
};

class SmtpSocket {
 public:
  explicit SmtpSocket(std::uint16_t port, bool ipv6 = false);
  SmtpSocket(const SmtpSocket&) = delete;
  SmtpSocket& operator=(const SmtpSocket&) = delete;
  ~SmtpSocket() { Close(); }

  bool IsConnected() const { return socket_ >= 0; }
  // False when the other end is gone.
  bool Send(std::string_view bytes);
  // The last line of the next reply, without CRLF; empty at the end of the connection.
  std::string Reply();
  // Sends `line` and CRLF, returns Reply().
  std::string Command(std::string_view line);
  // Codes of the next `count` replies: "250 250 354".
  std::string Codes(std::size_t count);
  // Greeting, EHLO, MAIL, RCPT, DATA: up to its 354.
  bool OpenData();
  void Close();
  void Reset();  // Close with a TCP reset.

 private:
  int socket_ = -1;
  std::string unread_;
};

}  // namespace bobbin::daemon
