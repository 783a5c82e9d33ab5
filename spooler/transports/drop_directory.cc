#include "spooler/transports/drop_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

#include "engine/identity_file.h"
#include "spooler/internet_message.h"
#include "spooler/transports/file_descriptor.h"

namespace bobbin {
namespace {

constexpr std::size_t kDirectoryNameBytesMax = 200;
// Written ahead together, so that one durable mark serves all of them.
constexpr std::size_t kBatchRecipientCountMax = 50;

std::string ErrorText(int error) { return std::generic_category().message(error); }

RecipientOutcome Failure(const char* what, int error) {
  const bool storage = error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO;
  return {OutcomeKind::kRetryLater,
          {0, storage ? "4.3.1" : "4.3.0", fmt::format("cannot {}: {}", what, ErrorText(error))},
          {}};
}

// Opens a directory below `parent`, made if it is missing. Sets errno when there is none.
FileDescriptor OpenDirectory(int parent, const char* name) {
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  FileDescriptor directory(openat(parent, name, flags));
  if (!directory && errno == ENOENT && (mkdirat(parent, name, 0700) == 0 || errno == EEXIST)) {
    directory = FileDescriptor(openat(parent, name, flags));
  }
  return directory;
}

// Opens the root, made with everything missing above it.
FileDescriptor MakeRoot(const std::string& root) {
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  FileDescriptor directory(open(root.c_str(), flags));
  if (directory || errno != ENOENT || root.empty()) return directory;
  const std::size_t end = root.find_last_not_of('/');
  const std::size_t slash = end == std::string::npos ? end : root.rfind('/', end);
  const std::string above = slash == std::string::npos ? "."
                            : slash == 0               ? "/"
                                                       : root.substr(0, slash);
  if (!MakeRoot(above)) return FileDescriptor();
  if (mkdir(root.c_str(), 0700) != 0 && errno != EEXIST) return FileDescriptor();
  return FileDescriptor(open(root.c_str(), flags));
}

FileDescriptor OpenRoot(const std::string& root) {
  FileDescriptor directory = MakeRoot(root);
  if (directory && !SyncDirectoriesAbove(directory.Get())) return FileDescriptor();
  return directory;
}

bool WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Whether `current`, a cur/, has the file under the name and flags a reader gave it:
// "<name>:2,S". Nothing, with errno: it cannot be read, which is not the same as no.
std::optional<bool> HasBeenRead(int current, const std::string& name) {
  FileDescriptor duplicate(openat(current, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!duplicate) return std::nullopt;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(duplicate.Get()), &closedir);
  if (entries == nullptr) return std::nullopt;
  duplicate.Release();
  errno = 0;
  while (const dirent* entry = readdir(entries.get())) {
    const std::string_view found = entry->d_name;
    if (!found.starts_with(name)) continue;
    if (found.size() == name.size() || found[name.size()] == ':') return true;
  }
  if (errno != 0) return std::nullopt;
  return false;
}

// One recipient on the way from tmp/ to new/.
struct Delivery {
  const OutboundRecipient* recipient = nullptr;
  std::string directory_name;
  std::string name;
  FileDescriptor maildir, temporary, fresh, current;
  std::optional<RecipientOutcome> outcome;
};

class DropDirectoryTransport final : public TransportProvider {
 public:
  explicit DropDirectoryTransport(DropDirectoryOptions options) : options_(std::move(options)) {}

  std::string_view Name() const override { return "drop-directory"; }
  std::vector<std::string> AddressTypes() const override { return {"SMTP"}; }
  SubmitResult SubmitMessage(OutboundMessage& message) override;
  void TransportNotify(TransportNotification notification,
                       const NotificationData& /*data*/) override {
    if (notification == TransportNotification::kCancelMessage) cancelled_ = true;
    if (notification == TransportNotification::kBeginOutbound) cancelled_ = false;
  }

 private:
  void DeliverBatch(OutboundMessage& message, std::span<const OutboundRecipient> recipients);
  void Prepare(OutboundMessage& message, Delivery& delivery);
  bool Open(Delivery& delivery);
  void WriteFile(OutboundMessage& message, Delivery& delivery);
  void Publish(Delivery& delivery);

