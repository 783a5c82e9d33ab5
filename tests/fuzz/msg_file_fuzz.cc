// .msg files: read to the end of every stream, or refused with one of the errors of msg_file.h.

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_file.h"
#include "tools/bobbin/msg_file.h"

namespace bobbin::fuzz {
namespace {

using namespace bobbin::cli;  // NOLINT(google-build-using-namespace)

void Check(const Error& error) {
  BOBBIN_CHECK(error.code == ErrorCode::kCorruptData || error.code == ErrorCode::kTooBig ||
               error.code == ErrorCode::kTooComplex);
}

void Drain(MsgProperties& properties) {
  BOBBIN_CHECK(properties.size() <= kMsgPropertyCountMax);
  for (MsgProperty& property : properties) {
    while (property.stream != nullptr) {
      const Result<std::string_view> piece = property.stream->Next();
      if (!piece) Check(piece.error());
      if (!piece || piece->empty()) break;
    }
  }
}

void Drain(MsgMessage& message) {  // NOLINT(misc-no-recursion)
  Drain(message.properties);
  BOBBIN_CHECK(message.recipients.size() <= kMsgRecipientCountMax);
  BOBBIN_CHECK(message.attachments.size() <= kMsgAttachmentCountMax);
  for (MsgProperties& recipient : message.recipients) Drain(recipient);
  for (MsgAttachment& attachment : message.attachments) {
    Drain(attachment.properties);
    if (attachment.embedded) Drain(*attachment.embedded);
  }
}

void Run(std::string_view input) {
  const MemoryFile file(input);
  Result<MsgFile> message = ReadMsgFile(file.Path());
  if (message) {
    Drain(message->message);
  } else {
    Check(message.error());
  }
}

}  // namespace
}  // namespace bobbin::fuzz

// libgsf loses the entries of a directory that it finds malformed, all of them GLib's memory; ours
// is looked at. NOLINTNEXTLINE(bugprone-reserved-identifier, readability-identifier-naming)
extern "C" const char* __lsan_default_suppressions() { return "leak:libglib-2.0.so"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  bobbin::fuzz::Run(bobbin::fuzz::Input(data, bytes));
  return 0;
}
