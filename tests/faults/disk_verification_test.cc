// What memory shows and the disk does not have is found, and dropped if it can be.
//
// Method: a real file on an ext4 of its own whose disk is an image file: a byte of the image is
// changed behind the file system's back, as if the write of the other byte had been lost.

#include "engine/kv/disk_verification.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/not_checked.h"
#include "tests/support/small_disk.h"

namespace bobbin::kv {
namespace {

constexpr std::size_t kBytes = 3'000'000;  // Not a whole number of chunks, nor of pages.

class DiskVerificationTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(file_, std::ios::binary) << std::string(kBytes, 'x');
    if (disk_.IsMounted()) return;
    SayNotChecked("memory that differs from the disk", "this process may not mount an ext4 image");
  }
  char ByteAt(std::uint64_t offset) const {
    std::ifstream file(file_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    return static_cast<char>(file.get());
  }

  SmallDisk disk_{16 << 20, SmallDisk::Kind::kExt4};
  const std::filesystem::path file_ = disk_.Path() / "data.mdb";
};

TEST_F(DiskVerificationTest, FindsNothingInASoundFile) {
  const DiskVerification verified = Must(VerifyAgainstDisk(file_));
  EXPECT_EQ(verified.stale_bytes, 0U);
  EXPECT_EQ(verified.bytes, verified.compared ? kBytes : 0);
}

TEST_F(DiskVerificationTest, DropsWhatIsInMemoryOnly) {
  if (!disk_.IsMounted()) return;
  Must(VerifyAgainstDisk(file_));
  for (const std::uint64_t offset : {std::uint64_t{5'000}, std::uint64_t{kBytes - 1}}) {
    disk_.FlipOnDisk(file_, offset);
    ASSERT_EQ(ByteAt(offset), 'x') << "the write went through memory";
    EXPECT_GT(Must(VerifyAgainstDisk(file_)).stale_bytes, 0U) << offset;
    EXPECT_EQ(ByteAt(offset), static_cast<char>(~'x')) << "memory still shows the lost write";
    EXPECT_EQ(Must(VerifyAgainstDisk(file_)).stale_bytes, 0U);
  }
}

TEST_F(DiskVerificationTest, RefusesWhatSomebodyKeepsInMemory) {
  if (!disk_.IsMounted()) return;
  Must(VerifyAgainstDisk(file_));
  const int file = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  void* const memory = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
  ASSERT_NE(memory, MAP_FAILED);
  disk_.FlipOnDisk(file_, 1'500'000);
  EXPECT_THAT(VerifyAgainstDisk(file_),
              IsErrorNaming(ErrorCode::kDiskError,
                            std::vector<std::string>{"data.mdb", "restart the machine"}));
  munmap(memory, kBytes);
  close(file);
  // The kernel may have dropped it by now, too.
  EXPECT_THAT(VerifyAgainstDisk(file_), IsOk());
  EXPECT_EQ(ByteAt(1'500'000), static_cast<char>(~'x'));
}

}  // namespace
}  // namespace bobbin::kv
