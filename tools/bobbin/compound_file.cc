#include "tools/bobbin/compound_file.h"

#include <gsf/gsf-infile-msole.h>
#include <gsf/gsf-infile.h>
#include <gsf/gsf-input-memory.h>
#include <gsf/gsf-outfile-msole.h>
#include <gsf/gsf-output-stdio.h>
#include <gsf/gsf-utils.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "engine/message_body.h"

namespace bobbin::cli {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{64} << 10;

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <class T>
using Owned = std::unique_ptr<T, Unref>;

struct FreeError {
  void operator()(GError* error) const { g_error_free(error); }
};

tl::unexpected<Error> Damaged(std::string detail) {
  return Fail(ErrorCode::kCorruptData, std::move(detail));
}

// What libgsf has to say about damaged files goes to standard error if nobody takes it; the same
// is said by the error that is returned.
void Initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    gsf_init();
    for (const char* domain : {static_cast<const char*>(nullptr), "libgsf", "libgsf:msole"}) {
      g_log_set_handler(
          domain, static_cast<GLogLevelFlags>(G_LOG_LEVEL_MASK),
          [](const gchar*, GLogLevelFlags, const gchar*, gpointer) {}, nullptr);
    }
  });
}

bool IsStorage(GsfInput* input) {
  return GSF_IS_INFILE(input) && gsf_infile_num_children(GSF_INFILE(input)) >= 0;
}

// What of the file's bytes no opened stream has claimed yet.
struct Budget {
  std::uint64_t bytes = 0;
};

}  // namespace

struct CompoundStream::Impl {
  Owned<GsfInput> input;
  std::uint64_t read = 0;
};

struct CompoundStorage::Impl {
  Owned<GsfInfile> infile;
  std::shared_ptr<Budget> budget;

  // Null when there is none of that name.
  Result<Owned<GsfInput>> Child(const std::string& name) const;
  Result<CompoundStream> Claim(Owned<GsfInput> input) const;
  Result<void> Copy(GsfOutfile* to, int depth) const;
  Result<void> CopyStream(Owned<GsfInput> from, GsfOutput* to) const;
};

std::uint64_t CompoundStream::Bytes() const {
  return static_cast<std::uint64_t>(gsf_input_size(impl_->input.get()));
}

Result<std::string_view> CompoundStream::Next() {
  const std::size_t wanted = std::min<std::uint64_t>(kPieceBytes, Bytes() - impl_->read);
  if (wanted == 0) return std::string_view();
  const guint8* bytes = gsf_input_read(impl_->input.get(), wanted, nullptr);
  if (bytes == nullptr) return Damaged("a stream is shorter than it says");
  impl_->read += wanted;
  return std::string_view(reinterpret_cast<const char*>(bytes), wanted);
}

Result<std::string> CompoundStream::ReadAll(std::size_t bytes_max) {
  if (Bytes() > bytes_max) {
    return Damaged("a stream has " + std::to_string(Bytes()) + " bytes where at most " +
                   std::to_string(bytes_max) + " make sense");
  }
  std::string all;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, Next());
    if (piece.empty()) return all;
    all.append(piece);
  }
}

Result<CompoundStorage> CompoundStorage::Open(const std::filesystem::path& path) {
  Initialize();
  std::error_code failed;
  const bool is_file = std::filesystem::is_regular_file(path, failed);
  if (failed || !is_file) {
    return Fail(
        failed == std::errc::permission_denied ? ErrorCode::kNoAccess : ErrorCode::kNotFound,
        is_file || failed ? failed.message() : "not a file");
  }
  // Opened first for a clear error; libgsf's is text only.
  if (std::FILE* file = std::fopen(path.c_str(), "rbe")) {
    std::fclose(file);
  } else {
    return Fail(errno == EACCES ? ErrorCode::kNoAccess : ErrorCode::kNotFound,
                std::strerror(errno));
  }
  const Owned<GsfInput> input(gsf_input_mmap_new(path.c_str(), nullptr));
  if (input == nullptr) return Damaged("the file is empty");
  GError* error = nullptr;
  Owned<GsfInfile> infile(gsf_infile_msole_new(input.get(), &error));
  if (infile == nullptr) {
    const std::unique_ptr<GError, FreeError> owned(error);
    return Damaged(std::string("not a compound file, as .msg files are: ") +
                   (owned == nullptr ? "unreadable" : owned->message));
  }
  auto impl = std::make_shared<Impl>();
  impl->infile = std::move(infile);
  impl->budget = std::make_shared<Budget>();
  impl->budget->bytes = static_cast<std::uint64_t>(gsf_input_size(input.get()));
  return CompoundStorage(std::move(impl));
}

