// Delivery: the daemon's spooler workers, each with a thread, a session and transports of its own.
//
//   Start -> Stop -> [Cancel] -> IsStopped -> destruction (joins)
//
// Stop lets messages in progress come to their end; Cancel makes their transports return soon.
//
// Threads     Functions may be called from any; on_store_failed comes from a worker.
// Ownership   Borrows the log.
// Errors      kInvalidParameter    the configuration cannot be used; the detail says why
//             kNotEnoughResources  too many spooler sessions
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/database.h"
#include "spooler/spooler.h"
#include "tools/bobbind/configuration.h"
#include "tools/bobbind/event_log.h"

namespace bobbin::daemon {

// Where mail goes, from the configuration.
struct Destination {
  TransportFactory transport;
  std::string description;  // "smtp://mx.test:25", for the line at start.
};
Result<Destination> ChooseDestination(const Configuration& configuration);

class Delivery {
 public:
  static Result<std::unique_ptr<Delivery>> Open(const Configuration& configuration,
                                                const Database& database,
                                                const Destination& destination, EventLog& log,
                                                std::function<void(const Error&)> on_store_failed);
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;
  ~Delivery();

  void Start();
  void Stop();
  void Cancel();
  bool IsStopped() const { return running_ == 0; }

 private:
  struct Worker {
    explicit Worker(SpoolerSession opened) : session(std::move(opened)) {}
    SpoolerSession session;
    std::unique_ptr<Spooler> spooler;
    std::thread thread;
  };

  explicit Delivery(std::function<void(const Error&)> on_store_failed)
      : on_store_failed_(std::move(on_store_failed)) {}

  std::function<void(const Error&)> on_store_failed_;
  SpoolerShared shared_;
  SystemClock clock_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<std::size_t> running_{0};
};

}  // namespace bobbin::daemon
