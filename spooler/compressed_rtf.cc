#include "spooler/compressed_rtf.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace bobbin {
namespace {

constexpr std::size_t kHeaderBytes = 16;
constexpr std::uint32_t kCompressed = 0x75465A4C;    // "LZFu"
constexpr std::uint32_t kUncompressed = 0x414C454D;  // "MELA"
constexpr std::size_t kDictionaryBytes = 4'096;

// What every dictionary begins with.
constexpr std::string_view kInitialText =
    "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    "\\fscript \\fdecor MS Sans SerifSymbolArialTimes New "
    "RomanCourier{\\colortbl\\red0\\green0\\blue0"
    "\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";
static_assert(kInitialText.size() == 207);

std::uint32_t Number(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i > 0; --i) {
    number = number << 8 | static_cast<std::uint8_t>(bytes[at + i - 1]);
  }
  return number;
}

tl::unexpected<Error> Damaged() {
  return Fail(ErrorCode::kCorruptData, "PR_RTF_COMPRESSED is not compressed RTF");
}

}  // namespace

Result<std::string> DecompressRtf(std::string_view compressed) {
  if (compressed.size() < kHeaderBytes) return Damaged();
  const std::size_t rest = compressed.size() - kHeaderBytes;
  const std::size_t raw_bytes = Number(compressed, 4);
  const std::uint32_t kind = Number(compressed, 8);
  if (kind == kUncompressed) {
    return std::string(compressed.substr(kHeaderBytes, std::min(raw_bytes, rest)));
  }
  if (kind != kCompressed) return Damaged();
  std::array<char, kDictionaryBytes> dictionary{};
  std::copy(kInitialText.begin(), kInitialText.end(), dictionary.begin());
  std::size_t end = kInitialText.size();
  std::string out;
  const auto put = [&](char c) {
    out.push_back(c);
    dictionary[end] = c;
    end = (end + 1) % kDictionaryBytes;
  };
  std::size_t at = kHeaderBytes;
  while (at < compressed.size()) {
    const auto control = static_cast<std::uint8_t>(compressed[at++]);
    for (int bit = 0; bit < 8; ++bit) {
      if ((control >> bit & 1) == 0) {
        if (at >= compressed.size()) return Damaged();
        put(compressed[at++]);
        continue;
      }
      if (at + 2 > compressed.size()) return Damaged();
      const std::size_t reference = std::size_t{static_cast<std::uint8_t>(compressed[at])} << 8 |
                                    static_cast<std::uint8_t>(compressed[at + 1]);
      at += 2;
      const std::size_t offset = reference >> 4;
      if (offset == end) return out;  // The mark of the end.
      const std::size_t length = (reference & 0xF) + 2;
      for (std::size_t i = 0; i < length; ++i) put(dictionary[(offset + i) % kDictionaryBytes]);
    }
  }
  return Damaged();
}

}  // namespace bobbin
