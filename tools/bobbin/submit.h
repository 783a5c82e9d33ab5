// Submitting a message from standard input: what `bobbin submit` and `sendmail` share. And
// submitting a draft that is in the database (`bobbin submit --id`).
//
// Content     Streamed: the process holds its header section and one piece, never the whole.
//             `bobbin submit` stores it byte for byte. As sendmail, programs rely on the fields
//             they leave out being added: Received, and Date, From and Message-ID if missing.
// Durability  kOk only when the message is durably queued; anything else means that it is not,
//             but for kTemporary with "unknown" in the text (MAPI: BOBBIN_E_STORE_FAILED).
#pragma once

#include <string>
#include <vector>

#include "tools/bobbin/command_line.h"

namespace bobbin::cli {

// As bobbind's setting `store`, so that both fill one queue.
inline constexpr const char* kDefaultStore = "outgoing";

struct SubmitRequest {
  std::vector<std::string> recipients;  // As typed: addresses, "Name <address>", list:NAME.
  bool recipients_from_header = false;  // -t: To, Cc and Bcc too.
  bool sender_given = false;
  std::string sender;     // Empty or "<>", when given: the null reverse-path.
  std::string full_name;  // -F.
  std::string store = kDefaultStore;
  std::string notify;            // -N: "never", or some of "success,failure,delay".
  std::string returned_content;  // -R: "full" or "hdrs".
  std::string envelope_id;       // -V, xtext.
  std::string send_at;           // As ParseSendTime reads it; empty: now.
  bool keep = false;             // Goes to Sent Items, else it is deleted when delivered.
  bool dot_ends = false;
  bool as_sendmail = false;  // Adds what is missing in the header; prints nothing.
  bool quiet = false;
  // Not empty: this draft, not standard input. Of the others `sender`, `full_name` and `send_at`
  // count, when given, before what the draft says; and `quiet`.
  std::string draft_id;
};

ExitCode RunSubmit(const CommandLine& line, const SubmitRequest& request);

}  // namespace bobbin::cli
