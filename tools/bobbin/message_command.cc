// bobbin message show, bobbin message export: one stored message, queued or not.
#include <fmt/core.h>

#include <memory>

#include "spooler/composed_message.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/message_properties.h"
#include "tools/bobbin/queue_view.h"

namespace bobbin::cli {
namespace {

Result<Message> OpenMessage(const Database& database, const std::string& queue_id) {
  ASSIGN_OR_RETURN(const MessageId id, ParseMessageId(queue_id));
  return database.OpenMessageForOperator(id);
}

struct TypeAndValue {
  std::string_view type;
  Json value;
};

TypeAndValue Describe(const Property& property) {
  switch (property.tag.Type()) {
    case PropertyType::kBoolean:
      return {"boolean", property.number != 0};
    case PropertyType::kSystemTime:
      return {"time", FormatTime(FromFileTime(property.number))};
    case PropertyType::kString8:
    case PropertyType::kUnicode:
      return {"string", property.bytes};
    case PropertyType::kBinary:
      return {"binary", ToHex(property.bytes)};
    case PropertyType::kLong:
    case PropertyType::kInt64:
      return {"number", property.number};
    default:
      return {"other", property.number};
  }
}

struct MessageFacts {
  PropertyList properties;
  RecipientTable recipients;
  std::optional<std::uint64_t> content_bytes;  // None: composed of properties, no original.
};

Result<MessageFacts> ReadFacts(const Message& message) {
  MessageFacts facts;
  ASSIGN_OR_RETURN(facts.properties, message.GetProps());
  ASSIGN_OR_RETURN(facts.recipients, message.GetRecipientTable());
  const Result<MessageBodyReader> content = message.OpenContent();
  if (content) {
    facts.content_bytes = content->Bytes();
  } else if (content.error().code != ErrorCode::kNotFound) {
    return tl::unexpected<Error>(content.error());
  }
  return facts;
}

Json MessageJson(const EntryId& entry_id, const MessageFacts& facts) {
  const auto text = [&](PropertyTag tag) { return facts.properties.BytesOr(tag, {}); };
  const auto time = [&](PropertyTag tag) {
    const Property* property = facts.properties.Find(tag);
    return property == nullptr ? Json() : TimeJson(FromFileTime(property->number));
  };
  Json object{
      {"queue_id", ToQueueId(MessageId{entry_id.Object()})},
      {"entry_id", entry_id.ToHex()},
      {"parent_entry_id", ToHex(text(pr::kParentEntryId))},
      {"message_flags", facts.properties.NumberOr(pr::kMessageFlags, 0)},
      {"submit_flags", facts.properties.NumberOr(pr::kSubmitFlags, 0)},
      {"created", time(pr::kCreationTime)},
      {"modified", time(pr::kLastModificationTime)},
      {"submitted", time(pr::kClientSubmitTime)},
      {"size_bytes", facts.properties.NumberOr(pr::kMessageSize, 0)},
      {"content_bytes", facts.content_bytes ? Json(*facts.content_bytes) : Json()},
      {"sender_name", text(pr::kSenderName)},
      {"sender_address", text(pr::kSenderEmailAddress)},
      {"subject", text(pr::kSubject)},
      {"internet_message_id", text(pr::kInternetMessageId)},
  };
  object["recipients"] = Json::array();
  for (const RecipientRow& row : facts.recipients) {
    object["recipients"].push_back(RecipientJson(row));
  }
  object["properties"] = Json::array();
  for (const Property& property : facts.properties) {
    const TypeAndValue shown = Describe(property);
    object["properties"].push_back({{"tag", fmt::format("0x{:08X}", property.tag.value)},
                                    {"type", shown.type},
                                    {"value", shown.value}});
  }
  return object;
}

void PrintMessage(Output& output, const EntryId& entry_id, const MessageFacts& facts) {
  const Time now = SystemClock().Now();
  const auto print = [&output](std::string_view label, std::string_view value) {
    if (!value.empty()) output.Line(fmt::format("{:<12} {}", label, EscapeForTerminal(value)));
  };
  const auto print_time = [&](std::string_view label, PropertyTag tag) {
    const Property* property = facts.properties.Find(tag);
    if (property == nullptr) return;
    const Time time = FromFileTime(property->number);
    print(label, fmt::format("{} ({})", FormatTime(time), FormatRelative(time, now)));
  };
  const auto flags = facts.properties.NumberOr(pr::kMessageFlags, 0);
  print("Queue id", ToQueueId(MessageId{entry_id.Object()}));
  print("Entry id", entry_id.ToHex());
  print("State", (flags & kMsgFlagSubmit) != 0   ? "queued"
                 : (flags & kMsgFlagUnsent) != 0 ? "draft"
                                                 : "sent or received");
  print_time("Created", pr::kCreationTime);
  print_time("Submitted", pr::kClientSubmitTime);
  print("Size", facts.content_bytes ? FormatBytes(*facts.content_bytes)
                                    : "composed of properties, no original");
  print("Sender", "<" + std::string(facts.properties.BytesOr(pr::kSenderEmailAddress, {})) + ">");
  print("Author", facts.properties.BytesOr(pr::kSentRepresentingEmailAddress, {}));
  print("Subject", facts.properties.BytesOr(pr::kSubject, {}));
  print("Message-ID", facts.properties.BytesOr(pr::kInternetMessageId, {}));
  PrintRecipients(output, facts.recipients, now);
  output.Line(output.Styled(Style::kTitle, "Properties"));
  Table table(output, {{"  TAG"}, {"TYPE"}, {"VALUE"}});
  for (const Property& property : facts.properties) {
    const TypeAndValue shown = Describe(property);
    const bool is_string = shown.type == "string";
    table.AddRow({{fmt::format("  {:08X}", property.tag.value)},
                  {std::string(shown.type)},
                  {is_string ? property.bytes : shown.value.dump()}});
  }
  table.Flush();
}

ExitCode RunMessageShow(const CommandLine& line, const std::string& queue_id) {
  const std::string what = "show " + queue_id;
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const Message message, what, OpenMessage(database, queue_id));
  ASSIGN_OR_COMPLAIN(const EntryId entry_id, what, message.Id());
  ASSIGN_OR_COMPLAIN(const MessageFacts facts, what, ReadFacts(message));
  Output output(line.Format());
  if (line.json) {
    output.PrintJson(MessageJson(entry_id, facts));
  } else {
    PrintMessage(output, entry_id, facts);
  }
  return output.Finish();
}

ExitCode ExportComposed(const Message& message, const std::string& what) {
  ASSIGN_OR_COMPLAIN(const PropertyList properties, what, message.GetProps());
  ASSIGN_OR_COMPLAIN(const RecipientTable recipients, what, message.GetRecipientTable());
  ASSIGN_OR_COMPLAIN(const std::string rendered, what,
                     RenderInternetMessage(message, properties, recipients));
  Output output(OutputFormat::kTable);
  output.Bytes(rendered);
  return output.Finish();
}

ExitCode RunMessageExport(const CommandLine& line, const std::string& queue_id) {
  const std::string what = "export " + queue_id;
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const Message message, what, OpenMessage(database, queue_id));
  Result<MessageBodyReader> content = message.OpenContent();
  if (!content && content.error().code == ErrorCode::kNotFound) {
    return ExportComposed(message, what);
  }
  COMPLAIN_IF_ERROR(what, content);
  Output output(line.Format());
  while (!output.Failed()) {
    ASSIGN_OR_COMPLAIN(const std::string_view piece, what, content->Next());
    if (piece.empty()) break;
    output.Bytes(piece);
  }
  return output.Finish();
}

}  // namespace

