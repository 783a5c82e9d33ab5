// bobbin_drill: what a damaged database gives back.
//
//   bobbin_drill [--megabytes N] [--percent P] [--seed S]
//
// Fills a database with real mail (tests/support/corpus.h), each time with another envelope, by
// several clients at once; one in ten is deleted again. Then both meta pages and P % of the others,
// whatever they are, are overwritten with random bytes, and `bobbin salvage` is run. What it made
// is compared with what was submitted. Exit status 1: a content was wrong, a record whose pages
// survived was not found, or a message whose pages all survived is not whole.
//
// The clients take turns as they like, so a seed repeats which pages go, not what is on them.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "engine/identity_file.h"
#include "engine/keyspace.h"
#include "engine/kv/lmdb_engine.h"
#include "engine/rows.h"
#include "engine/salvage_scan.h"
#include "tests/support/corpus.h"
#include "tests/support/file_bytes.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kClients = 16;

struct Settings {
  std::uint64_t megabytes = 1'000;
  double percent = 10;
  std::uint64_t seed = 0;
};

struct Mail {
  std::uint64_t digest = 0;
  bool deleted = false;
};
using Mails = std::unordered_map<std::uint64_t, Mail>;  // By identifier.

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::string Share(std::uint64_t part, std::uint64_t whole) {
  const double percent =
      whole == 0 ? 100 : 100 * static_cast<double>(part) / static_cast<double>(whole);
  return fmt::format("{} of {} ({:.2f} %)", part, whole, percent);
}

// Of all that its author can see again.
std::uint64_t DigestOf(std::string_view subject, const std::vector<std::string>& recipients,
                       std::string_view content) {
  std::string all(subject);
  for (const std::string& recipient : recipients) all += "\n" + recipient;
  all.append("\n\n").append(content);
  return XXH3_64bits(all.data(), all.size());
}

// Empty when it cannot be read.
std::optional<std::uint64_t> DigestOf(const Database& database, MessageId id) {
  const Result<Message> message = database.OpenMessageForOperator(id);
  if (!message) return {};
  const auto properties = message->GetProps();
  const auto table = message->GetRecipientTable();
  auto reader = message->OpenContent();
  if (!properties || !table || !reader) return {};
  std::vector<std::string> recipients;
  for (const RecipientRow& row : *table) {
    recipients.emplace_back(row.properties.BytesOr(pr::kEmailAddress, ""));
  }
  std::string content;
  for (;;) {
    const auto piece = reader->Next();
    if (!piece) return {};
    if (piece->empty()) break;
    content += *piece;
  }
  return DigestOf(properties->BytesOr(pr::kSubject, ""), recipients, content);
}

class Filling {
 public:
  Filling(Database& database, fs::path file, std::uint64_t bytes)
      : database_(database), file_(std::move(file)), bytes_(bytes) {
    for (const fs::path& path : CorpusMessages()) {
      contents_.push_back(ReadFile(path));
    }
  }

  Mails Run() {
    std::vector<std::future<Mails>> clients;
    for (std::uint64_t i = 0; i < kClients; ++i) {
      clients.push_back(std::async(std::launch::async, [this, i] { return RunClient(i); }));
    }
    Mails all;
    for (auto& client : clients) all.merge(client.get());
    return all;
  }

 private:
  Mails RunClient(std::uint64_t client) {
    MessageStore store =
        Must(database_.OpenOrCreateMessageStore("client" + std::to_string(client) + "@drill.test"));
    Mails mails;
    for (std::uint64_t i = client; fs::file_size(file_) < bytes_; i += kClients) {
      const std::string number = std::to_string(i);
      const std::string subject = "Mail " + number;
      std::vector<std::string> recipients;
      for (std::uint64_t j = 0; j <= i % 3; ++j) {
        recipients.push_back("to" + std::to_string(j) + "." + number + "@x.test");
      }
      const std::string content = "X-Drill: " + number + "\r\n" + contents_[i % contents_.size()];
      Message message = NewDraft(store, recipients, subject);
      SetContent(store, message, content);
      const EntryId id = Must(message.Id());
      Must(message.SubmitMessage());
      Mail& mail = mails[id.Object()];
      mail.digest = DigestOf(subject, recipients, content);
      // Deleted when others have written behind it.
      if (i % 10 == 7) Delete(store, id);
      mail.deleted = i % 10 == 7;
    }
    return mails;
  }

