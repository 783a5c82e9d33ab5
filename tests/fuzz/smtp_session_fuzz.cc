// A whole conversation, DATA and its end included: however it is cut into pieces it comes out the
// same, every reply is one of RFC 5321's lines, and no message that is taken has a lone dot in it.
//
// The first byte says whether the client is trusted, and how long the pieces are of the second
// time.

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/tools/smtp_steps.h"
#include "tools/bobbind/smtp_session.h"

namespace bobbin::fuzz {
namespace {

using namespace bobbin::daemon;  // NOLINT(google-build-using-namespace)
using Kind = SmtpStep::Kind;

struct Conversation {
  std::string replies;
  std::vector<std::string> taken;  // Envelope and content of each.
  bool closed = false;
  friend bool operator==(const Conversation&, const Conversation&) = default;
};

SmtpLimits Limits() {
  SmtpLimits limits;
  limits.message_bytes_max = 2'000;
  limits.recipients_max = 4;
  limits.command_line_bytes_max = 512;
  return limits;
}

// A line of one dot that only some servers see. Behind CRLF it was two dots on the wire.
bool HasLoneDot(std::string_view content) {
  for (const char* dot : {"\n.\n", "\n.\r", "\r.\r", "\r.\n"}) {
    for (auto at = content.find(dot); at != content.npos; at = content.find(dot, at + 1)) {
      const bool behind_crlf = at > 0 && content.substr(at - 1, 2) == "\r\n";
      if (!behind_crlf) return true;
    }
  }
  return false;
}

class Listener {
 public:
  explicit Listener(bool trusted) : session_(Limits(), "mx.test", {"192.0.2.1", "", "", trusted}) {
    session_.Greet();
  }

  void Receive(std::string_view input) {
    conversation_.replies += TakeSteps(session_, input, conversation_.closed,
                                       [this](const SmtpStep& step) { Act(step); });
  }

  const Conversation& Finish() const { return conversation_; }

 private:
  void Act(const SmtpStep& step) {
    BOBBIN_CHECK(step.kind != Kind::kWait);
    if (step.kind == Kind::kBeginContent) {
      content_.clear();
      session_.AcceptContent();
    }
    content_ += step.content;
    BOBBIN_CHECK(content_.size() <= Limits().message_bytes_max);
    if (step.kind == Kind::kEndContent) {
      Take();
      session_.AnswerContent({250, "2.0.0", "queued as 3KF"});
    }
    if (step.kind == Kind::kClose) conversation_.closed = true;
  }

  void Take() {
    const Envelope& envelope = session_.CurrentEnvelope();
    std::string taken = envelope.reverse_path + "\n";
    BOBBIN_CHECK(!envelope.recipients.empty());
    for (const std::string& recipient : envelope.recipients) taken += recipient + "\n";
    BOBBIN_CHECK(!HasLoneDot(content_));
    conversation_.taken.push_back(taken + content_);
  }

  SmtpSession session_;
  std::string content_;
  Conversation conversation_;
};

Conversation Play(std::string_view input, bool trusted, std::size_t piece_bytes) {
  Listener listener(trusted);
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, piece_bytes);
    listener.Receive(piece);
    input.remove_prefix(piece.size());
  }
  listener.Receive({});
  return listener.Finish();
}

// "250-text" or "250 text", all that is printed.
void CheckReplies(std::string_view replies) {
  while (!replies.empty()) {
    const std::size_t end = replies.find("\r\n");
    BOBBIN_CHECK(end != std::string_view::npos && end >= 3);
    const std::string_view line = replies.substr(0, end);
    BOBBIN_CHECK(std::all_of(line.begin(), line.begin() + 3,
                             [](unsigned char c) { return std::isdigit(c) != 0; }));
    BOBBIN_CHECK(std::all_of(line.begin(), line.end(),
                             [](unsigned char c) { return c >= 0x20 && c < 0x7F; }));
    replies.remove_prefix(end + 2);
  }
}

void Run(std::string_view input) {
  const std::uint8_t how = TakeByte(input);
  const bool trusted = (how & 1) != 0;
  const Conversation whole = Play(input, trusted, input.size());
  CheckReplies(whole.replies);
  BOBBIN_CHECK(Play(input, trusted, 1 + how / 2) == whole);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  bobbin::fuzz::Run(bobbin::fuzz::Input(data, bytes));
  return 0;
}
