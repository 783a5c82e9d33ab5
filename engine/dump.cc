#include "engine/dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "engine/database.h"
#include "engine/database_directory.h"
#include "engine/database_state.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_sequence.h"

namespace bobbin {
namespace {

constexpr std::string_view kFirstWord = "bobbin-dump";
constexpr std::uint32_t kDumpVersion = 1;
constexpr std::string_view kDamagedWord = "damaged";

template <std::size_t kSize>
std::string Hex(const std::array<std::uint8_t, kSize>& bytes) {
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void AppendEscaped(std::string& line, std::string_view bytes) {
  for (const char character : bytes) {
    switch (character) {
      case '\\':
        line += "\\\\";
        break;
      case '\n':
        line += "\\n";
        break;
      case '\r':
        line += "\\r";
        break;
      case '\t':
        line += "\\t";
        break;
      case '\0':
        line += "\\0";
        break;
      default:
        if (character >= 0x20 && character <= 0x7e) {
          line += character;
        } else {
          fmt::format_to(std::back_inserter(line), "\\x{:02x}",
                         static_cast<std::uint8_t>(character));
        }
    }
  }
}

std::optional<std::uint8_t> HexByte(std::string_view digits) {
  std::uint8_t byte = 0;
  if (digits.size() < 2) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + 2, byte, 16);
  if (error != std::errc() || end != digits.data() + 2) return std::nullopt;
  return byte;
}

std::optional<std::string> Unescape(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    constexpr std::string_view kLetters = "\\nrt0";
    constexpr std::string_view kMeanings{"\\\n\r\t\0", 5};
    if (const std::size_t at = kLetters.find(text[i]); at != std::string_view::npos) {
      bytes += kMeanings[at];
      continue;
    }
    const std::optional<std::uint8_t> byte = HexByte(text.substr(i + 1));
    if (text[i] != 'x' || !byte) return std::nullopt;
    bytes += static_cast<char>(*byte);
    i += 2;
  }
  return bytes;
}

std::optional<std::string> FromHex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const std::optional<std::uint8_t> byte = HexByte(digits.substr(i));
    if (!byte) return std::nullopt;
    bytes += static_cast<char>(*byte);
  }
  return bytes;
}

