// Clients that hand messages to an SMTP server and remember exactly what was acknowledged.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace bobbin::test {

// One recipient of one message: what must arrive.
struct Delivery {
  std::string message;  // The Message-ID's local part.
  std::string recipient;
  friend auto operator<=>(const Delivery&, const Delivery&) = default;
};

// The text of a message of that id, its lines numbered; of every 40th it is too long to be kept in
// memory until the message exists (engine/message_body.h), so that it is written ahead.
std::string LoadTextOf(const std::string& message);

// `threads` clients, each one message after the other with `recipients` recipients, until Stop.
// They survive a server that goes away: they connect again to the port they are given.
class SmtpLoad {
 public:
  SmtpLoad(int threads, int recipients);
  SmtpLoad(const SmtpLoad&) = delete;
  SmtpLoad& operator=(const SmtpLoad&) = delete;
  ~SmtpLoad();

  void SetPort(int port);  // 0: nobody listens at the moment.
  void Stop();

  // What was answered 250 after its final dot.
  std::set<Delivery> Acknowledged() const;
  std::uint64_t MessagesSent() const { return next_message_; }

 private:
  void Run(int thread);
  bool SendOne(int connection, int thread);

  const int recipients_;
  std::atomic<int> port_{0};
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> next_message_{0};
  mutable std::mutex mutex_;
  std::set<Delivery> acknowledged_;
  std::vector<std::thread> threads_;
};

}  // namespace bobbin::test