void AddMessageCommands(CLI::App& app, CommandLine& line) {
  CLI::App* group = AddCommand(app, line, "message", "Look at one message, queued or not");
  group->require_subcommand(1);
  auto queue_id = std::make_shared<std::string>();
  CLI::App* show =
      AddCommand(*group, line, "show", "Its properties and what is known of each recipient");
  show->add_option("ID", *queue_id, "Queue id")->required();
  AddJsonOption(*show, line);
  show->callback([&line, queue_id] {
    line.run = [&line, queue_id] { return RunMessageShow(line, *queue_id); };
  });
  CLI::App* properties = AddCommand(
      *group, line, "props", "Every property of it, of its recipients and of its attachments");
  properties->add_option("ID", *queue_id, "Queue id")->required();
  auto bytes_max = std::make_shared<std::size_t>(kPrintedBytesMax);
  properties->add_option("--value-bytes", *bytes_max, "Print no value that is longer")
      ->capture_default_str();
  AddJsonOption(*properties, line);
  properties->callback([&line, queue_id, bytes_max] {
    line.run = [&line, queue_id, bytes_max] {
      return RunMessageProperties(line, *queue_id, *bytes_max);
    };
  });
  CLI::App* write_out = AddCommand(
      *group, line, "export", "Write the original to standard output, byte for byte, Bcc included");
  write_out->add_option("ID", *queue_id, "Queue id")->required();
  write_out->callback([&line, queue_id] {
    line.run = [&line, queue_id] { return RunMessageExport(line, *queue_id); };
  });
}

}  // namespace bobbin::cli
