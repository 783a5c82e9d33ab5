#include "tools/bobbin/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

constexpr std::size_t kColumnsWhenUnknown = 80;

std::optional<std::size_t> TerminalColumns() {
  if (isatty(STDOUT_FILENO) == 0) return std::nullopt;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kColumnsWhenUnknown;
}

bool WantsColour() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::string_view EscapeSequence(Style style) {
  switch (style) {
    case Style::kTitle:
      return "\x1b[1m";
    case Style::kGood:
      return "\x1b[32m";
    case Style::kWaiting:
      return "\x1b[33m";
    case Style::kBad:
      return "\x1b[31m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kPlain:
      break;
  }
  return {};
}

}  // namespace

Output::Output(OutputFormat format)
    : format_(format), columns_(TerminalColumns()), colour_(columns_ && WantsColour()) {}

std::string Output::Styled(Style style, std::string_view text) const {
  const std::string_view sequence = colour_ ? EscapeSequence(style) : std::string_view();
  if (sequence.empty()) return std::string(text);
  return std::string(sequence) + std::string(text) + "\x1b[0m";
}

void Output::Line(std::string_view text) {
  Bytes(text);
  Bytes("\n");
}

void Output::PrintJson(const Json& object) {
  // On a terminal only ASCII: what reorders text there is the same text to a JSON parser.
  Line(object.dump(-1, ' ', columns_.has_value(), Json::error_handler_t::replace));
}

void Output::Bytes(std::string_view bytes) {
  if (failed_) return;
  failed_ = std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size();
}

ExitCode Output::Finish() {
  if (std::fflush(stdout) != 0) failed_ = true;
  if (!failed_) return ExitCode::kOk;
  return Complain(ExitCode::kIoError, "write to standard output", std::strerror(errno),
                  "what was printed is not complete");
}

Table::Table(Output& output, std::vector<Column> columns)
    : output_(output), columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(DisplayWidth(column.title));
}

void Table::AddRow(std::vector<Cell> cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    Cell& cell = cells[i];
    cell.text = EscapeForTerminal(cell.text);
    if (output_.Columns() && columns_[i].width_max > 0) {
      cell.text = CutToWidth(cell.text, columns_[i].width_max);
    }
    if (!title_printed_) widths_[i] = std::max(widths_[i], DisplayWidth(cell.text));
  }
  rows_.push_back(std::move(cells));
  if (rows_.size() >= kRowsHeld) Flush();
}

void Table::Flush() {
  if (rows_.empty()) return;
  if (!title_printed_) {
    std::vector<Cell> titles;
    for (const Column& column : columns_) titles.push_back({column.title, Style::kTitle});
    PrintRow(titles);
    title_printed_ = true;
  }
  for (const std::vector<Cell>& row : rows_) PrintRow(row);
  rows_.clear();
}

void Table::PrintRow(const std::vector<Cell>& cells) const {
  constexpr std::string_view kGap = "  ";
  std::string line;
  std::size_t used = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool last = i + 1 == cells.size();
    std::string text = cells[i].text;
    if (last && output_.Columns()) {
      text = CutToWidth(text, std::max<std::size_t>(*output_.Columns(), used + 8) - used);
    }
    const std::size_t width = DisplayWidth(text);
    const std::size_t padding = widths_[i] > width ? widths_[i] - width : 0;
    if (columns_[i].right_aligned) line.append(padding, ' ');
    line += output_.Styled(cells[i].style, text);
    if (!last) {
      if (!columns_[i].right_aligned) line.append(padding, ' ');
      line += kGap;
    }
    used += std::max(width, widths_[i]) + kGap.size();
  }
  output_.Line(line);
}

}  // namespace bobbin::cli
