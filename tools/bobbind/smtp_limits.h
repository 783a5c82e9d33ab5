// What one client may ask of the listener. Each is a key of the configuration.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "engine/message_body.h"
#include "engine/recipient_table.h"

namespace bobbin::daemon {

struct SmtpLimits {
  std::size_t connections_max = 1'000;  // More are answered 421 and closed.
  std::size_t recipients_max = 1'000;   // Of a message. RFC 5321 4.5.3.1.8: at least 100.
  std::uint64_t message_bytes_max = kContentBytesMax - kTraceBytesMax;
  std::size_t command_line_bytes_max = 2'048;  // With CRLF. RFC 5321 4.5.3.1.4: at least 512.
  std::chrono::seconds idle{300};              // RFC 5321 4.5.3.2.7: at least 5 minutes.
  std::size_t errors_max = 20;                 // 5xx replies of a session; then it is closed.

  // Room for the Received field in front of the largest content.
  static constexpr std::uint64_t kTraceBytesMax = 4'096;
};

static_assert(SmtpLimits{}.recipients_max <= kRecipientCountMax);

}  // namespace bobbin::daemon
