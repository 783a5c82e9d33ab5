// bobbin store create, couple, uncouple, show: the message stores of a database.
#include <fmt/core.h>

#include <memory>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

Result<Json> StoreJson(const MessageStore& store) {
  ASSIGN_OR_RETURN(const FolderInfo inbox, store.GetFolder(store.Folders().inbox));
  ASSIGN_OR_RETURN(const bool coupled, store.IsTightlyCoupled());
  return Json{{"store", store.Name()},
              {"tightly_coupled", coupled},
              {"inbox_messages", inbox.content_count},
              {"inbox_unread", inbox.content_unread}};
}

ExitCode PrintStores(const CommandLine& line, const std::vector<MessageStore>& stores) {
  Output output(line.Format());
  ExitCode first_failure = ExitCode::kOk;
  for (const MessageStore& store : stores) {
    const Result<Json> json = StoreJson(store);
    if (!json) {
      const ExitCode code = Complain(ExitCodeOf(json.error().code), "look at store " + store.Name(),
                                     ToString(json.error()), WhatToDo(json.error().code));
      if (first_failure == ExitCode::kOk) first_failure = code;
    } else if (line.json) {
      output.PrintJson(*json);
    } else {
      output.Line(EscapeForTerminal(
          fmt::format("{}  {}, {} messages in the Inbox, {} unread", store.Name(),
                      (*json)["tightly_coupled"].get<bool>() ? "tightly coupled" : "uncoupled",
                      (*json)["inbox_messages"].get<std::uint64_t>(),
                      (*json)["inbox_unread"].get<std::uint64_t>())));
    }
  }
  const ExitCode written = output.Finish();
  return first_failure != ExitCode::kOk ? first_failure : written;
}

ExitCode RunStoreShow(const CommandLine& line) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const std::vector<MessageStoreInfo> infos, "list the stores",
                     database.ListMessageStores());
  std::vector<MessageStore> stores;
  for (const MessageStoreInfo& info : infos) {
    ASSIGN_OR_COMPLAIN(MessageStore store, "open store " + info.name,
                       database.OpenMessageStore(info.name));
    stores.push_back(std::move(store));
  }
  return PrintStores(line, stores);
}

ExitCode SetCoupled(const CommandLine& line, MessageStore store, const std::string& what,
                    bool coupled) {
  const Result<void> set = store.SetTightlyCoupled(coupled);
  if (!set) {
    return Complain(ExitCodeOf(set.error().code), what, ToString(set.error()),
                    WhatToDo(set.error().code));
  }
  return PrintStores(line, {store});
}

ExitCode RunStoreCreate(const CommandLine& line, const std::string& name, bool coupled) {
  ASSIGN_OR_COMPLAIN(Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(MessageStore store, "create store " + name, database.CreateMessageStore(name));
  if (coupled) return SetCoupled(line, std::move(store), "couple store " + name, true);
  return PrintStores(line, {store});
}

ExitCode RunStoreCouple(const CommandLine& line, const std::string& name, bool coupled) {
  const std::string what = (coupled ? "couple store " : "uncouple store ") + name;
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(MessageStore store, what, database.OpenMessageStore(name));
  return SetCoupled(line, std::move(store), what, coupled);
}

void AddCouple(CLI::App& group, CommandLine& line, bool coupled) {
  CLI::App* command =
      AddCommand(group, line, coupled ? "couple" : "uncouple",
                 coupled ? "Deliver to stores of this database inside the submission"
                         : "Leave all delivery to the spooler");
  auto name = std::make_shared<std::string>();
  command->add_option("NAME", *name, "Name of the store")->required();
  AddJsonOption(*command, line);
  command->callback([&line, coupled, name] {
    line.run = [&line, coupled, name] { return RunStoreCouple(line, *name, coupled); };
  });
}

}  // namespace

void AddStoreCommands(CLI::App& app, CommandLine& line) {
  CLI::App* group = AddCommand(app, line, "store", "Keep message stores");
  group->require_subcommand(1);
  CLI::App* create = AddCommand(*group, line, "create", "Make a message store");
  auto name = std::make_shared<std::string>();
  auto coupled = std::make_shared<bool>(false);
  create->add_option("NAME", *name, "Name of the store: the address it receives mail for")
      ->required();
  create->add_flag("--tightly-coupled", *coupled,
                   "Deliver to stores of this database inside the submission");
  AddJsonOption(*create, line);
  create->callback([&line, name, coupled] {
    line.run = [&line, name, coupled] { return RunStoreCreate(line, *name, *coupled); };
  });
  AddCouple(*group, line, true);
  AddCouple(*group, line, false);
  CLI::App* show = AddCommand(*group, line, "show", "The message stores, and what is in them");
  AddJsonOption(*show, line);
  show->callback([&line] { line.run = [&line] { return RunStoreShow(line); }; });
}

}  // namespace bobbin::cli