  const DropDirectoryOptions options_;
  FileDescriptor root_;
  std::atomic<bool> cancelled_ = false;
};

SubmitResult DropDirectoryTransport::SubmitMessage(OutboundMessage& message) {
  if (!root_) root_ = OpenRoot(options_.root);
  if (!root_) {
    return {SubmitStatus::kUnavailable,
            {0, "4.3.0", fmt::format("cannot open {}: {}", options_.root, ErrorText(errno))},
            options_.root,
            {}};
  }
  const std::span<const OutboundRecipient> recipients = message.Recipients();
  for (std::size_t done = 0; done < recipients.size();) {
    const std::size_t count = std::min(kBatchRecipientCountMax, recipients.size() - done);
    if (cancelled_ && done == 0) {
      cancelled_ = false;
      return {SubmitStatus::kCancelled, {}, {}, {}};
    }
    DeliverBatch(message, recipients.subspan(done, count));
    done += count;
  }
  cancelled_ = false;
  return {};
}

void DropDirectoryTransport::DeliverBatch(OutboundMessage& message,
                                          std::span<const OutboundRecipient> recipients) {
  std::vector<Delivery> deliveries(recipients.size());
  std::vector<RecipientRowId> written;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    deliveries[i].recipient = &recipients[i];
    Prepare(message, deliveries[i]);
    if (!deliveries[i].outcome) written.push_back(recipients[i].row);
  }
  const Result<void> marked = written.empty() ? Result<void>() : message.MarkInDoubt(written);
  for (Delivery& delivery : deliveries) {
    if (!delivery.outcome && !marked) {
      unlinkat(delivery.temporary.Get(), delivery.name.c_str(), 0);
      delivery.outcome = {
          OutcomeKind::kRetryLater,
          {0, "4.3.0",
           fmt::format("the attempt could not be recorded ({})", ErrorName(marked.error().code))},
          {}};
    }
    if (!delivery.outcome) Publish(delivery);
    if (!delivery.directory_name.empty()) {
      delivery.outcome->remote_host = options_.root + "/" + delivery.directory_name;
    }
    message.StatusRecipient(delivery.recipient->row, *std::move(delivery.outcome));
  }
}

// Leaves a flushed file in tmp/, or an outcome.
void DropDirectoryTransport::Prepare(OutboundMessage& message, Delivery& delivery) {
  if (cancelled_) {
    delivery.outcome = {OutcomeKind::kRetryLater, {0, "4.3.2", "stopped on request"}, {}};
    return;
  }
  if (auto address = CheckAddress(delivery.recipient->address, true); !address) {
    delivery.outcome = {
        OutcomeKind::kFailed, {0, "5.1.3", "bad recipient address: " + address.error().detail}, {}};
    return;
  }
  const std::int64_t microseconds =
      std::chrono::floor<std::chrono::microseconds>(message.SubmitTime())
          .time_since_epoch()
          .count();
  const auto& database = message.Id().Database().bytes;
  delivery.directory_name = DropDirectoryName(delivery.recipient->address);
  delivery.name =
      fmt::format("{}.M{}Q{}R{}.{}", microseconds / 1'000'000, microseconds % 1'000'000,
                  message.QueueId(), delivery.recipient->row.value,
                  ToHex({reinterpret_cast<const char*>(database.data()), database.size()}));
  if (!Open(delivery)) {
    delivery.outcome = Failure("open the mailbox", errno);
    return;
  }
  if (delivery.recipient->maybe_delivered) {
    const std::optional<bool> read = HasBeenRead(delivery.current.Get(), delivery.name);
    if (!read || (*read && fsync(delivery.current.Get()) != 0)) {
      delivery.outcome = Failure("look into cur/", errno);
      return;
    }
    if (*read) {
      delivery.outcome = {OutcomeKind::kDelivered, {0, "2.0.0", "delivered earlier"}, {}};
      return;
    }
  }
  delivery.current.Close();
  WriteFile(message, delivery);
}

bool DropDirectoryTransport::Open(Delivery& delivery) {
  delivery.maildir = OpenDirectory(root_.Get(), delivery.directory_name.c_str());
  if (!delivery.maildir) return false;
  delivery.temporary = OpenDirectory(delivery.maildir.Get(), "tmp");
  if (!delivery.temporary) return false;
  delivery.fresh = OpenDirectory(delivery.maildir.Get(), "new");
  if (!delivery.fresh) return false;
  delivery.current = OpenDirectory(delivery.maildir.Get(), "cur");
  return static_cast<bool>(delivery.current);
}

void DropDirectoryTransport::WriteFile(OutboundMessage& message, Delivery& delivery) {
  const int temporary = delivery.temporary.Get();
  const char* name = delivery.name.c_str();
  // The message is locked, so a file of this name is what a killed process left behind.
  unlinkat(temporary, name, 0);
  const FileDescriptor file(
      openat(temporary, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) {
    delivery.outcome = Failure("create the file", errno);
    return;
  }
  std::string bytes = fmt::format("Return-Path: <{}>\nDelivered-To: {}\n", message.ReversePath(),
                                  delivery.recipient->address);
  ContentSource& content = message.Content();
  content.Rewind();
  for (bool more = true; more && !delivery.outcome;) {
    if (!WriteAll(file.Get(), bytes)) {
      delivery.outcome = Failure("write the file", errno);
      break;
    }
    const auto piece = content.Next();
    if (!piece) {
      delivery.outcome = {
          OutcomeKind::kRetryLater,
          {0, "4.3.0",
           fmt::format("the stored content could not be read ({})", ErrorName(piece.error().code))},
          {}};
      break;
    }
    more = !piece->empty();
    bytes.assign(*piece);
    bytes.erase(std::remove(bytes.begin(), bytes.end(), '\r'), bytes.end());
  }
  if (!delivery.outcome && fsync(file.Get()) != 0) {
    delivery.outcome = Failure("flush the file", errno);
  }
  if (delivery.outcome) unlinkat(temporary, name, 0);
}

void DropDirectoryTransport::Publish(Delivery& delivery) {
  if (renameat(delivery.temporary.Get(), delivery.name.c_str(), delivery.fresh.Get(),
               delivery.name.c_str()) != 0) {
    delivery.outcome = Failure("move the file into new/", errno);
    unlinkat(delivery.temporary.Get(), delivery.name.c_str(), 0);
    return;
  }
  // All three every time: a process that made a directory may have died before it flushed the
  // one above. Flushing what is clean costs nothing.
  if (fsync(delivery.fresh.Get()) != 0 || fsync(delivery.maildir.Get()) != 0 ||
      fsync(root_.Get()) != 0) {
    delivery.outcome = Failure("flush the directory", errno);
    delivery.outcome->kind = OutcomeKind::kInDoubt;
    return;
  }
  delivery.outcome = {OutcomeKind::kDelivered, {0, "2.0.0", "delivered as " + delivery.name}, {}};
}

bool IsKept(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("@._+=-").find(c) != std::string_view::npos;
}

}  // namespace

std::string DropDirectoryName(std::string_view address) {
  std::string canonical(address);
  const std::size_t at = canonical.rfind('@');
  if (at != std::string::npos) {
    std::transform(canonical.begin() + static_cast<std::ptrdiff_t>(at), canonical.end(),
                   canonical.begin() + static_cast<std::ptrdiff_t>(at), [](char c) {
                     return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
                   });
  }
  std::string name;
  for (const char c : canonical) {
    if (IsKept(c) && !(c == '.' && name.empty())) {
      name.push_back(c);
    } else {
      name += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  if (name.size() <= kDirectoryNameBytesMax) return name;
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  const std::string suffix = fmt::format("%H{:016x}{:016x}", hash.high64, hash.low64);
  return name.substr(0, kDirectoryNameBytesMax - suffix.size()) + suffix;
}

TransportFactory NewDropDirectoryTransport(const DropDirectoryOptions& options) {
  return [options] { return std::make_unique<DropDirectoryTransport>(options); };
}

}  // namespace bobbin