  static void Delete(MessageStore& store, const EntryId& id) {
    Must(store.AbortSubmit(id));
    const MessageId message{id.Object()};
    Must(store.DeleteMessages(store.Folders().outbox, {&message, 1}));
  }

  Database& database_;
  const fs::path file_;
  const std::uint64_t bytes_;
  std::vector<std::string> contents_;
};

// A record of the sound database.
struct LiveRecord {
  FoundRecord place;
  std::uint64_t message = 0;  // 0: of none.
};

// The records that the scan finds in the sound file, which must be all that LMDB has.
std::vector<LiveRecord> LiveRecords(const fs::path& directory) {
  const RecordCodec codec(Must(ReadIdentityFile(directory)).record_key);
  const SalvageScan scan =
      Must(ScanForRecords(Must(kv::LmdbPageFile::Open(directory / "data.mdb")), codec));
  std::map<std::tuple<std::uint8_t, std::string_view>, const FoundRecord*> places;
  for (const FoundRecord& record : scan.records) places[{record.table, record.Key()}] = &record;
  std::vector<LiveRecord> live;
  std::unordered_map<std::uint64_t, std::uint64_t> bodies;
  kv::LmdbOptions options;
  options.tables = Database::TableNames();
  const auto engine = Must(kv::OpenLmdbEngine(directory, options));
  Must(engine->View([&](kv::ReadTransaction& transaction) -> Result<void> {
    live.clear();
    RowReader rows(codec, transaction);
    for (const kv::TableId table :
         {table::kMeta, table::kMessages, table::kBodies, table::kRecipients, table::kFolders,
          table::kQueue, table::kAttachments}) {
      RETURN_IF_ERROR(transaction.Scan(table, {}, [&](kv::Bytes key, kv::Bytes value) {
        // Those are made anew.
        if (table == table::kMeta && std::string_view("RNMQ").find(key[0]) != key.npos) return true;
        const auto place = places.find({table.index, key});
        if (place == places.end() || place->second->bytes != value.size()) {
          throw std::runtime_error("the scan of the sound database misses a record");
        }
        LiveRecord record{*place->second, 0};
        const bool has_owner = table == table::kMessages || table == table::kRecipients ||
                               table == table::kAttachments || table == table::kBodies;
        if (has_owner) record.message = Must(KeyNumber8(key, 0));
        if (table == table::kMessages) {
          const MessageRecord message = Must(rows.DecodeMessage(key, value));
          if (message.content_body != 0) bodies[message.content_body] = record.message;
          for (const StreamRecord& stream : message.streams) bodies[stream.body] = record.message;
        } else if (table == table::kBodies) {
          record.message = bodies.at(record.message);
        }
        live.push_back(record);
        return true;
      }));
    }
    return {};
  }));
  if (live.size() != scan.records.size()) {
    throw std::runtime_error("the scan of the sound database finds what is not there");
  }
  return live;
}

// Which pages are gone now.
std::vector<bool> Destroy(const fs::path& file, const Settings& settings) {
  std::vector<bool> gone(fs::file_size(file) / kPage);
  std::vector<std::size_t> pages(gone.size() - 2);
  for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = i + 2;
  std::mt19937_64 random(settings.seed);
  std::shuffle(pages.begin(), pages.end(), random);
  pages.resize(
      static_cast<std::size_t>(static_cast<double>(pages.size()) * settings.percent / 100));
  pages.insert(pages.end(), {0, 1});
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  std::array<std::uint64_t, kPage / sizeof(std::uint64_t)> noise{};
  for (const std::size_t page : pages) {
    gone[page] = true;
    std::generate(noise.begin(), noise.end(), std::ref(random));
    out.seekp(static_cast<std::streamoff>(page * kPage));
    out.write(reinterpret_cast<const char*>(noise.data()), kPage);
  }
  if (!out.flush()) throw std::runtime_error("cannot damage " + file.string());
  return gone;
}

