// A data.mdb read as a file, without LMDB: its bytes, its two meta pages, and what is wrong with
// them. Nothing here maps the file, so that one which is cut off meanwhile, or a page that its disk
// cannot read, is an answer, not SIGBUS.
//
// Threads  Any number may read one file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/kv/lmdb_pages.h"
#include "engine/result.h"

namespace bobbin::kv {

class LmdbPageFile {
 public:
  //   kNotADatabase  absent, not a regular file, or shorter than two pages
  //   kNoAccess, kDiskError
  static Result<LmdbPageFile> Open(const std::filesystem::path& path) { return Open(path, path); }
  // `shown`: what errors call it.
  static Result<LmdbPageFile> Open(const std::filesystem::path& path,
                                   const std::filesystem::path& shown);
  LmdbPageFile(LmdbPageFile&& other) noexcept;
  LmdbPageFile& operator=(LmdbPageFile&&) = delete;
  ~LmdbPageFile();

  const std::filesystem::path& Path() const { return path_; }
  // Its length now.
  Result<std::uint64_t> FileBytes() const;
  // How many bytes were there: fewer than asked for at the end of the file. For each piece of
  // kPageBytesMin that the disk cannot read (EIO) there are zeros, and its offset in `unreadable`,
  // which is replaced; they ascend.
  Result<std::size_t> Read(std::uint64_t offset, std::span<char> into,
                           std::vector<std::uint64_t>& unreadable) const;

 private:
  LmdbPageFile(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}

  std::filesystem::path path_;
  int file_;
};

// The two meta pages as they are.
struct LmdbMetaPages {
  std::uint32_t page_bytes = lmdb::kPageBytesMin;  // As the sound one says.
  std::array<lmdb::Meta, 2> metas{};
  // What is wrong with each: "has ...", without its subject. Empty: nothing, or nothing but the
  // roots of a page whose successor is sound, which a failed commit leaves behind.
  std::array<std::string, 2> wrong;
  // What is wrong with them together, when each alone is sound.
  std::string disagreement;
  bool none_is_lmdb = false;  // Neither has LMDB's magic number.
  bool disk_fails = false;    // One of them cannot be read, or both.

  bool BothSound() const { return wrong[0].empty() && wrong[1].empty() && disagreement.empty(); }
  bool NoneSound() const { return !wrong[0].empty() && !wrong[1].empty(); }
  // Of the last transaction, among the sound ones.
  const lmdb::Meta& Newest() const {
    if (!wrong[0].empty()) return metas[1];
    if (!wrong[1].empty()) return metas[0];
    return metas[metas[1].transaction > metas[0].transaction ? 1 : 0];
  }
};

// Looks again for a while when they are damaged or disagree: another process may be writing them.
Result<LmdbMetaPages> ReadLmdbMetaPages(const LmdbPageFile& file);

}  // namespace bobbin::kv
