// Real SMTP servers for tests: one that does as it is told, and Postfix's smtp-sink.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/file_bytes.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::test {

// Waits until `condition` holds; false when it does not within 30 s.
bool Eventually(const std::function<bool()>& condition);

struct TakenMessage {
  std::string connection;
  std::string sender;  // The argument of MAIL.
  std::vector<std::string> recipients;
  std::string content;
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
