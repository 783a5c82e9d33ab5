// Submits a message, takes it back, submits it again, and looks at what came of it.
//
//   submit_example DIRECTORY      a new database is made there
//
// The row of the queue that changes is the one the spooler locks.
//
// The spooler and its transport run in this program here; with `bobbind` they run in the daemon,
// and a client ends after SubmitMessage.
#include <cstdio>
#include <latch>
#include <vector>

#include "engine/database.h"
#include "spooler/spooler.h"
#include "spooler/transports/discard.h"

// Two dozen names would hide the program.  NOLINTNEXTLINE(google-build-using-namespace)
using namespace bobbin;

static Result<void> Run(const char* directory) {
  RETURN_IF_ERROR(Database::Create(directory));
  ASSIGN_OR_RETURN(Database database, Database::Open(directory));
  ASSIGN_OR_RETURN(MessageStore store, database.OpenOrCreateMessageStore("amy@a.test"));
  std::latch rows_deleted(2);
  const QueueAdvise watch = database.GetOutgoingQueue().Advise([&](const QueueEvent& event) {
    if (event.kind == QueueEventKind::kRowAdded) std::puts("queue: a row was added");
    if (event.kind == QueueEventKind::kRowModified) std::puts("queue: a row was changed");
    if (event.kind != QueueEventKind::kRowDeleted) return;
    std::puts("queue: a row was deleted");
    rows_deleted.count_down();
  });

  ASSIGN_OR_RETURN(Message message, store.CreateMessage(store.Folders().outbox));
  const EntryId sent_items = store.EntryIdOf(store.Folders().sent_items.value);
  RETURN_IF_ERROR(message.SetProps(
      std::vector{Property::Bytes(pr::kSubject, "Tea"), Property::Bytes(pr::kBody, "At five."),
                  Property::Bytes(pr::kSentMailEntryId, sent_items.ToBytes()),
                  Property::Number(pr::kOriginatorDeliveryReportRequested, 1)}));
  const RecipientRow bob = MakeSmtpRecipient("bob@b.test", kRecipientTo);
  RETURN_IF_ERROR(message.ModifyRecipients(kModifyRecipientsAdd, {bob}));
  ASSIGN_OR_RETURN(const EntryId id, message.Id());
  RETURN_IF_ERROR(message.SubmitMessage());  // Durable; `message` is closed, `id` still names it.
  RETURN_IF_ERROR(store.AbortSubmit(id));    // A draft again, until the spooler locks it.
  ASSIGN_OR_RETURN(Message draft, store.OpenMessage(id, kMapiModify));
  RETURN_IF_ERROR(draft.SubmitMessage());

  ASSIGN_OR_RETURN(SpoolerSession session, database.OpenSpoolerSession());
  SpoolerShared shared;
  std::vector<std::unique_ptr<TransportProvider>> transports;
  transports.push_back(std::make_unique<DiscardTransport>());
  const auto random = [] { return 0.5; };
  const auto told = [](const SpoolerEvent&) {};
  Spooler spooler(database, session, shared, std::move(transports), {}, random, told);
  while (spooler.RunOnce(SystemClock().Now()).worked) continue;
  rows_deleted.wait();

  for (const FolderId folder : {store.Folders().sent_items, store.Folders().inbox}) {
    ASSIGN_OR_RETURN(const FolderInfo info, store.GetFolder(folder));
    ASSIGN_OR_RETURN(const std::vector<ContentsRow> rows, store.GetContentsTable(folder, 100));
    for (const auto& row : rows) std::printf("%s: %s\n", info.name.c_str(), row.subject.c_str());
  }
  return {};
}

int main(int argc, char** argv) {
  const Result<void> result =
      argc == 2 ? Run(argv[1]) : Fail(ErrorCode::kInvalidParameter, "DIRECTORY?");
  if (!result) std::fprintf(stderr, "%s\n", ToString(result.error()).c_str());
  return result ? 0 : 1;
}
