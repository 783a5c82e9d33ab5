#include "tests/support/advised_process.h"

#include <sstream>
#include <stdexcept>
#include <string>

#include "engine/database.h"
#include "tests/support/matchers.h"

namespace bobbin {
namespace {

const ChildProgram kAdvised("advised-of-the-queue", [](const ChildProgram::Arguments& arguments) {
  const Database database = Must(Database::Open(arguments.at(0)));
  const QueueAdvise advise = database.GetOutgoingQueue().Advise([](const QueueEvent& event) {
    Say(std::to_string(static_cast<unsigned>(event.kind)) + " " +
        std::to_string(event.message.value));
  });
  Say("advised");
  Hear();  // Until the parent is done.
  return 0;
});

}  // namespace

AdvisedProcess::AdvisedProcess(const std::filesystem::path& database)
    : process_("advised-of-the-queue", {database.string()}) {
  if (process_.ReadLine() != "advised") throw std::runtime_error("the process is not advised");
}

AdvisedProcess::Told AdvisedProcess::Next() {
  std::istringstream line(process_.ReadLine());
  unsigned kind = 0;
  Told told{};
  if (!(line >> kind >> told.message.value)) throw std::runtime_error("the process says nothing");
  told.kind = static_cast<QueueEventKind>(kind);
  return told;
}

std::vector<AdvisedProcess::Told> AdvisedProcess::UntilAdded(MessageId marker) {
  std::vector<Told> before;
  for (;;) {
    const Told told = Next();
    if (told == Told{QueueEventKind::kRowAdded, marker}) return before;
    before.push_back(told);
  }
}

}  // namespace bobbin
