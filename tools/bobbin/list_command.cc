// bobbin list create, delete, add, remove, show: the personal distribution lists of a database.
//
// Every member is answered, whatever became of those before it; the exit code is that of the first
// failure. All that one command adds or removes is one transaction.
#include <fmt/core.h>

#include <iterator>
#include <memory>

#include "spooler/internet_message.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/local_address.h"

namespace bobbin::cli {
namespace {

constexpr std::string_view kWhichLists = "`bobbin list show` names them";

struct ListStep {
  std::string command;
  std::string list;
  std::string member;  // As it was typed; empty when the step is about the list itself.
  std::string done;    // What there is afterwards.
};

std::string_view WhatToDoAboutLists(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kCollision:
      return kWhichLists;
    case ErrorCode::kTooBig:
      return "nothing was added";
    default:
      return WhatToDo(code);
  }
}

ExitCode Answer(Output& output, const ListStep& step, const Result<void>& result) {
  if (output.Format() == OutputFormat::kJson) {
    Json answer{{"list", step.list}, {"command", step.command}};
    answer["member"] = step.member.empty() ? Json() : Json(step.member);
    answer["ok"] = result.has_value();
    answer["error"] = result ? Json() : Json(ErrorName(result.error().code));
    answer["detail"] = result ? Json() : Json(result.error().detail);
    output.PrintJson(answer);
  } else if (result) {
    output.Line(EscapeForTerminal(
        fmt::format("{}  {}", step.member.empty() ? step.list : step.member, step.done)));
  }
  if (result) return ExitCode::kOk;
  const Error& error = result.error();
  const std::string why = std::string(ErrorName(error.code)) + ": " + error.detail;
  std::string what = "list " + step.command + " " + step.list;
  if (!step.member.empty()) what += " " + step.member;
  return Complain(ExitCodeOf(error.code), what, why, WhatToDoAboutLists(error.code));
}

// Addresses as `submit` takes them, with their names, or one list.
Result<RecipientTable> ParseMembers(const std::string& text) {
  if (const auto list = ListNameOf(text)) {
    return RecipientTable{MakeListRecipient(*list, kRecipientTo)};
  }
  return ParseMailboxes(text);
}

// One argument, and where its members are among those of all arguments.
struct MemberArgument {
  std::string text;
  Result<void> outcome;
  std::size_t first = 0;
  std::size_t count = 0;
};

Result<RecipientTable> ReadMembers(const AddressBook& book, bool add, const std::string& text) {
  // A list that is not there would be found out by the first who submits to this one.
  const auto inner = add ? ListNameOf(text) : std::nullopt;
  if (inner) RETURN_IF_ERROR(book.GetList(*inner));
  return ParseMembers(text);
}

// Adds or removes all that can be read, and says of each argument what became of it.
std::vector<MemberArgument> ChangeMembers(AddressBook& book, bool add, const std::string& list,
                                          const std::vector<std::string>& texts) {
  std::vector<MemberArgument> arguments;
  RecipientTable members;
  for (const std::string& text : texts) {
    MemberArgument& argument = arguments.emplace_back();
    argument.text = text;
    argument.first = members.size();
    Result<RecipientTable> read = ReadMembers(book, add, text);
    if (!read) {
      argument.outcome = tl::unexpected<Error>(read.error());
      continue;
    }
    argument.count = read->size();
    std::move(read->begin(), read->end(), std::back_inserter(members));
  }
  const Result<std::vector<Result<void>>> outcomes =
      add ? book.AddMembers(list, std::move(members)) : book.RemoveMembers(list, members);
  for (MemberArgument& argument : arguments) {
    for (std::size_t i = argument.first; i < argument.first + argument.count; ++i) {
      if (!argument.outcome) break;
      argument.outcome = outcomes ? (*outcomes)[i] : tl::unexpected<Error>(outcomes.error());
    }
  }
  return arguments;
}

ExitCode RunListItself(const CommandLine& line, bool create, const std::string& list) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  AddressBook book = database.GetAddressBook();
  Output output(line.Format());
  Result<void> result;
  if (create) {
    if (const Result<EntryId> created = book.CreateList(list); !created) {
      result = tl::unexpected<Error>(created.error());
    }
  } else {
    result = book.DeleteList(list);
  }
  const ListStep step{create ? "create" : "delete", list, {}, create ? "created" : "deleted"};
  const ExitCode code = Answer(output, step, result);
  const ExitCode written = output.Finish();
  return code != ExitCode::kOk ? code : written;
}

