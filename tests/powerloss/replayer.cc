#include "tests/powerloss/replayer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "engine/check.h"
#include "engine/identity_file.h"
#include "engine/lock_table.h"
#include "tests/powerloss/database_image.h"
#include "tests/powerloss/disk_model.h"
#include "tests/powerloss/mounted_root.h"
#include "tests/powerloss/outcome_model.h"

namespace bobbin::powerloss {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSeenSlots = std::size_t{1} << 23;
constexpr std::size_t kReportsMax = 64;
constexpr std::size_t kReportBytesMax = 4096;
constexpr unsigned kWorkersMax = 64;
// Neighbouring cuts have states in common, so they go to one worker.
constexpr std::uint64_t kCutsTogether = 64;
constexpr std::size_t kRememberedMax = 4096;

// What the workers share.
struct Shared {
  struct Progress {
    std::atomic<std::uint64_t> cut;
    std::atomic<std::uint64_t> sample;
  };
  std::atomic<std::uint64_t> cuts;
  std::atomic<std::uint64_t> states;
  std::atomic<std::uint64_t> read_rows;
  std::atomic<std::uint64_t> failures;
  std::array<Progress, kWorkersMax> now;
  std::array<std::array<char, kReportBytesMax>, kReportsMax> reports;
  std::array<std::atomic<std::uint64_t>, kSeenSlots> seen;

  // False: it was there.
  bool Insert(std::uint64_t hash) {
    if (hash == 0) hash = 1;
    std::size_t slot = hash % kSeenSlots;
    for (std::size_t tries = 0; tries < kSeenSlots / 2; ++tries) {
      std::uint64_t found = 0;
      if (seen[slot].compare_exchange_strong(found, hash)) return true;
      if (found == hash) return false;
      slot = (slot + 1) % kSeenSlots;
    }
    return false;
  }

