// Scrubber: verifies the whole database in the background of the daemon, again and again
// (engine/scrub.h), and moves queued messages that it finds damaged out of the way of the others.
//
// A scrub begins one interval after the last one that ended, whichever program did it and whenever.
// When that is long ago or there was none, it begins a tenth of the interval after Start, or ten
// minutes after it if that is less: what it reads may end the process (engine/lost_pages.h), and a
// daemon that is started again must come to deliver mail before that happens anew. Each damaged row
// is logged once for as long as the daemon runs.
//
// Threads    One of its own, from Start on. Destruction ends a scrub that is under way at once.
// Ownership  Borrows the log.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "engine/database.h"
#include "tools/bobbind/event_log.h"

namespace bobbin::daemon {

class Scrubber {
 public:
  struct Options {
    std::chrono::seconds interval{};
    std::uint64_t bytes_per_second = 0;
  };
  //   kNotEnoughResources  too many spooler sessions
  static Result<std::unique_ptr<Scrubber>> Open(const Database& database, Options options,
                                                EventLog& log);
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;
  ~Scrubber();

  void Start();

 private:
  Scrubber(Database database, SpoolerSession session, Options options, EventLog& log)
      : database_(std::move(database)),
        session_(std::move(session)),
        options_(options),
        log_(log) {}

  void Run();
  // False: the daemon stops.
  bool Wait(std::chrono::nanoseconds time);
  std::chrono::nanoseconds UntilNext() const;
  void ScrubOnce();
  void Tell(const std::string& table, const std::string& key, const std::string& detail);
  void SetAside(MessageId message);

  Database database_;
  SpoolerSession session_;
  const Options options_;
  EventLog& log_;
  std::set<std::string> told_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace bobbin::daemon
