#include "spooler/encapsulated_rtf.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/ascii.h"
#include "spooler/code_page.h"

namespace bobbin {
namespace {

constexpr std::size_t kGroupDepthMax = 1'000;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 0;
}

std::uint32_t CodePageOfCharset(int charset, std::uint32_t otherwise) {
  switch (charset) {
    case 128:
      return 932;
    case 129:
      return 949;
    case 134:
      return 936;
    case 136:
      return 950;
    case 161:
      return 1253;
    case 162:
      return 1254;
    case 163:
      return 1258;
    case 177:
      return 1255;
    case 178:
      return 1256;
    case 186:
      return 1257;
    case 204:
      return 1251;
    case 222:
      return 874;
    case 238:
      return 1250;
    default:
      return otherwise;
  }
}

void AppendUtf8(std::uint32_t c, std::string& out) {
  const auto push = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6);
    push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12);
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | c >> 18);
    push(0x80 | (c >> 12 & 0x3F));
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

struct Special {
  std::string_view word;
  std::string_view html;
  std::string_view text;
};
constexpr Special kSpecials[] = {
    {"par", "\r\n", "\r\n"},
    {"line", "\r\n", "\r\n"},
    {"tab", "\t", "\t"},
    {"lquote", "&lsquo;", "\xE2\x80\x98"},
    {"rquote", "&rsquo;", "\xE2\x80\x99"},
    {"ldblquote", "&ldquo;", "\xE2\x80\x9C"},
    {"rdblquote", "&rdquo;", "\xE2\x80\x9D"},
    {"bullet", "&bull;", "\xE2\x80\xA2"},
    {"endash", "&ndash;", "\xE2\x80\x93"},
    {"emdash", "&mdash;", "\xE2\x80\x94"},
};

// Groups whose text is not part of the document.
constexpr std::string_view kIgnored[] = {"colortbl",  "stylesheet", "info",  "pict",
                                         "listtable", "header",     "footer"};

struct Group {
  bool ignored = false;   // All but the groups in it that say otherwise (\*\htmltag).
  bool html_tag = false;  // In {\*\htmltag: HTML that RTF does not show.
  bool rtf_only = false;  // \htmlrtf: RTF that HTML does not have.
  bool font_table = false;
  int unicode_skip = 1;         // Characters after \u that are for readers without Unicode.
  std::uint32_t code_page = 0;  // Of the font; 0 = that of the document.
};

class Reader {
 public:
  explicit Reader(std::string_view rtf) : rtf_(rtf) {}

  std::optional<RtfContent> Read() {
    while (at_ < rtf_.size()) {
      const char c = rtf_[at_++];
      if (c == '{') {
        Flush();
        if (groups_.size() >= kGroupDepthMax) break;
        groups_.push_back(groups_.back());
        star_ = false;
      } else if (c == '}') {
        Flush();
        if (groups_.size() == 1) break;
        groups_.pop_back();
      } else if (c == '\\') {
        ReadControl();
      } else if (c != '\r' && c != '\n') {
        Byte(c);
      }
    }
    Flush();
    if (!encapsulated_) return std::nullopt;
    return std::move(content_);
  }

 private:
  Group& Top() { return groups_.back(); }
  bool IsShown() { return encapsulated_ && !Top().ignored && (Top().html_tag || !Top().rtf_only); }

  void Byte(char c) {
    if (skip_ > 0) {
      --skip_;
    } else if (IsShown()) {
      bytes_.push_back(c);
    }
  }

  void Text(std::string_view text) {
    Flush();
    if (IsShown()) content_.text.append(text);
  }

  // Bytes are collected, because a character may take several.
  void Flush() {
    skip_ = 0;
    if (bytes_.empty()) return;
    FlushSurrogate();
    const bool by_font = Top().code_page != 0 && !Top().html_tag;
    content_.text += DecodeText(by_font ? Top().code_page : code_page_, bytes_);
    bytes_.clear();
  }

  void FlushSurrogate() {
    if (high_surrogate_ != 0) content_.text.append("\xEF\xBF\xBD");
    high_surrogate_ = 0;
  }

  void ReadControl() {
    if (at_ >= rtf_.size()) return;
    if (!IsLetter(rtf_[at_])) {
      ReadSymbol(rtf_[at_++]);
      return;
    }
    const std::size_t begin = at_;
    while (at_ < rtf_.size() && IsLetter(rtf_[at_])) ++at_;
    const std::string_view word = rtf_.substr(begin, at_ - begin);
    std::optional<int> number;
    const bool negative = at_ + 1 < rtf_.size() && rtf_[at_] == '-' && IsDigit(rtf_[at_ + 1]);
    if (negative) ++at_;
    while (at_ < rtf_.size() && IsDigit(rtf_[at_])) {
      number = std::min(number.value_or(0) * 10 + (rtf_[at_++] - '0'), 100'000'000);
    }
    if (negative) number = -*number;
    if (at_ < rtf_.size() && rtf_[at_] == ' ') ++at_;
    Word(word, number);
    star_ = false;
  }

