#include "engine/meta_repair.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/database_directory.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_error.h"
#include "engine/kv/lmdb_page_walk.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;
using kv::lmdb::Meta;

struct Choice {
  std::size_t good = 0;
  std::string wrong;
};

// The meta page to believe: the one that leads to whole pages.
Result<Choice> Choose(const kv::LmdbPageFile& file, const kv::LmdbMetaPages& pages) {
  const std::string path = file.Path().string();
  if (pages.BothSound()) {
    return Fail(ErrorCode::kInvalidParameter, "both meta pages of " + path + " are sound");
  }
  if (pages.NoneSound()) {
    return Fail(ErrorCode::kNotADatabase, path + " has no sound meta page; salvage it");
  }
  const std::size_t newest = pages.metas[1].transaction > pages.metas[0].transaction ? 1 : 0;
  std::string damage;
  for (const std::size_t candidate : {newest, 1 - newest}) {
    if (!pages.wrong[candidate].empty()) continue;
    ASSIGN_OR_RETURN(const kv::PageWalkReport report,
                     kv::WalkLmdbPages(file, pages.metas[candidate]));
    if (report.IsClean()) {
      return Choice{candidate, pages.disagreement + pages.wrong[1 - candidate]};
    }
    damage = "page " + std::to_string(report.findings.front().page) + ": " +
             report.findings.front().detail;
  }
  return Fail(ErrorCode::kCorruptStore, path + " has other damage, too; salvage it: " + damage);
}

// A state that nobody takes: the same trees, one transaction earlier.
Meta Older(Meta meta) {
  --meta.transaction;
  return meta;
}

class OutputFile {
 public:
  explicit OutputFile(const fs::path& path)
      : path_(path), file_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0660)) {}
  ~OutputFile() {
    if (file_ >= 0) close(file_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  Result<void> Write(std::uint64_t offset, std::string_view bytes) const {
    if (file_ < 0) return tl::unexpected<Error>(kv::LmdbError(errno, "creating " + path_.string()));
    while (!bytes.empty()) {
      const ssize_t count = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0)
        return tl::unexpected<Error>(kv::LmdbError(errno, "writing " + path_.string()));
      offset += static_cast<std::uint64_t>(count);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
  }

 private:
  const fs::path path_;
  const int file_;
};

Result<void> CopyInto(const kv::LmdbPageFile& file, const kv::LmdbMetaPages& pages,
                      std::size_t good, const OutputFile& copy) {
  const std::uint64_t bad_begin = (1 - good) * pages.page_bytes;
  std::string piece(std::size_t{1} << 20, '\0');
  std::vector<std::uint64_t> unreadable;
  for (std::uint64_t offset = 0;;) {
    ASSIGN_OR_RETURN(const std::size_t count, file.Read(offset, piece, unreadable));
    if (count == 0) break;
    for (const std::uint64_t at : unreadable) {
      if (at >= bad_begin && at < bad_begin + pages.page_bytes) continue;
      return Fail(ErrorCode::kDiskError, "the disk cannot read page " +
                                             std::to_string(at / pages.page_bytes) + " of " +
                                             file.Path().string() + "; salvage it");
    }
    RETURN_IF_ERROR(copy.Write(offset, std::string_view(piece).substr(0, count)));
    offset += count;
  }
  const kv::lmdb::PageHeader header{1 - good, 0, kv::lmdb::kMetaPage, 0, 0};
  const Meta meta = Older(pages.metas[good]);
  std::string page(pages.page_bytes, '\0');
  std::memcpy(page.data(), &header, sizeof(header));
  std::memcpy(page.data() + sizeof(header), &meta, sizeof(meta));
  return copy.Write(bad_begin, page);
}

}  // namespace

Result<MetaRepair> RepairMetaPages(const fs::path& source, const fs::path& target) {
  MetaRepair repair;
  RETURN_IF_ERROR(CreateDatabaseDirectory(target, [&](const fs::path& aside) -> Result<void> {
    ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(source));
    ASSIGN_OR_RETURN(const kv::LmdbPageFile file, kv::LmdbPageFile::Open(source / "data.mdb"));
    ASSIGN_OR_RETURN(const kv::LmdbMetaPages pages, kv::ReadLmdbMetaPages(file));
    ASSIGN_OR_RETURN(const Choice choice, Choose(file, pages));
    const Meta& bad = pages.metas[1 - choice.good];
    const Meta& good = pages.metas[choice.good];
    repair.page = static_cast<int>(1 - choice.good);
    repair.wrong = choice.wrong;
    repair.transaction = good.transaction;
    repair.lacks_last_transaction =
        bad.magic == kv::lmdb::kMagic && bad.transaction == good.transaction + 1;
    RETURN_IF_ERROR(WriteIdentityFile(aside, identity));
    RETURN_IF_ERROR(CopyInto(file, pages, choice.good, OutputFile(aside / "data.mdb")));
    return SyncPath(aside / "data.mdb");
  }));
  return repair;
}

}  // namespace bobbin
