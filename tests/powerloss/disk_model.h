// What a disk may hold after a power cut, by the rules that POSIX gives, not by what one file
// system happens to do.
//
//   page    of 4 KiB; the disk has the last version that a flush covers, or any later one, or,
//   torn,
//           sectors of 512 bytes of two of them
//   flush   covers what was written before it began, once it has returned; a synchronous write
//           covers its own pages
//   failed  the pages are clean from then on, but may or may not be on disk: no later flush covers
//           them until they are written again. Names wait for the next flush: a file system that
//           cannot write its journal does not go on.
//   size    is durable with the file's flush; until then anything from the old to the new one
//   name    each entry that is added or removed (a rename is one of each) is durable with a flush
//   of
//           its directory, and stands for itself until then: any subset may have happened. A
//           journal would keep them in order, and a rename whole; what survives here needs neither.
//
// The model is fed the log (record_log.h) entry by entry. At any point it lists what is open, and
// makes a DiskState of the answers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/powerloss/record_log.h"

namespace bobbin::powerloss {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kSectorBytes = 512;

struct PageData {
  std::uint64_t hash;
  std::array<char, kPageBytes> bytes;
};
using Page = std::shared_ptr<const PageData>;

struct OpenQuestion {
  enum class Kind : std::uint8_t { kPage, kSize, kName };
  Kind kind;
  std::uint64_t object;
  std::size_t index;    // Page, or place among the changes of a directory.
  std::size_t options;  // The first is what is surely there.
};

struct Answer {
  std::size_t option = 0;
  // Pages: the sectors named here are of `other` instead.
  std::uint8_t torn_sectors = 0;
  std::size_t other = 0;
  std::uint64_t bytes = 0;  // Sizes: this is it.
};

struct FileImage {
  std::vector<Page> pages;  // Null: zeros. As many as `bytes` needs.
  std::uint64_t bytes = 0;
  std::uint64_t Hash() const;
  std::string Content() const;
};

class DiskState;

class DiskModel {
 public:
  DiskModel();
  // What cannot be judged (an entry for something unknown) ends the program.
  void Apply(const Entry& entry);

  // Pages and sizes first, in the order they were last written, then names.
  std::vector<OpenQuestion> OpenQuestions() const;
  // The smallest and the largest size the answer to a kSize may give.
  std::pair<std::uint64_t, std::uint64_t> SizeRange(const OpenQuestion& question) const;
  std::uint64_t SizeAt(const OpenQuestion& question, std::size_t option) const;
  DiskState With(const std::vector<OpenQuestion>& questions,
                 const std::vector<Answer>& answers) const;

 private:
  friend class DiskState;

  struct PageVersion {
    std::uint64_t position;  // In the order of the log.
    Page data;
    bool stranded = false;  // A flush of it failed.
  };
  struct SizeVersion {
    std::uint64_t position;
    std::uint64_t bytes;
    bool stranded = false;
  };
  struct File {
    std::vector<std::vector<PageVersion>> pages;  // [0] of each is durable.
    std::vector<SizeVersion> sizes{{0, 0}};
  };
  struct NameChange {
    std::uint64_t position;
    std::string name;
    std::uint64_t object;  // 0: the name is removed.
  };
  struct Directory {
    std::map<std::string, std::uint64_t> durable;
    std::vector<NameChange> pending;
  };
  struct Flush {
    std::uint64_t object;
    std::uint64_t begin;
    // Of a synchronous write: its pages.
    std::size_t first_page = 0;
    std::size_t end_page = SIZE_MAX;
  };

  void Write(File& file, std::uint64_t offset, std::string_view bytes);
  void Truncate(File& file, std::uint64_t bytes);
  void PutPage(File& file, std::size_t index, std::size_t offset, std::string_view bytes);
  void EndFlush(const Flush& flush, bool failed);

  std::uint64_t position_ = 0;
  std::map<std::uint64_t, File> files_;
  std::map<std::uint64_t, Directory> directories_;
  std::map<std::uint64_t, Flush> flushes_;  // By ticket.
};

// One state. Refers to its model, which must not change meanwhile.
class DiskState {
 public:
  // Nothing: there is none of that name.
  const std::uint64_t* Find(std::uint64_t directory, const std::string& name) const;
  const std::map<std::string, std::uint64_t>& Entries(std::uint64_t directory) const;
  bool IsDirectory(std::uint64_t object) const;
  FileImage File(std::uint64_t object) const;

 private:
  friend class DiskModel;
  explicit DiskState(const DiskModel& model) : model_(&model) {}

  const DiskModel* model_;
  // What differs from what is durable.
  std::map<std::uint64_t, std::map<std::string, std::uint64_t>> directories_;
  std::map<std::uint64_t, std::vector<std::pair<std::size_t, Page>>> pages_;
  std::map<std::uint64_t, std::uint64_t> sizes_;
};

}  // namespace bobbin::powerloss