  void ReadSymbol(char symbol) {
    switch (symbol) {
      case '\'': {
        if (at_ + 2 > rtf_.size()) return;
        const int byte = HexDigit(rtf_[at_]) * 16 + HexDigit(rtf_[at_ + 1]);
        at_ += 2;
        Byte(static_cast<char>(byte));
        return;
      }
      case '*':
        star_ = true;
        return;
      case '~':
        return Text(content_.is_html ? "&nbsp;" : "\xC2\xA0");
      case '_':
        return Text(content_.is_html ? "&shy;" : "-");
      case '\r':
      case '\n':
        return Text("\r\n");
      case '\\':
      case '{':
      case '}':
        return Byte(symbol);
      default:
        return;
    }
  }

  void Word(std::string_view word, std::optional<int> number) {
    if (word == "u") return Unicode(number.value_or(0));
    if (word == "bin") {
      const auto bytes = static_cast<std::size_t>(std::max(number.value_or(0), 0));
      at_ += std::min(bytes, rtf_.size() - at_);
      return;
    }
    Flush();
    if (star_) {
      Top().html_tag = word == "htmltag" && content_.is_html;
      Top().ignored = !Top().html_tag;
    } else if (word == "fromhtml" || word == "fromtext") {
      encapsulated_ = true;
      content_.is_html = word == "fromhtml";
    } else if (word == "htmlrtf") {
      Top().rtf_only = number.value_or(1) != 0;
    } else if (std::find(std::begin(kIgnored), std::end(kIgnored), word) != std::end(kIgnored)) {
      Top().ignored = true;
    } else if (!FontWord(word, number.value_or(0))) {
      for (const Special& special : kSpecials) {
        if (special.word == word) Text(content_.is_html ? special.html : special.text);
      }
    }
  }

  // Words that say how bytes are to be read.
  bool FontWord(std::string_view word, int number) {
    if (word == "ansicpg") {
      if (IsKnownCodePage(static_cast<std::uint32_t>(number))) {
        code_page_ = static_cast<std::uint32_t>(number);
      }
    } else if (word == "fonttbl") {
      Top().font_table = Top().ignored = true;
    } else if (word == "f") {
      if (Top().font_table) {
        font_ = number;
      } else {
        const auto font = fonts_.find(number);
        Top().code_page = font == fonts_.end() ? 0 : font->second;
      }
    } else if (word == "fcharset" && Top().font_table) {
      fonts_[font_] = CodePageOfCharset(number, 0);
    } else if (word == "plain") {
      Top().code_page = 0;
    } else if (word == "uc") {
      Top().unicode_skip = std::clamp(number, 0, 100);
    } else {
      return false;
    }
    return true;
  }

  void Unicode(int number) {
    // Not UTF-16, be it as a signed number: what stands for it is shown instead.
    if (number < -0x8000 || number > 0xFFFF) return;
    Flush();
    if (IsShown()) {
      const auto unit = static_cast<std::uint32_t>(number) & 0xFFFF;
      if (unit >= 0xDC00 && unit <= 0xDFFF && high_surrogate_ != 0) {
        AppendUtf8(0x10000 + ((high_surrogate_ - 0xD800) << 10) + (unit - 0xDC00), content_.text);
        high_surrogate_ = 0;
      } else {
        FlushSurrogate();
        if (unit >= 0xD800 && unit <= 0xDBFF) {
          high_surrogate_ = unit;
        } else if (unit < 0xD800 || unit > 0xDFFF) {
          AppendUtf8(unit, content_.text);
        }
      }
    }
    skip_ = Top().unicode_skip;
  }

  std::string_view rtf_;
  std::size_t at_ = 0;
  std::vector<Group> groups_{Group{}};
  bool star_ = false;  // \* came: a group that is ignored unless it is known.
  int skip_ = 0;
  std::uint32_t code_page_ = kCodePageWestern;
  std::map<int, std::uint32_t> fonts_;
  int font_ = 0;
  std::string bytes_;
  std::uint32_t high_surrogate_ = 0;
  bool encapsulated_ = false;
  RtfContent content_;
};

}  // namespace

std::optional<RtfContent> ExtractFromRtf(std::string_view rtf) { return Reader(rtf).Read(); }

}  // namespace bobbin
