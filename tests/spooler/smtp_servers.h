// Real SMTP servers for tests: one that does as it is told, and Postfix's smtp-sink.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bobbin::test {

// Waits until `condition` holds; false when it does not within 30 s.
bool Eventually(const std::function<bool()>& condition);

std::string ReadFile(const std::filesystem::path& path);

// Made empty, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& Path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct TakenMessage {
  std::string connection;
  std::string sender;  // The argument of MAIL.
  std::vector<std::string> recipients;
  std::string content;
};

// A process that is killed with its owner.
class ChildProcess {
 public:
  // `output`: receives the first line of its standard output, if wanted.
  explicit ChildProcess(const std::vector<std::string>& command, std::string* output = nullptr);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();
  bool Running() const;

 private:
  pid_t process_ = -1;
};

// tests/support/smtp_test_server.py with `arguments`.
class SmtpTestServer {
 public:
  explicit SmtpTestServer(std::vector<std::string> arguments = {});
  std::string Url(const std::string& scheme = "smtp") const;
  std::vector<TakenMessage> Messages() const;
  std::vector<std::string> Log() const;
  std::size_t CountLog(const std::string& part) const;

 private:
  TemporaryDirectory directory_;
  std::string port_;
  std::optional<ChildProcess> process_;
};

// smtp-sink, dumping what it takes. Where it is not installed Available() is false.
class SmtpSink {
 public:
  static bool Available();
  SmtpSink();
  std::string Url() const;
  std::vector<TakenMessage> Messages() const;

 private:
  TemporaryDirectory directory_;
  int port_ = 0;
  std::optional<ChildProcess> process_;
};

// A self-signed certificate for 127.0.0.1 and its key, made by openssl.
struct Certificate {
  explicit Certificate(const std::filesystem::path& directory);
  std::string certificate;
  std::string key;
};

}  // namespace bobbin::test