struct Recoverable {
  std::uint64_t survived = 0;
  std::uint64_t found = 0;
  std::uint64_t small = 0;  // Of which a page holds two and more.
  std::uint64_t small_found = 0;
  std::unordered_set<std::uint64_t> broken_messages;
};

Recoverable Compare(const std::vector<LiveRecord>& live, const std::vector<bool>& gone,
                    const SalvageScan& scan) {
  // Not by place: the same record may lie on pages of the past, too.
  std::set<std::tuple<std::uint8_t, std::string_view, std::uint64_t>> found;
  for (const FoundRecord& record : scan.records) {
    found.emplace(record.table, record.Key(), record.sequence);
  }
  Recoverable recoverable;
  for (const auto& [place, message] : live) {
    bool survived = true;
    for (std::uint64_t at = place.offset / kPage; at * kPage < place.offset + place.bytes; ++at) {
      survived = survived && !gone[at];
    }
    const bool is_small = place.bytes < kPage / 2;
    const bool is_found = found.contains({place.table, place.Key(), place.sequence});
    recoverable.survived += survived ? 1 : 0;
    recoverable.found += survived && is_found ? 1 : 0;
    recoverable.small += is_small ? 1 : 0;
    recoverable.small_found += is_small && is_found ? 1 : 0;
    if (!survived && message != 0) recoverable.broken_messages.insert(message);
  }
  return recoverable;
}

struct SalvageRun {
  double seconds = 0;
  std::uint64_t anonymous_bytes = 0;  // At most, of its own.
  std::uint64_t resident_bytes = 0;   // At most, with pages of mapped files.
  std::string report;
};

std::uint64_t AnonymousBytes(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) << 10;
  }
  return 0;
}

SalvageRun RunSalvage(const fs::path& source, const fs::path& target, const fs::path& output) {
  const auto start = SteadyClock::now();
  SalvageRun run;
  const pid_t process = fork();
  if (process == 0) {
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0) _exit(126);
    execl(BOBBIN_PROGRAM, "bobbin", "salvage", source.c_str(), target.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  struct rusage usage {};
  while (wait4(process, &status, WNOHANG, &usage) == 0) {
    run.anonymous_bytes = std::max(run.anonymous_bytes, AnonymousBytes(process));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  run.seconds = SecondsSince(start);
  if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
    throw std::runtime_error(fmt::format("bobbin salvage ended with {}", status));
  }
  run.resident_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) << 10;
  // A row for each message that is not whole, then what it says of all of them.
  std::ifstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(target.string())) run.report = line.substr(target.string().size() + 2);
  }
  return run;
}

struct Restored {
  std::uint64_t kept = 0;
  std::uint64_t kept_with_pages = 0;  // Of which every page survived; those must be there.
  std::uint64_t survivors_missing = 0;
  std::uint64_t whole = 0;
  std::uint64_t deleted_back = 0;
  std::uint64_t wrong = 0;
  std::size_t findings = 0;
};

Restored CheckTarget(const fs::path& target, const Mails& mails, const Recoverable& recoverable) {
  const Database database = Must(Database::Open(target));
  Restored restored;
  for (const auto& [id, mail] : mails) {
    const bool has_pages = !mail.deleted && !recoverable.broken_messages.contains(id);
    const bool is_there = IsStored(database, {database.Id(), id});
    restored.kept += mail.deleted ? 0 : 1;
    restored.kept_with_pages += has_pages ? 1 : 0;
    restored.survivors_missing += has_pages && !is_there ? 1 : 0;
    if (!is_there) continue;
    ++(mail.deleted ? restored.deleted_back : restored.whole);
    if (DigestOf(database, MessageId{id}) != mail.digest) ++restored.wrong;
  }
  for (const QueueRow& row : Must(database.GetOutgoingQueue().Rows(100'000'000))) {
    if (!mails.contains(row.message.value)) ++restored.wrong;
  }
  restored.findings = Must(database.CheckStore()).findings.size();
  return restored;
}

