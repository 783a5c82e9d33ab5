// TransmissionFilter: turns stored content, piece by piece, into the form it is transmitted in.
//
//   bare LF -> CRLF    bare CR -> space    last line completed with CRLF
//   Bcc and Resent-Bcc fields of the top-level header section left out, folded lines included
//
// A bare CR or LF never leaves, because servers disagree about what they end, and a sender who
// may choose between the readings could smuggle a second message behind the first.
//
// A cut anywhere between two pieces makes no difference. Holds at most kNameBytesMax bytes,
// however long the lines are.
//
// Threads  One at a time. Errors  None.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin {

class TransmissionFilter {
 public:
  // Appends to `out` what of `piece` can be sent already.
  void Filter(std::string_view piece, std::string& out);

  // After the last piece: appends the rest. Then use Reset or another filter.
  void Finish(std::string& out);

  void Reset() { *this = TransmissionFilter(); }

 private:
  // A field name followed by more blanks than this is taken for hidden: a recipient who is
  // not shown to the others matters more than a field nobody can have meant.
  static constexpr std::size_t kNameBytesMax = 1'000;

  enum class Line : std::uint8_t {
    kStart,  // Nothing of the line has been seen.
    kName,   // All of it is in `held_`: it may still become a hidden field.
    kPass,
    kHidden,
  };

  void Text(std::string_view text, std::string& out);
  void EndLine(std::string& out);

  bool carriage_return_ = false;  // The last byte was a CR that has not been judged yet.
  bool in_header_ = true;
  bool field_hidden_ = false;  // Continuation lines share the fate of their field.
  Line line_ = Line::kStart;
  std::string held_;
};

}  // namespace bobbin
