// EventLog: what the daemon did, one line per event on standard error.
//
//   2026-11-21T02:50:20.123+00:00 info queued id=3KF from=<a@x.test> recipients=2 bytes=1823
//
// Values that hold blanks, quotes, '=' or what cannot be printed are quoted, with \xHH for the
// latter: one event is always one line, whatever a client sends. Empty values are left out.
//
// Threads  Any number. Errors  None: a log that cannot be written does not stop mail.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace bobbin::daemon {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view key;
  std::string value;
};

class EventLog {
 public:
  explicit EventLog(LogLevel least);
  ~EventLog();

  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

// "event key=value ..."
std::string FormatEvent(std::string_view event, std::initializer_list<LogField> fields);

}  // namespace bobbin::daemon
