#include "spooler/transmitted_content.h"

#include <utility>

#include "spooler/internet_message.h"

namespace bobbin {
namespace {

constexpr std::string_view kHiddenFields[] = {"bcc", "resent-bcc"};

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

enum class NameMatch : std::uint8_t { kNo, kMaybe, kYes };

// Whether a line that starts with `text` is, or may become, a hidden field.
NameMatch MatchHiddenField(std::string_view text) {
  for (const std::string_view field : kHiddenFields) {
    std::size_t same = 0;
    while (same < text.size() && same < field.size() && Lower(text[same]) == field[same]) ++same;
    if (same == text.size()) return NameMatch::kMaybe;
    if (same < field.size()) continue;
    while (same < text.size() && IsBlank(text[same])) ++same;
    if (same == text.size()) return NameMatch::kMaybe;
    if (text[same] == ':') return NameMatch::kYes;
  }
  return NameMatch::kNo;
}

class TransmittedContent final : public ContentSource {
 public:
  TransmittedContent(MessageBodyReader reader, std::string prefix, std::string suffix)
      : reader_(std::move(reader)), prefix_(std::move(prefix)), suffix_(std::move(suffix)) {}

  Result<std::string_view> Next() override {
    if (!prefix_given_) {
      prefix_given_ = true;
      if (!prefix_.empty()) return std::string_view(prefix_);
    }
    out_.clear();
    // A piece may be hidden whole; an empty answer would mean the end.
    while (out_.empty() && !finished_) {
      ASSIGN_OR_RETURN(const std::string_view piece, reader_.Next());
      if (piece.empty()) {
        filter_.Finish(out_);
        out_.append(suffix_);
        finished_ = true;
      } else {
        filter_.Filter(piece, out_);
      }
    }
    return std::string_view(out_);
  }

  void Rewind() override {
    reader_.Rewind();
    filter_.Reset();
    prefix_given_ = false;
    finished_ = false;
  }

 private:
  MessageBodyReader reader_;
  const std::string prefix_;
  const std::string suffix_;
  TransmissionFilter filter_;
  std::string out_;
  bool prefix_given_ = false;
  bool finished_ = false;
};

}  // namespace

void TransmissionFilter::Filter(std::string_view piece, std::string& out) {
  std::size_t at = 0;
  while (at < piece.size()) {
    if (carriage_return_) {
      carriage_return_ = false;
      if (piece[at] == '\n') {
        EndLine(out);
        ++at;
        continue;
      }
      Text(" ", out);
    }
    const std::size_t end = std::min(piece.find_first_of("\r\n", at), piece.size());
    if (end > at) Text(piece.substr(at, end - at), out);
    if (end == piece.size()) return;
    if (piece[end] == '\r') {
      carriage_return_ = true;
    } else {
      EndLine(out);
    }
    at = end + 1;
  }
}

void TransmissionFilter::Finish(std::string& out) {
  if (std::exchange(carriage_return_, false)) Text(" ", out);
  if (line_ != Line::kStart) EndLine(out);
}

void TransmissionFilter::Text(std::string_view text, std::string& out) {
  if (!in_header_) {
    line_ = Line::kPass;
    out.append(text);
    return;
  }
  if (line_ == Line::kStart) {
    if (IsBlank(text.front())) {
      line_ = field_hidden_ ? Line::kHidden : Line::kPass;
    } else {
      line_ = Line::kName;
      field_hidden_ = false;
    }
  }
  if (line_ == Line::kName) {
    const std::size_t taken = std::min(text.size(), kNameBytesMax + 1 - held_.size());
    held_.append(text.substr(0, taken));
    text.remove_prefix(taken);
    const NameMatch match = MatchHiddenField(held_);
    if (match == NameMatch::kMaybe && held_.size() <= kNameBytesMax) return;
    field_hidden_ = match != NameMatch::kNo;
    line_ = field_hidden_ ? Line::kHidden : Line::kPass;
    if (!field_hidden_) out.append(held_);
    held_.clear();
  }
  if (line_ == Line::kPass) out.append(text);
}

void TransmissionFilter::EndLine(std::string& out) {
  if (line_ == Line::kStart) in_header_ = false;
  if (line_ == Line::kName) {
    out.append(held_);
    held_.clear();
  }
  if (line_ != Line::kHidden) out.append("\r\n");
  line_ = Line::kStart;
}

std::unique_ptr<ContentSource> NewTransmittedContent(MessageBodyReader reader, std::string prefix,
                                                     std::string suffix) {
  return std::make_unique<TransmittedContent>(std::move(reader), std::move(prefix),
                                              std::move(suffix));
}

}  // namespace bobbin
