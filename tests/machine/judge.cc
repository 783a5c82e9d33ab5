// judge ROOT MARKS: what is found below ROOT, against what MARKS says may be there.
//
// MARKS is what marker.cc of tests/powerloss has written. Prints what is wrong, or "sound".

#include <cstdio>
#include <exception>
#include <fstream>

#include "tests/powerloss/mounted_root.h"

namespace bobbin::powerloss {
namespace {

int Main(const char* root, const char* marks) {
  std::ifstream file(marks, std::ios::binary);
  OutcomeModel model;
  for (Mark mark; file.read(reinterpret_cast<char*>(&mark), sizeof(mark));) model.Apply(mark);
  const Found found = LookAtRoot(root);
  const std::string wrong = model.Judge(found.seen, found.files);
  std::printf("%s", wrong.empty() ? "sound\n" : wrong.c_str());
  return wrong.empty() ? 0 : 1;
}

}  // namespace
}  // namespace bobbin::powerloss

int main(int argument_count, char** arguments) {
  if (argument_count != 3) {
    std::fprintf(stderr, "usage: %s ROOT MARKS\n", arguments[0]);
    return 64;
  }
  try {
    return bobbin::powerloss::Main(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::printf("judge: %s\n", error.what());
    return 70;
  }
}