Result<Owned<GsfInput>> CompoundStorage::Impl::Child(const std::string& name) const {
  Owned<GsfInput> child(gsf_infile_child_by_name(infile.get(), name.c_str()));
  if (child != nullptr) return child;
  const int count = gsf_infile_num_children(infile.get());
  for (int i = 0; i < count; ++i) {
    const char* listed = gsf_infile_name_by_index(infile.get(), i);
    if (listed != nullptr && name == listed) return Damaged(name + " cannot be read");
  }
  return child;
}

std::vector<std::string> CompoundStorage::Names() const {
  std::vector<std::string> names;
  const int count = gsf_infile_num_children(impl_->infile.get());
  for (int i = 0; i < count; ++i) {
    const char* name = gsf_infile_name_by_index(impl_->infile.get(), i);
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

Result<CompoundStream> CompoundStorage::Impl::Claim(Owned<GsfInput> input) const {
  const auto bytes = static_cast<std::uint64_t>(gsf_input_size(input.get()));
  if (bytes > budget->bytes) return Damaged("its streams are longer than the file");
  if (bytes > kContentBytesMax) {
    return Fail(ErrorCode::kTooBig, "a value of more than 150 MiB");
  }
  budget->bytes -= bytes;
  auto stream = std::make_shared<CompoundStream::Impl>();
  stream->input = std::move(input);
  return CompoundStream(std::move(stream));
}

Result<std::optional<CompoundStorage>> CompoundStorage::Storage(const std::string& name) const {
  ASSIGN_OR_RETURN(Owned<GsfInput> child, impl_->Child(name));
  if (child == nullptr || !IsStorage(child.get())) return std::optional<CompoundStorage>();
  auto impl = std::make_shared<Impl>();
  impl->infile.reset(GSF_INFILE(child.release()));
  impl->budget = impl_->budget;
  return std::optional(CompoundStorage(std::move(impl)));
}

Result<std::optional<CompoundStream>> CompoundStorage::Stream(const std::string& name) const {
  ASSIGN_OR_RETURN(Owned<GsfInput> child, impl_->Child(name));
  if (child == nullptr || IsStorage(child.get())) return std::optional<CompoundStream>();
  ASSIGN_OR_RETURN(CompoundStream stream, impl_->Claim(std::move(child)));
  return std::optional(std::move(stream));
}

Result<void> CompoundStorage::Impl::CopyStream(Owned<GsfInput> from, GsfOutput* to) const {
  ASSIGN_OR_RETURN(CompoundStream stream, Claim(std::move(from)));
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, stream.Next());
    if (piece.empty()) return {};
    if (gsf_output_write(to, piece.size(), reinterpret_cast<const guint8*>(piece.data())) == 0) {
      return Fail(ErrorCode::kDiskError, "writing a temporary file failed");
    }
  }
}

Result<void> CompoundStorage::Impl::Copy(GsfOutfile* to, int depth) const {
  if (depth > kStorageDepthMax) return Fail(ErrorCode::kTooComplex, "storages nested too deep");
  std::array<guint8, 16> class_id{};
  if (gsf_infile_msole_get_class_id(GSF_INFILE_MSOLE(infile.get()), class_id.data()) != 0) {
    gsf_outfile_msole_set_class_id(GSF_OUTFILE_MSOLE(to), class_id.data());
  }
  const int count = gsf_infile_num_children(infile.get());
  for (int i = 0; i < count; ++i) {
    Owned<GsfInput> child(gsf_infile_child_by_index(infile.get(), i));
    const char* name = gsf_infile_name_by_index(infile.get(), i);
    if (child == nullptr || name == nullptr) return Damaged("a storage cannot be read");
    const bool is_storage = IsStorage(child.get());
    const Owned<GsfOutput> copy(gsf_outfile_new_child(to, name, is_storage ? TRUE : FALSE));
    Result<void> copied;
    if (is_storage) {
      Impl inner;
      inner.infile.reset(GSF_INFILE(child.release()));
      inner.budget = budget;
      copied = inner.Copy(GSF_OUTFILE(copy.get()), depth + 1);
    } else {
      copied = CopyStream(std::move(child), copy.get());
    }
    gsf_output_close(copy.get());
    RETURN_IF_ERROR(copied);
  }
  return {};
}

Result<void> CompoundStorage::CopyTo(std::FILE* file) const {
  const Owned<GsfOutput> output(gsf_output_stdio_new_FILE("copy", file, TRUE));
  const Owned<GsfOutfile> outfile(gsf_outfile_msole_new(output.get()));
  const Result<void> copied = impl_->Copy(outfile.get(), 0);
  const bool closed = gsf_output_close(GSF_OUTPUT(outfile.get())) != 0;  // And the output with it.
  RETURN_IF_ERROR(copied);
  if (!closed || std::fflush(file) != 0) {
    return Fail(ErrorCode::kDiskError, "writing a temporary file failed");
  }
  return {};
}

}  // namespace bobbin::cli
