// Standard output of a command: a table for people, JSON for programs, or bare queue ids.
//
//   kTable  aligned columns; on a terminal coloured and cut to its width, elsewhere whole and plain
//   kJson   one object per line, UTF-8; bytes that are not UTF-8 become U+FFFD
//   kIds    one queue id per line
//
// Colour is used only on a terminal, and not when NO_COLOR is set or TERM is "dumb".
// Errors  Remembered until Finish: what could not be written is never taken for written.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bobbin/exit_code.h"

namespace bobbin::cli {

using Json = nlohmann::ordered_json;  // Fields are printed in the order they are documented in.

enum class OutputFormat { kTable, kJson, kIds };
enum class Style { kPlain, kTitle, kGood, kWaiting, kBad, kDim };

class Output {
 public:
  explicit Output(OutputFormat format);

  OutputFormat Format() const { return format_; }
  // Of the terminal; none when standard output is something else.
  std::optional<std::size_t> Columns() const { return columns_; }

  std::string Styled(Style style, std::string_view text) const;
  void Line(std::string_view text);  // As it is: the caller has escaped what came from mail.
  void PrintJson(const Json& object);
  void Bytes(std::string_view bytes);

  bool Failed() const { return failed_; }
  // Flushes. kOk, or kIoError with a complaint.
  ExitCode Finish();

 private:
  OutputFormat format_;
  std::optional<std::size_t> columns_;
  bool colour_ = false;
  bool failed_ = false;
};

struct Column {
  std::string title;
  bool right_aligned = false;
  std::size_t width_max = 0;  // On a terminal; 0 = as wide as the widest cell.
};

struct Cell {
  std::string text;  // Escaped here.
  Style style = Style::kPlain;
};

// Rows in any number with bounded memory: widths are those of the first kRowsHeld rows, later
// ones may stick out. The last column is cut to what the terminal leaves.
class Table {
 public:
  static constexpr std::size_t kRowsHeld = 1'000;

  Table(Output& output, std::vector<Column> columns);
  void AddRow(std::vector<Cell> cells);
  void Flush();

 private:
  void PrintRow(const std::vector<Cell>& cells) const;

  Output& output_;
  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<Cell>> rows_;
  bool title_printed_ = false;
};

}  // namespace bobbin::cli
