#include "spooler/transports/smtp_conversation.h"

#include <utility>

#include "spooler/reply_text.h"

namespace bobbin {
namespace {

// More of one reply is read but not kept.
constexpr std::size_t kReplyBytesMax = std::size_t{8} << 10;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void SmtpConversation::BeginTransaction() {
  const bool authenticated = authenticated_;
  *this = SmtpConversation();
  authenticated_ = authenticated;
}

void SmtpConversation::OnCommand(std::string_view command) {
  lines_.clear();
  if (command.starts_with("EHLO ") || command.starts_with("HELO ")) {
    // A new connection, or the same one after STARTTLS: nothing said before counts.
    authenticated_ = false;
  } else if (command.starts_with("AUTH ")) {
    authenticated_ = true;  // If it fails, libcurl does not go on to MAIL.
  } else if (command.starts_with("MAIL FROM:")) {
    stage_ = Stage::kMail;
    smtputf8_announced_ = command.ends_with(" SMTPUTF8\r\n");
  } else if (command.starts_with("RCPT TO:")) {
    stage_ = Stage::kRecipient;
  } else if (command.starts_with("DATA")) {
    stage_ = Stage::kData;
  } else if (command.starts_with("QUIT")) {
    stage_ = Stage::kOver;
    quit_sent_ = true;
  }
}

void SmtpConversation::OnReplyLine(std::string_view line) {
  const std::size_t bytes = line.size();
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  const bool is_reply =
      line.size() >= 3 && IsDigit(line[0]) && IsDigit(line[1]) && IsDigit(line[2]);
  if (!is_reply) return;
  if (lines_.size() + line.size() < kReplyBytesMax) {
    if (!lines_.empty()) lines_.push_back('\n');
    lines_.append(line);
  }
  // libcurl's own rule for the last line: a blank after the code, or nothing but CRLF.
  const bool last = line.size() > 3 ? line[3] == ' ' : bytes == 5;
  if (last) OnReply(ParseReply(std::exchange(lines_, {})));
}

void SmtpConversation::OnReply(Reply reply) {
  switch (stage_) {
    case Stage::kSession:
      session_ = std::move(reply);
      return;
    case Stage::kMail:
      mail_ = std::move(reply);
      return;
    case Stage::kRecipient:
      recipients_.push_back(std::move(reply));
      return;
    case Stage::kData:
      // 354 asks for the content; what comes after that is the answer to all of it.
      stage_ = reply.code == 354 ? Stage::kEndOfData : Stage::kOver;
      data_ = std::move(reply);
      return;
    case Stage::kEndOfData:
      final_ = std::move(reply);
      stage_ = Stage::kOver;
      return;
    case Stage::kOver:
      return;
  }
}

}  // namespace bobbin