  void Report(const std::string& text) {
    const std::uint64_t number = failures.fetch_add(1);
    if (number >= kReportsMax) return;
    std::array<char, kReportBytesMax>& slot = reports[number];
    std::memcpy(slot.data(), text.data(), std::min(text.size(), slot.size() - 1));
  }
};

template <class T>
class Mapping {
 public:
  Mapping(int file, std::size_t bytes, int protection, int flags)
      : memory_(mmap(nullptr, bytes, protection, flags, file, 0)), bytes_(bytes) {
    BOBBIN_CHECK(memory_ != MAP_FAILED);
  }
  ~Mapping() { munmap(memory_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  T* operator->() const { return static_cast<T*>(memory_); }
  T& operator*() const { return *static_cast<T*>(memory_); }

 private:
  void* memory_;
  std::size_t bytes_;
};

bool IsCutBefore(const Entry& entry) {
  return entry.kind != EntryKind::kMark && entry.kind != EntryKind::kFlush;
}

std::uint64_t ProductOf(const std::vector<OpenQuestion>& questions, std::uint64_t limit) {
  std::uint64_t product = 1;
  for (const OpenQuestion& question : questions) {
    product *= question.options;
    if (product > limit) return limit + 1;
  }
  return product;
}

class Worker {
 public:
  Worker(const ReplayOptions& options, Shared& shared, unsigned number)
      : options_(options),
        shared_(shared),
        number_(number),
        image_(options.scratch / fmt::format("worker-{}", number)) {
    if (options.file_system.empty()) return;
    disk_image_.emplace(options.scratch / fmt::format("disk-{}", number), options.file_system);
  }

  void Run(const Entry* entry) {
    std::uint64_t cut = 0;
    for (; entry->bytes != 0 && !Over(); entry = Next(entry)) {
      if (IsCutBefore(*entry)) ExamineIfOurs(++cut);
      Apply(*entry);
    }
    if (Over()) return;
    ExamineIfOurs(++cut);
    if (number_ == 0) CompareWithLive();
  }

 private:
  static const Entry* Next(const Entry* entry) {
    return reinterpret_cast<const Entry*>(reinterpret_cast<const char*>(entry) + entry->bytes);
  }
  bool Over() const {
    return shared_.failures.load() >= options_.failures_max ||
           std::chrono::steady_clock::now() >= options_.end;
  }

  void Apply(const Entry& entry) {
    if (entry.kind == EntryKind::kMark) {
      Mark mark;
      std::memcpy(&mark, entry.Data().data(), sizeof(mark));
      outcomes_.Apply(mark);
      return;
    }
    disk_.Apply(entry);
    digests_.erase(entry.object);
  }

  void ExamineIfOurs(std::uint64_t cut) {
    if (cut / kCutsTogether % options_.workers != number_) return;
    // What it takes to make a file system is no matter of ours.
    if (disk_image_ && outcomes_.Version() == 0) return;
    cut_ = cut;
    sample_ = 0;
    random_.seed(options_.seed * 1'000'003 + cut);
    if (static_cast<double>(Random(1'000'000)) >= options_.share_of_cuts * 1e6) return;
    shared_.cuts.fetch_add(1);
    questions_ = disk_.OpenQuestions();
    open_objects_.clear();
    for (const OpenQuestion& question : questions_) open_objects_.insert(question.object);
    Check(AllAnswered(false));
    if (questions_.empty()) return;
    Check(AllAnswered(true));
    if (ProductOf(questions_, options_.combinations_max) <= options_.combinations_max) {
      CheckCombinations();
    }
    for (unsigned i = 0; i < options_.states_per_cut && !Over(); ++i) Check(RandomAnswers());
  }

  std::uint64_t Random(std::uint64_t below) { return random_() % below; }

  Answer AnswerOf(const OpenQuestion& question, std::size_t option) {
    Answer answer;
    answer.option = option;
    if (question.kind == OpenQuestion::Kind::kSize) {
      answer.bytes = disk_.SizeAt(question, option);
    }
    return answer;
  }

  std::vector<Answer> AllAnswered(bool newest) {
    std::vector<Answer> answers;
    answers.reserve(questions_.size());
    for (const OpenQuestion& question : questions_) {
      answers.push_back(AnswerOf(question, newest ? question.options - 1 : 0));
    }
    return answers;
  }

  void CheckCombinations() {
    std::vector<Answer> answers = AllAnswered(false);
    for (;;) {
      std::size_t i = 0;
      for (; i < answers.size(); ++i) {
        if (++answers[i].option < questions_[i].options) break;
        answers[i] = AnswerOf(questions_[i], 0);
      }
      if (i == answers.size()) return;
      answers[i] = AnswerOf(questions_[i], answers[i].option);
      Check(answers);
    }
  }

  std::vector<Answer> RandomAnswers() {
    std::vector<Answer> answers;
    // Half of all, few, all but few, or what was written up to some moment.
    const std::uint64_t way = Random(4);
    const std::uint64_t end = Random(questions_.size() + 1);
    const std::uint64_t few = 2 * questions_.size() / (1 + Random(3)) + 1;
    for (std::size_t i = 0; i < questions_.size(); ++i) {
      const OpenQuestion& question = questions_[i];
      const std::size_t some = 1 + Random(question.options - 1);
      bool is_done = i < end;
      if (way == 0) is_done = Random(2) == 0;
      if (way == 1) is_done = Random(few) < 2;
      if (way == 2) is_done = Random(few) >= 2;
      answers.push_back(AnswerOf(question, is_done ? some : 0));
      if (question.kind == OpenQuestion::Kind::kSize && Random(2) == 0) {
        const auto [least, most] = disk_.SizeRange(question);
        const std::uint64_t unit = Random(4) == 0 ? kSectorBytes : kPageBytes;
        answers.back().bytes = std::min(most, least + Random((most - least) / unit + 1) * unit);
      }
    }
    // A block device writes its blocks whole.
    if (!disk_image_ && Random(2) == 0) Tear(answers);
    return answers;
  }

  void Tear(std::vector<Answer>& answers) {
    for (std::uint64_t i = 1 + Random(3); i > 0; --i) {
      const std::size_t at = Random(questions_.size());
      if (questions_[at].kind != OpenQuestion::Kind::kPage) continue;
      const std::uint64_t boundary = 1 + Random(7);
      answers[at].torn_sectors =
          static_cast<std::uint8_t>(Random(3) == 0 ? 1 + Random(254) : (1U << boundary) - 1U);
      answers[at].other = Random(questions_[at].options);
    }
  }

  // --- One state ---

  struct Place {
    bool is_disk = false;  // Nothing is known of it but its bytes, `data`.
    bool has_database = false;
    FileImage data;
    std::string identity;
    std::string missing;
    DropFiles files;
    std::uint64_t hash = 0;
  };

  Place Resolve(const DiskState& state) {
    Place place;
    if (disk_image_) {
      place.is_disk = true;
      place.data = state.File(*state.Find(kRootObject, "disk"));
      place.hash = place.data.Hash();
      return place;
    }
    const std::uint64_t* const home = state.Find(kRootObject, "home");
    const std::uint64_t* const database = home == nullptr ? home : state.Find(*home, "db");
    if (database != nullptr) {
      place.has_database = true;
      const std::uint64_t* const data = state.Find(*database, "data.mdb");
      const std::uint64_t* const identity = state.Find(*database, "identity");
      if (data == nullptr || identity == nullptr) {
        place.missing = "the database lacks a file\n";
      } else {
        place.data = state.File(*data);
        place.identity = state.File(*identity).Content();
        place.hash = place.data.Hash() ^ XXH3_64bits(place.identity.data(), place.identity.size());
      }
    }
    if (const std::uint64_t* const drop = state.Find(kRootObject, "drop")) {
      for (const auto& [name, maildir] : state.Entries(*drop)) {
        const std::uint64_t* const fresh = state.Find(maildir, "new");
        if (fresh == nullptr) continue;
        for (const auto& [file_name, file] : state.Entries(*fresh)) {
          place.files.push_back(DigestOf(state, file));
          place.hash += place.files.back() * 0x9E3779B97F4A7C15U;
        }
      }
    }
    return place;
  }

  std::uint64_t DigestOf(const DiskState& state, std::uint64_t file) {
    const bool is_open = open_objects_.contains(file);
    if (const auto known = digests_.find(file); !is_open && known != digests_.end()) {
      return known->second;
    }
    const FileImage image = state.File(file);
    const auto [digest, is_new] = contents_.try_emplace(image.Hash());
    if (is_new) {
      const std::string content = image.Content();
      digest->second = XXH3_64bits(content.data(), content.size());
    }
    if (!is_open) digests_[file] = digest->second;
    return digest->second;
  }

  void Check(const std::vector<Answer>& answers) {
    shared_.now[number_].cut = cut_;
    shared_.now[number_].sample = ++sample_;
    const Place place = Resolve(disk_.With(questions_, answers));
    if (!judged_.insert(place.hash ^ outcomes_.Version() * 0xC2B2AE3D27D4EB4FU).second) return;
    std::string wrong = place.missing;
    if (wrong.empty()) {
      const Found found = Observe(place);
      wrong = outcomes_.Judge(found.seen, found.files);
    }
    if (!wrong.empty()) Fail(place, wrong);
  }

  Found Observe(const Place& place) {
    if (!place.is_disk && !place.has_database) return {{}, place.files};
    if (const auto known = remembered_.find(place.hash); known != remembered_.end()) {
      return known->second;
    }
    Found found = place.is_disk ? LookAtDisk(place) : LookAtFiles(place);
    if (remembered_.size() >= kRememberedMax) remembered_.clear();
    remembered_.emplace(place.hash, found);
    return found;
  }

  Found LookAtDisk(const Place& place) {
    disk_image_->Set(place.data);
    if (shared_.Insert(place.hash)) {
      shared_.states.fetch_add(1);
      shared_.read_rows.fetch_add(1);
    }
    return disk_image_->Look();
  }

  Found LookAtFiles(const Place& place) {
    image_.Set(place.data, place.identity);
    const std::uint64_t reads = image_.Reads();
    Found found{image_.Look(), place.files};
    if (shared_.Insert(place.hash)) {
      shared_.read_rows.fetch_add(image_.Reads() - reads);
      const std::uint64_t count = shared_.states.fetch_add(1) + 1;
      if (found.seen.trouble.empty() && count % options_.front_door_every == 0) {
        ObserveMore(found.seen);
      }
    }
    return found;
  }

  void ObserveMore(Observation& seen) {
    const Observation other = image_.LookThroughTheFrontDoor();
    seen.trouble = other.trouble;
    if (other.messages != seen.messages) {
      seen.trouble += "the public interface shows other messages than the rows\n";
      const auto [one, another] = std::mismatch(seen.messages.begin(), seen.messages.end(),
                                                other.messages.begin(), other.messages.end());
      if (one != seen.messages.end()) {
        seen.trouble += fmt::format("  {} is {}\n", one->first, Describe(one->second));
      }
      if (another != other.messages.end()) {
        seen.trouble +=
            fmt::format("  shown: {} is {}\n", another->first, Describe(another->second));
      }
    }
    if (seen.trouble.empty()) seen.trouble = image_.UseAgain();
  }

  std::string Keep(const Place& place) {
    if (options_.keep.empty() || !place.missing.empty()) return {};
    if (!place.is_disk && !place.has_database) return {};
    const std::string name = fmt::format("state-{}-{}", cut_, sample_);
    std::error_code error;
    fs::create_directories(options_.keep, error);
    if (place.is_disk) {
      WriteSparse(place.data, options_.keep / name);
    } else {
      image_.Set(place.data, place.identity);
      fs::copy(image_.Directory(), options_.keep / name, fs::copy_options::recursive, error);
    }
    return "  kept as " + name + "\n";
  }

  void Fail(const Place& place, const std::string& wrong) {
    if (Over()) return;
    const std::string kept = Keep(place);
    shared_.Report(
        fmt::format("cut {}, state {}, seed {}:\n{}{}", cut_, sample_, options_.seed, wrong, kept));
  }

  // What the recorder did not see would be here and not there.
  void CompareWithLive() {
    questions_ = disk_.OpenQuestions();
    CompareDirectory(disk_.With(questions_, AllAnswered(true)), kRootObject, options_.live);
  }

  void CompareDirectory(const DiskState& state, std::uint64_t directory, const fs::path& path) {
    std::set<std::string> live;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      if (entry.path().filename() != "lock.mdb") live.insert(entry.path().filename().string());
    }
    for (const auto& [name, object] : state.Entries(directory)) {
      if (live.erase(name) == 0) {
        shared_.Report("recorded, but not there: " + (path / name).string() + "\n");
      } else if (state.IsDirectory(object)) {
        CompareDirectory(state, object, path / name);
      } else {
        std::ifstream file(path / name, std::ios::binary);
        const std::string content(std::istreambuf_iterator<char>(file), {});
        if (content == state.File(object).Content()) continue;
        shared_.Report("recorded with another content: " + (path / name).string() + "\n");
      }
    }
    for (const std::string& name : live) {
      shared_.Report("there, but not recorded: " + (path / name).string() + "\n");
    }
  }

  const ReplayOptions& options_;
  Shared& shared_;
  const unsigned number_;
  DatabaseImage image_;
  std::optional<MountedImage> disk_image_;  // With a file system.
  DiskModel disk_;
  OutcomeModel outcomes_;
  std::mt19937_64 random_;
  std::uint64_t cut_ = 0;
  std::uint64_t sample_ = 0;
  std::vector<OpenQuestion> questions_;
  std::unordered_set<std::uint64_t> open_objects_;
  std::unordered_map<std::uint64_t, std::uint64_t> digests_;   // Of files with no open question.
  std::unordered_map<std::uint64_t, std::uint64_t> contents_;  // Digests by FileImage::Hash.
  std::unordered_map<std::uint64_t, Found> remembered_;
  std::unordered_set<std::uint64_t> judged_;  // State and what had been said by then.
};

[[noreturn]] void RunWorker(const ReplayOptions& options, Shared& shared, unsigned number,
                            const Entry* log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};  // What is opened may be made to end the process.
  setrlimit(RLIMIT_CORE, &no_core);
  // Every state takes and frees as much: giving it back to the system is a tenth of the time. What
  // LMDB wants zeroed, 2 MiB of which it uses nothing, the system gives for less.
  mallopt(M_MMAP_THRESHOLD, 3 << 19);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  try {
    Worker(options, shared, number).Run(log);
  } catch (const std::exception& error) {
    shared.Report(std::string("the replayer ended: ") + error.what() + "\n");
  }
  _exit(0);
}

// A state that kills who opens it is a failure, too.
void ReportDeath(Shared& shared, unsigned number, int status) {
  if (!WIFSIGNALED(status)) return;
  const Shared::Progress& now = shared.now[number];
  shared.Report(fmt::format("cut {}, state {}: opening it ends in signal {}\n", now.cut.load(),
                            now.sample.load(), WTERMSIG(status)));
}

}  // namespace

