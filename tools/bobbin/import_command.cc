// bobbin import: Outlook's .msg files become messages of a store.
#include <fmt/core.h>

#include <memory>
#include <optional>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/msg_import.h"

namespace bobbin::cli {
namespace {

struct ImportRequest {
  std::vector<std::string> files;
  std::string store;
  std::string folder;
};

Result<MessageStore> OpenStore(Database& database, const std::string& name) {
  if (!name.empty()) return database.OpenOrCreateMessageStore(name);
  ASSIGN_OR_RETURN(const std::vector<MessageStoreInfo> stores, database.ListMessageStores());
  if (stores.size() == 1) return database.OpenMessageStore(stores[0].name);
  return Fail(
      ErrorCode::kInvalidParameter,
      fmt::format("the database has {} message stores: name one with --store", stores.size()));
}

Result<FolderId> FindFolder(const MessageStore& store, const std::string& name) {
  if (name.empty()) return store.Folders().inbox;
  ASSIGN_OR_RETURN(const std::vector<FolderInfo> folders,
                   store.GetFolders(store.Folders().ipm_subtree));
  for (const FolderInfo& folder : folders) {
    if (folder.name == name) return folder.id;
  }
  return Fail(ErrorCode::kNotFound, "there is no folder " + name + " beside the Inbox");
}

ExitCode ComplainAboutFile(const std::string& what, const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
      return Complain(ExitCode::kNoInput, what, error.detail, "nothing of it was imported");
    case ErrorCode::kNoAccess:
      return Complain(ExitCode::kNoPermission, what, error.detail, "nothing of it was imported");
    case ErrorCode::kDiskError:
      return Complain(ExitCode::kIoError, what, error.detail, "nothing of it was imported");
    default:
      return Complain(ExitCode::kDataError, what, error.detail, "nothing of it was imported");
  }
}

class Importer {
 public:
  Importer(const CommandLine& line, Database& database, const ImportRequest& request)
      : database_(database),
        request_(request),
        output_(line.Format()),
        table_(output_,
               {{"ID"}, {"RECIPIENTS", true}, {"ATTACHMENTS", true}, {"FILE"}, {"SUBJECT"}}) {}

  ExitCode ImportFile(const std::string& path) {
    const std::string what = "import " + path;
    Result<MsgFile> file = ReadMsgFile(path);
    if (!file) return ComplainAboutFile(what, file.error());
    if (!store_) {
      const ExitCode opened = OpenTarget();
      has_no_target_ = opened != ExitCode::kOk;
      if (has_no_target_) return opened;
    }
    const std::string subject = SubjectOf(file->message);
    const Result<EntryId> id = ImportMsg(database_, *store_, folder_, *file);
    if (!id && (id.error().code == ErrorCode::kCorruptData)) {
      return ComplainAboutFile(what, id.error());
    }
    COMPLAIN_IF_ERROR(what, id);
    Print(path, *id, file->message, subject);
    return ExitCode::kOk;
  }

  // Nothing can be imported from any file.
  bool HasNoTarget() const { return has_no_target_; }

  ExitCode Finish() {
    table_.Flush();
    return output_.Finish();
  }

 private:
  // Not before a file has been read: whoever mistypes its name is told that, and no store is made.
  ExitCode OpenTarget() {
    ASSIGN_OR_COMPLAIN(MessageStore store, "open the message store",
                       OpenStore(database_, request_.store));
    ASSIGN_OR_COMPLAIN(folder_, "open the folder", FindFolder(store, request_.folder));
    store_.emplace(std::move(store));
    return ExitCode::kOk;
  }

  static std::string SubjectOf(const MsgMessage& message) {
    for (const MsgProperty& property : message.properties) {
      if (property.value.tag == pr::kSubject) return property.value.bytes;
    }
    return {};
  }

  void Print(const std::string& path, const EntryId& id, const MsgMessage& message,
             const std::string& subject) {
    const std::string queue_id = ToQueueId(MessageId{id.Object()});
    switch (output_.Format()) {
      case OutputFormat::kIds:
        output_.Line(queue_id);
        return;
      case OutputFormat::kJson:
        output_.PrintJson({{"file", path},
                           {"queue_id", queue_id},
                           {"entry_id", id.ToHex()},
                           {"store", store_->Name()},
                           {"recipient_count", message.recipients.size()},
                           {"attachment_count", message.attachments.size()},
                           {"subject", subject}});
        return;
      case OutputFormat::kTable:
        table_.AddRow({{queue_id},
                       {std::to_string(message.recipients.size())},
                       {std::to_string(message.attachments.size())},
                       {path},
                       {subject}});
        return;
    }
  }

  Database& database_;
  const ImportRequest& request_;
  std::optional<MessageStore> store_;
  FolderId folder_;
  bool has_no_target_ = false;
  Output output_;
  Table table_;
};

ExitCode RunImport(const CommandLine& line, const ImportRequest& request) {
  ASSIGN_OR_COMPLAIN(Database database, "open the database", OpenDatabase(line));
  Importer importer(line, database, request);
  ExitCode first_failure = ExitCode::kOk;
  for (const std::string& path : request.files) {
    const ExitCode code = importer.ImportFile(path);
    if (first_failure == ExitCode::kOk) first_failure = code;
    if (importer.HasNoTarget()) break;
  }
  const ExitCode printed = importer.Finish();
  return first_failure == ExitCode::kOk ? printed : first_failure;
}

}  // namespace

void AddImportCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, line, "import", "Make messages of Outlook's .msg files");
  auto request = std::make_shared<ImportRequest>();
  command->add_option("FILE", request->files, "Outlook .msg files")->required();
  command->add_option("--store", request->store,
                      "Message store to put them into, created if it is not there [the only one]");
  command->add_option("--folder", request->folder, "Folder beside the Inbox [the Inbox]");
  AddJsonOption(*command, line);
  AddIdsOption(*command, line);
  command->callback(
      [&line, request] { line.run = [&line, request] { return RunImport(line, *request); }; });
}

}  // namespace bobbin::cli
