// The recorded directory as a real file system shows it after a power cut, looked at by the engine.
//
// Threads    One at a time.
// Processes  Each has images of its own.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/entry_id.h"
#include "tests/powerloss/disk_model.h"
#include "tests/powerloss/outcome_model.h"

namespace bobbin::powerloss {

struct Found {
  Observation seen;
  DropFiles files;
};

// The database and the drop directory that the workload makes below `root`.
Found LookAtRoot(const std::filesystem::path& root);

// In place of what was there.
void WriteSparse(const FileImage& image, const std::filesystem::path& path);

// One state of a block device after the other, each mounted, which replays its journal.
class MountedImage {
 public:
  // In `directory`, which it makes; of `file_system`, as mount(2) names it.
  MountedImage(const std::filesystem::path& directory, std::string file_system);
  ~MountedImage();
  MountedImage(const MountedImage&) = delete;
  MountedImage& operator=(const MountedImage&) = delete;

  // All of it anew: a mount writes where it likes.
  void Set(const FileImage& disk) const { WriteSparse(disk, image_); }
  Found Look();

 private:
  const std::filesystem::path root_;
  const std::filesystem::path image_;
  const std::string file_system_;
  std::optional<DatabaseId> shared_of_;  // What has been opened leaves a segment.
};

}  // namespace bobbin::powerloss