ReplayResult Replay(const ReplayOptions& options) {
  BOBBIN_CHECK(options.workers > 0 && options.workers <= kWorkersMax);
  const int file = open(options.log.c_str(), O_RDONLY | O_CLOEXEC);
  BOBBIN_CHECK(file >= 0);
  const Mapping<const Entry> log(file, fs::file_size(options.log), PROT_READ, MAP_SHARED);
  close(file);
  const Mapping<Shared> shared(-1, sizeof(Shared), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS);
  std::vector<pid_t> workers;
  for (unsigned i = 0; i < options.workers; ++i) {
    const pid_t worker = fork();
    BOBBIN_CHECK(worker >= 0);
    if (worker == 0) RunWorker(options, *shared, i, &*log);
    workers.push_back(worker);
  }
  for (std::size_t running = workers.size(); running > 0;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (unsigned i = 0; i < workers.size(); ++i) {
      int status = 0;
      if (workers[i] == 0 || waitpid(workers[i], &status, WNOHANG) != workers[i]) continue;
      ReportDeath(*shared, i, status);
      workers[i] = 0;
      --running;
    }
    if (options.progress) options.progress(shared->states.load(), shared->failures.load());
  }
  std::error_code error;
  fs::remove_all(options.scratch, error);
  if (const Result<Identity> identity = ReadIdentityFile(options.live / "home" / "db")) {
    RemoveVolatileState(identity->database);  // What killed workers have left.
  }
  ReplayResult result{shared->cuts, shared->states, shared->read_rows, shared->failures, {}};
  for (std::size_t i = 0; i < std::min<std::size_t>(result.failures, kReportsMax); ++i) {
    result.reports.emplace_back(shared->reports[i].data());
  }
  return result;
}

}  // namespace bobbin::powerloss
