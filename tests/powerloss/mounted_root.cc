#include "tests/powerloss/mounted_root.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "engine/check.h"
#include "engine/identity_file.h"
#include "engine/lock_table.h"
#include "tests/powerloss/database_image.h"
#include "tests/support/loop_device.h"

namespace bobbin::powerloss {
namespace {

namespace fs = std::filesystem;

DropFiles DigestsBelow(const fs::path& drop) {
  DropFiles digests;
  if (!fs::exists(drop)) return digests;
  for (const fs::directory_entry& maildir : fs::directory_iterator(drop)) {
    if (!fs::exists(maildir.path() / "new")) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(maildir.path() / "new")) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string content(std::istreambuf_iterator<char>(file), {});
      digests.push_back(XXH3_64bits(content.data(), content.size()));
    }
  }
  return digests;
}

}  // namespace

Found LookAtRoot(const fs::path& root) {
  Found found;
  try {
    if (fs::exists(root / "home" / "db")) found.seen = LookAsAProgram(root / "home" / "db");
    found.files = DigestsBelow(root / "drop");
  } catch (const fs::filesystem_error& error) {
    found.seen.trouble += std::string("the file system: ") + error.what() + "\n";
  }
  return found;
}

void WriteSparse(const FileImage& image, const fs::path& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  BOBBIN_CHECK(file >= 0 && ftruncate(file, static_cast<off_t>(image.bytes)) == 0);
  for (std::size_t i = 0; i < image.pages.size(); ++i) {
    if (!image.pages[i]) continue;
    const auto offset = static_cast<off_t>(i * kPageBytes);
    BOBBIN_CHECK(pwrite(file, image.pages[i]->bytes.data(), kPageBytes, offset) == kPageBytes);
  }
  close(file);
}

MountedImage::MountedImage(const fs::path& directory, std::string file_system)
    : root_(directory / "mounted"),
      image_(directory / "disk"),
      file_system_(std::move(file_system)) {
  fs::create_directories(root_);
}

MountedImage::~MountedImage() {
  if (shared_of_) RemoveVolatileState(*shared_of_);
}

Found MountedImage::Look() {
  try {
    const LoopDevice device(image_);
    Mount(device.Path(), root_, file_system_);
  } catch (const std::system_error& error) {
    Found found;
    found.seen.trouble = std::string(error.what()) + "\n";
    return found;
  }
  Found found = LookAtRoot(root_);
  if (!shared_of_) {
    if (const Result<Identity> identity = ReadIdentityFile(root_ / "home" / "db")) {
      shared_of_ = identity->database;
    }
  }
  Unmount(root_);
  return found;
}

}  // namespace bobbin::powerloss