ExitCode RunListMembers(const CommandLine& line, bool add, const std::string& list,
                        const std::vector<std::string>& members) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  InitializeInternetMessage();
  AddressBook book = database.GetAddressBook();
  Output output(line.Format());
  ExitCode first_failure = ExitCode::kOk;
  for (const MemberArgument& argument : ChangeMembers(book, add, list, members)) {
    const ExitCode code = Answer(
        output,
        {add ? "add" : "remove", list, argument.text, (add ? "is in " : "is no longer in ") + list},
        argument.outcome);
    if (first_failure == ExitCode::kOk) first_failure = code;
  }
  const ExitCode written = output.Finish();
  return first_failure != ExitCode::kOk ? first_failure : written;
}

Json ListJson(const DistributionListInfo& list) {
  Json object{{"list", list.name}, {"entry_id", list.entry_id.ToHex()}, {"members", Json::array()}};
  for (const RecipientRow& row : list.members) {
    object["members"].push_back({{"address_type", row.AddressType()},
                                 {"address", row.EmailAddress()},
                                 {"display_name", row.DisplayName()}});
  }
  return object;
}

std::string MemberText(const RecipientRow& row) {
  if (row.AddressType() == MakeListRecipient({}, kRecipientTo).AddressType()) {
    return fmt::format("{}{}", kListPrefix, row.EmailAddress());
  }
  if (row.DisplayName() == row.EmailAddress()) return std::string(row.EmailAddress());
  return fmt::format("{} <{}>", row.DisplayName(), row.EmailAddress());
}

void PrintList(Output& output, const DistributionListInfo& list) {
  output.Line(output.Styled(Style::kTitle, EscapeForTerminal(list.name)));
  for (const RecipientRow& row : list.members) {
    output.Line(EscapeForTerminal("  " + MemberText(row)));
  }
}

ExitCode RunListShow(const CommandLine& line, std::vector<std::string> names) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  const AddressBook book = database.GetAddressBook();
  if (names.empty()) {
    ASSIGN_OR_COMPLAIN(names, "list the lists", book.GetLists());
  }
  Output output(line.Format());
  ExitCode first_failure = ExitCode::kOk;
  for (const std::string& name : names) {
    const Result<DistributionListInfo> list = book.GetList(name);
    if (!list) {
      const ExitCode code = Complain(
          ExitCodeOf(list.error().code), "list show " + name,
          std::string(ErrorName(list.error().code)) + ": " + list.error().detail, kWhichLists);
      if (first_failure == ExitCode::kOk) first_failure = code;
    } else if (line.json) {
      output.PrintJson(ListJson(*list));
    } else {
      PrintList(output, *list);
    }
  }
  const ExitCode written = output.Finish();
  return first_failure != ExitCode::kOk ? first_failure : written;
}

void AddListItself(CLI::App& group, CommandLine& line, bool create) {
  CLI::App* command = AddCommand(group, line, create ? "create" : "delete",
                                 create ? "Make a list without members" : "Delete a list");
  auto name = std::make_shared<std::string>();
  command->add_option("NAME", *name, "Name of the list")->required();
  AddJsonOption(*command, line);
  command->callback([&line, create, name] {
    line.run = [&line, create, name] { return RunListItself(line, create, *name); };
  });
}

void AddListMembers(CLI::App& group, CommandLine& line, bool add) {
  CLI::App* command = AddCommand(group, line, add ? "add" : "remove",
                                 add ? "Put members into a list" : "Take members out of a list");
  auto name = std::make_shared<std::string>();
  auto members = std::make_shared<std::vector<std::string>>();
  command->add_option("NAME", *name, "Name of the list")->required();
  command->add_option("MEMBER", *members, "Addresses, or list:NAME for another list")->required();
  AddJsonOption(*command, line);
  command->callback([&line, add, name, members] {
    line.run = [&line, add, name, members] { return RunListMembers(line, add, *name, *members); };
  });
}

}  // namespace

void AddListCommands(CLI::App& app, CommandLine& line) {
  CLI::App* group = AddCommand(app, line, "list", "Keep distribution lists");
  group->require_subcommand(1);
  AddListItself(*group, line, /*create=*/true);
  AddListItself(*group, line, /*create=*/false);
  AddListMembers(*group, line, /*add=*/true);
  AddListMembers(*group, line, /*add=*/false);
  CLI::App* show = AddCommand(*group, line, "show", "The members of lists, or of all lists");
  auto names = std::make_shared<std::vector<std::string>>();
  show->add_option("NAME", *names, "Names of lists; none: all of them");
  AddJsonOption(*show, line);
  show->callback(
      [&line, names] { line.run = [&line, names] { return RunListShow(line, *names); }; });
}

}  // namespace bobbin::cli