// Up to the next blank, which is dropped.
std::string_view TakeWord(std::string_view& text) {
  const std::size_t end = text.find(' ');
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

template <class Number>
std::optional<Number> ParseNumber(std::string_view text, int base = 10) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

class Dumper {
 public:
  Dumper(const DatabaseState& database, std::chrono::seconds age_max, const WriteLine& write,
         DumpReport& report)
      : database_(database),
        age_max_(age_max),
        end_(std::chrono::steady_clock::now() + age_max),
        write_(write),
        report_(report) {}

  Result<void> Run(RowReader& rows, const Identity& identity) {
    RETURN_IF_ERROR(write_(fmt::format("{} {} {} {}\n", kFirstWord, kDumpVersion,
                                       Hex(identity.database.bytes), Hex(identity.record_key))));
    for (std::size_t index = 0; index < table::kNames.size(); ++index) {
      const kv::TableId table{static_cast<std::uint8_t>(index)};
      RETURN_IF_ERROR(rows.Scan(table, {}, {},
                                [&](std::string_view key, std::string_view value) -> Result<bool> {
                                  RETURN_IF_ERROR(WriteRecord(table, key, value));
                                  return true;
                                }));
    }
    return write_(fmt::format("end {}\n", report_.records));
  }

 private:
  Result<void> WriteRecord(kv::TableId table, std::string_view key, std::string_view value) {
    if (std::chrono::steady_clock::now() > end_) {
      return Fail(ErrorCode::kTimeout,
                  fmt::format("its snapshot is {} s old; the database grows as long as it is kept",
                              age_max_.count()));
    }
    const std::string_view name = table::kNames[table.index];
    ++report_.records;
    line_.clear();
    Result<OpenedRecord> record = database_.codec.Open(table, name, key, value);
    if (record) {
      fmt::format_to(std::back_inserter(line_), "{} {} {} {} {:016x} ", name, ToHex(key),
                     static_cast<unsigned>(record->kind), record->sequence, ChecksumOf(value));
      AppendEscaped(line_, record->payload);
    } else if (record.error().code == ErrorCode::kCorruptData) {
      report_.damaged.push_back(std::move(record).error());
      fmt::format_to(std::back_inserter(line_), "{} {} {} ", name, ToHex(key), kDamagedWord);
      AppendEscaped(line_, value);
    } else {
      return tl::unexpected<Error>(std::move(record).error());
    }
    line_ += '\n';
    return write_(line_);
  }

  const DatabaseState& database_;
  const std::chrono::seconds age_max_;
  const std::chrono::steady_clock::time_point end_;
  const WriteLine& write_;
  DumpReport& report_;
  std::string line_;
};

struct LoadedRow {
  kv::TableId table{};
  std::string key;
  std::string value;
};

class Loader {
 public:
  explicit Loader(const ReadLine& read) : read_(read) {}

  Result<void> Run(const std::filesystem::path& directory) {
    ASSIGN_OR_RETURN(const Identity identity, ReadHeader());
    RETURN_IF_ERROR(WriteIdentityFile(directory, identity));
    RETURN_IF_ERROR(kv::CreateLmdbEnvironment(
        directory, DatabaseTables(), [](kv::WriteTransaction&) { return Result<void>(); }));
    {
      ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> engine,
                       kv::OpenLmdbEngine(directory, DatabaseTables()));
      RETURN_IF_ERROR(ReadRecords(*engine, RecordCodec(identity.record_key)));
    }
    ASSIGN_OR_RETURN(const std::uint64_t written, kv::GetLmdbSequence(directory));
    RETURN_IF_ERROR(kv::SetLmdbSequence(directory, std::max(sequence_, written)));
    const Result<Database> opened = Database::Open(directory);
    if (!opened) return tl::unexpected<Error>(opened.error());
    return {};
  }

  std::uint64_t Records() const { return records_; }

 private:
  Result<bool> Next() {
    ++line_number_;
    return read_(line_);
  }
  tl::unexpected<Error> Bad(std::string_view what) const {
    return Fail(ErrorCode::kCorruptData, fmt::format("line {}: {}", line_number_, what));
  }

  Result<Identity> ReadHeader() {
    ASSIGN_OR_RETURN(const bool there, Next());
    std::string_view text = line_;
    if (!there || TakeWord(text) != kFirstWord) return Bad("this is not a dump of a database");
    const std::string_view version = TakeWord(text);
    if (version != std::to_string(kDumpVersion)) {
      return Fail(ErrorCode::kVersion, fmt::format("the dump has version {}, this Bobbin reads {}",
                                                   version, kDumpVersion));
    }
    Identity identity;
    identity.format = Database::kFormat;
    const std::optional<std::string> id = FromHex(TakeWord(text));
    const std::optional<std::string> record_key = FromHex(text);
    if (!id || id->size() != identity.database.bytes.size() || !record_key ||
        record_key->size() != identity.record_key.size()) {
      return Bad("the first line has no database id and record key");
    }
    std::copy(id->begin(), id->end(), identity.database.bytes.begin());
    std::copy(record_key->begin(), record_key->end(), identity.record_key.begin());
    return identity;
  }

  Result<void> ReadRecords(kv::Engine& engine, const RecordCodec& codec) {
    for (;;) {
      ASSIGN_OR_RETURN(const bool there, Next());
      if (!there) return Bad("the dump is cut off: its last line is missing");
      if (line_.starts_with("end ")) break;
      ASSIGN_OR_RETURN(LoadedRow row, ParseRow(codec));
      batch_bytes_ += row.key.size() + row.value.size();
      batch_.push_back(std::move(row));
      ++records_;
      if (batch_bytes_ >= kv::kTransactionBytesMax) RETURN_IF_ERROR(WriteBatch(engine));
    }
    if (line_ != fmt::format("end {}", records_)) {
      return Bad(fmt::format("\"{}\", but there were {} records", line_, records_));
    }
    ASSIGN_OR_RETURN(const bool more, Next());
    if (more) return Bad("something follows the end");
    return WriteBatch(engine);
  }

  Result<LoadedRow> ParseRow(const RecordCodec& codec) {
    std::string_view text = line_;
    const std::string_view name = TakeWord(text);
    const auto* const found = std::find(table::kNames.begin(), table::kNames.end(), name);
    if (found == table::kNames.end()) return Bad("it does not begin with the name of a table");
    LoadedRow row;
    row.table.index = static_cast<std::uint8_t>(found - table::kNames.begin());
    std::optional<std::string> key = FromHex(TakeWord(text));
    if (!key || key->empty() || key->size() > kv::kKeyBytesMax) return Bad("the key is malformed");
    row.key = *std::move(key);
    if (std::pair(row.table.index, row.key) <= last_) return Bad("records are not in their order");
    last_ = {row.table.index, row.key};
    const std::string_view kind = TakeWord(text);
    if (kind == kDamagedWord) {
      std::optional<std::string> value = Unescape(text);
      if (!value || value->size() > kv::kValueBytesMax) return Bad("the value is malformed");
      row.value = *std::move(value);
      return row;
    }
    const auto kind_number = ParseNumber<std::uint8_t>(kind);
    const auto sequence = ParseNumber<std::uint64_t>(TakeWord(text));
    const auto checksum = ParseNumber<std::uint64_t>(TakeWord(text), 16);
    const std::optional<std::string> payload = Unescape(text);
    if (!kind_number || !sequence || !checksum || !payload) return Bad("the record is malformed");
    if (payload->size() + row.key.size() + kRecordOverheadBytes > kv::kValueBytesMax) {
      return Bad("the record is too long");
    }
    codec.Seal(static_cast<RecordKind>(*kind_number), row.table, row.key, *sequence, *payload,
               row.value);
    if (ChecksumOf(row.value) != *checksum) return Bad("the checksum does not match");
    sequence_ = std::max(sequence_, *sequence);
    return row;
  }

  Result<void> WriteBatch(kv::Engine& engine) {
    RETURN_IF_ERROR(engine
                        .Update([&](kv::WriteTransaction& transaction) -> Result<void> {
                          for (const LoadedRow& row : batch_) {
                            RETURN_IF_ERROR(transaction.Put(row.table, row.key, row.value));
                          }
                          return {};
                        })
                        .ToResult());
    batch_.clear();
    batch_bytes_ = 0;
    return {};
  }

  const ReadLine& read_;
  std::string line_;
  std::uint64_t line_number_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t sequence_ = 0;  // The highest of any record.
  std::pair<std::uint8_t, std::string> last_;
  std::vector<LoadedRow> batch_;
  std::size_t batch_bytes_ = 0;
};

}  // namespace

Result<DumpReport> DumpDatabase(const Database& database, const std::filesystem::path& path,
                                std::chrono::seconds age_max, const WriteLine& write) {
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(path));
  DumpReport report;
  RETURN_IF_ERROR(database.State()->View([&](RowReader& rows) {
    report = {};
    return Dumper(*database.State(), age_max, write, report).Run(rows, identity);
  }));
  return report;
}

Result<std::uint64_t> LoadDatabase(const std::filesystem::path& path, const ReadLine& read) {
  Loader loader(read);
  RETURN_IF_ERROR(CreateDatabaseDirectory(
      path, [&](const std::filesystem::path& aside) { return loader.Run(aside); }));
  return loader.Records();
}

}  // namespace bobbin