template <class... T>
void Say(std::string_view name, fmt::format_string<T...> format, T&&... values) {
  fmt::print("{:<34}{}\n", name, fmt::format(format, std::forward<T>(values)...));
  std::fflush(stdout);
}

double Megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

int Drill(const Settings& settings) {
  TemporaryDatabase place;
  const fs::path file = place.Path() / "data.mdb";
  auto start = SteadyClock::now();
  const Mails mails = Filling(place.Database(), file, settings.megabytes * 1'000'000).Run();
  const RecordCodec codec(Must(ReadIdentityFile(place.Path())).record_key);
  place.Close();
  Say("database", "{:.0f} MB, {} messages submitted, filled in {:.0f} s",
      Megabytes(fs::file_size(file)), mails.size(), SecondsSince(start));
  const std::vector<LiveRecord> live = LiveRecords(place.Path());
  const std::vector<bool> gone = Destroy(file, settings);
  Say("destroyed", "both meta pages, and of the other pages {}; seed {}",
      Share(static_cast<std::uint64_t>(std::count(gone.begin(), gone.end(), true)) - 2,
            gone.size() - 2),
      settings.seed);

  // The best of three: the first may have to read the disk.
  SalvageScan scan;
  double seconds = std::numeric_limits<double>::max();
  for (int i = 0; i < 3; ++i) {
    start = SteadyClock::now();
    scan = Must(ScanForRecords(Must(kv::LmdbPageFile::Open(file)), codec));
    seconds = std::min(seconds, SecondsSince(start));
  }
  const Recoverable recoverable = Compare(live, gone, scan);
  Say("records whose pages survived", "{}", Share(recoverable.survived, live.size()));
  Say("of these found", "{}", Share(recoverable.found, recoverable.survived));
  Say("small records found", "{}", Share(recoverable.small_found, recoverable.small));
  Say("scan", "{:.2f} s, {:.0f} MB/s", seconds, Megabytes(fs::file_size(file)) / seconds);

  const fs::path target = place.Path().parent_path() / "salvaged";
  const SalvageRun run =
      RunSalvage(place.Path(), target, place.Path().parent_path() / "salvage.out");
  Say("bobbin salvage", "{:.1f} s; memory at most {:.0f} MB, with mapped files {:.0f} MB",
      run.seconds, Megabytes(run.anonymous_bytes), Megabytes(run.resident_bytes));
  Say("it says", "{}", run.report);
  const Restored restored = CheckTarget(target, mails, recoverable);
  Say("messages whose pages all survived", "{}", Share(restored.kept_with_pages, restored.kept));
  Say("messages that came back whole", "{}", Share(restored.whole, restored.kept));
  Say("deleted messages that are back", "{}", restored.deleted_back);
  Say("wrong contents", "{}", restored.wrong);
  Say("findings of bobbin check", "{}", restored.findings);
  const bool good = recoverable.found == recoverable.survived && restored.survivors_missing == 0 &&
                    restored.wrong == 0 && restored.findings == 0;
  return good ? 0 : 1;
}

int Main(int argument_count, char** arguments) {
  Settings settings;
  settings.seed = std::random_device()();
  CLI::App app("Damages a database of real mail, salvages it, and compares.");
  app.add_option("--megabytes", settings.megabytes, "How much to fill it with")
      ->capture_default_str();
  app.add_option("--percent", settings.percent, "How many of its pages to destroy")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_option("--seed", settings.seed, "Of which pages those are");
  CLI11_PARSE(app, argument_count, arguments);
  return Drill(settings);
}

}  // namespace
}  // namespace bobbin

int main(int argument_count, char** arguments) {
  try {
    return bobbin::Main(argument_count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bobbin_drill: %s\n", error.what());
    return 70;
  }
}
