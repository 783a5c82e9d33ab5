// Makes Outlook .msg files, good and bad ones, with libgsf.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bobbin::test {

struct MadeProperty {
  std::uint32_t tag = 0;
  std::string value;                // As stored: 8 bytes in place, or the bytes of the stream.
  std::vector<std::string> values;  // Of a multi-value of strings or binaries.
};
using MadeProperties = std::vector<MadeProperty>;

struct MadeMessage;
struct MadeAttachment {
  MadeProperties properties;
  std::shared_ptr<MadeMessage> embedded;
  bool is_ole = false;  // A storage with a stream "CONTENTS" in it.
};

struct MadeMessage {
  MadeProperties properties;
  std::vector<MadeProperties> recipients;
  std::vector<MadeAttachment> attachments;
};

// The streams of __nameid_version1.0: property sets, entries, texts.
struct MadeNames {
  std::string sets;
  std::string entries;
  std::string texts;
};

void WriteMsg(const std::filesystem::path& path, const MadeMessage& message,
              const MadeNames& names = {});

MadeProperty Fixed(std::uint32_t tag, std::uint64_t value);
MadeProperty Stored(std::uint32_t tag, std::string value);
// PT_UNICODE of ASCII text.
std::string Utf16(const std::string& ascii);
std::string LittleEndianBytes(std::uint64_t number, std::size_t bytes);

}  // namespace bobbin::test
