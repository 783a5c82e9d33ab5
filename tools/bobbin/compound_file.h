// Compound files (MS-CFB), read through libgsf: a tree of storages with streams in it.
//
// The file is mapped: what is not read costs no memory. It may be hostile: all streams opened
// together may not be longer than the file, because each byte of a file belongs to one stream; a
// file whose streams overlap to blow it up is refused.
//
// Threads  One at a time per file.
// Errors   kNotFound, kNoAccess  Open: no such file, or not readable
//          kCorruptData          not a compound file, cut short, or its streams overlap
//          kTooComplex           CopyTo: nested deeper than kStorageDepthMax
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.h"

namespace bobbin::cli {

inline constexpr int kStorageDepthMax = 32;

class CompoundStream {
 public:
  struct Impl;
  explicit CompoundStream(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  std::uint64_t Bytes() const;
  // The next piece (at most 64 KiB), valid until the next call; empty at the end.
  Result<std::string_view> Next();
  // From the first byte; kCorruptData when there are more than `bytes_max`.
  Result<std::string> ReadAll(std::size_t bytes_max);

 private:
  std::shared_ptr<Impl> impl_;
};

class CompoundStorage {
 public:
  struct Impl;
  explicit CompoundStorage(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  static Result<CompoundStorage> Open(const std::filesystem::path& path);

  std::vector<std::string> Names() const;
  // Absent when there is none of that name.
  Result<std::optional<CompoundStorage>> Storage(const std::string& name) const;
  Result<std::optional<CompoundStream>> Stream(const std::string& name) const;

  // This storage and all in it as a compound file of its own, written to `file`.
  Result<void> CopyTo(std::FILE* file) const;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace bobbin::cli
