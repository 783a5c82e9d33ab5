// Windows code pages: what MAPI says in numbers (PR_INTERNET_CPID, PR_MESSAGE_CODEPAGE) and mail in
// names, and text in them as UTF-8.
//
// Threads  Functions: any number. A decoder: one at a time.
// Errors   None: what is no text in the code page becomes U+FFFD.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin {

inline constexpr std::uint32_t kCodePageUtf16 = 1200;  // Little-endian.
inline constexpr std::uint32_t kCodePageWestern = 1252;
inline constexpr std::uint32_t kCodePageUtf8 = 65001;

// That of 8-bit text by people who use a Windows locale (LCID).
std::uint32_t CodePageOfLocale(std::uint32_t locale);

bool IsKnownCodePage(std::uint32_t code_page);

// As a MIME charset; empty for one that mail cannot carry as it is (UTF-16) or that is not known.
std::string_view CharsetOf(std::uint32_t code_page);

// Bytes in a code page to UTF-8, piece by piece: a cut anywhere makes no difference. One that is
// not known is read as kCodePageWestern.
class TextDecoder {
 public:
  explicit TextDecoder(std::uint32_t code_page);
  TextDecoder(TextDecoder&& other) noexcept;
  TextDecoder& operator=(TextDecoder&&) = delete;
  ~TextDecoder();

  void Append(std::string_view piece, std::string& out);
  void Finish(std::string& out);  // What was begun and not completed.

 private:
  void* converter_;         // iconv_t.
  std::size_t unit_bytes_;  // Skipped when they are no text.
  std::string held_;        // The beginning of a character.
};

std::string DecodeText(std::uint32_t code_page, std::string_view bytes);

}  // namespace bobbin
