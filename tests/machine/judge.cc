// judge ROOT MARKS verify|trust: what is found below ROOT, against what MARKS says may be there.
//
// MARKS is what marker.cc of tests/powerloss has written. With verify, what memory shows of the
// database is first made what the disk has, as bobbind does after a failure. Prints what is wrong,
// or "sound" and each message.

#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "engine/kv/disk_verification.h"
#include "tests/powerloss/mounted_root.h"

namespace bobbin::powerloss {
namespace {

int Main(const std::filesystem::path& root, const char* marks, bool verifies) {
  std::ifstream file(marks, std::ios::binary);
  OutcomeModel model;
  for (Mark mark; file.read(reinterpret_cast<char*>(&mark), sizeof(mark));) model.Apply(mark);
  if (verifies) {
    const auto verified = kv::VerifyAgainstDisk(root / "home" / "db" / "data.mdb");
    if (!verified || !verified->compared) throw std::runtime_error("cannot be verified");
    std::fprintf(stderr, "%lu bytes were in memory only\n", verified->stale_bytes);
  }
  const Found found = LookAtRoot(root);
  const std::string wrong = model.Judge(found.seen, found.files);
  std::printf("%s", wrong.empty() ? "sound\n" : wrong.c_str());
  for (const auto& [id, state] : found.seen.messages) {
    std::printf("%lu: %s\n", id, Describe(state).c_str());
  }
  return wrong.empty() ? 0 : 1;
}

}  // namespace
}  // namespace bobbin::powerloss

int main(int argument_count, char** arguments) {
  if (argument_count != 4) {
    std::fprintf(stderr, "usage: %s ROOT MARKS verify|trust\n", arguments[0]);
    return 64;
  }
  try {
    return bobbin::powerloss::Main(arguments[1], arguments[2],
                                   arguments[3] == std::string_view("verify"));
  } catch (const std::exception& error) {
    std::printf("judge: %s\n", error.what());
    return 70;
  }
}
