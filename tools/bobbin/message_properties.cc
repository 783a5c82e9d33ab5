#include "tools/bobbin/message_properties.h"

#include <fmt/core.h>

#include <chrono>
#include <optional>

#include "engine/attachment.h"
#include "engine/named_property.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/property_names.h"

namespace bobbin::cli {
namespace {

struct Shown {
  PropertyTag tag;
  std::optional<std::uint64_t> bytes;  // Of what has a length.
  std::optional<Property> value;       // Absent: too long to be printed.
};

// RFC 3339 in UTC with all that PT_SYSTIME has, also for years that Time cannot hold.
std::string FileTimeText(std::int64_t ticks) {
  using std::chrono::floor;
  constexpr std::int64_t kPerSecond = 10'000'000;
  constexpr std::chrono::sys_days kEpoch = std::chrono::year(1601) / 1 / 1;
  if (ticks < 0) return std::to_string(ticks);
  const auto time = std::chrono::sys_seconds(kEpoch) + std::chrono::seconds(ticks / kPerSecond);
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     ticks % kPerSecond);
}

Json SingleJson(const Property& property) {
  switch (property.tag.Type()) {
    case PropertyType::kBoolean:
      return property.number != 0;
    case PropertyType::kFloat:
    case PropertyType::kDouble:
    case PropertyType::kApplicationTime:
      return property.Real();
    case PropertyType::kSystemTime:
      return FileTimeText(property.number);
    case PropertyType::kString8:
    case PropertyType::kUnicode:
      return property.bytes;
    case PropertyType::kClassId:
      if (const Result<ClassId> id = ClassId::FromBytes(property.bytes)) return id->ToText();
      return ToHex(property.bytes);
    case PropertyType::kBinary:
      return ToHex(property.bytes);
    default:
      return property.number;
  }
}

Result<Json> ValueJson(const Property& property) {
  if (!property.tag.IsMultiValue()) return SingleJson(property);
  ASSIGN_OR_RETURN(const std::vector<Property> values, property.Values());
  Json array = Json::array();
  for (const Property& value : values) array.push_back(SingleJson(value));
  return array;
}

Shown ShownValue(const Property& property, std::size_t bytes_max) {
  Shown shown{property.tag, std::nullopt, property};
  if (ShapeOf(property.tag.SingleType()) == ValueShape::kBytes || property.tag.IsMultiValue()) {
    shown.bytes = property.bytes.size();
    if (*shown.bytes > bytes_max) shown.value.reset();
  }
  return shown;
}

Result<Shown> ShownStream(PropertyTag tag, MessageBodyReader reader, std::size_t bytes_max) {
  Shown shown{tag, reader.Bytes(), std::nullopt};
  if (reader.Bytes() > bytes_max) return shown;
  shown.value = Property::Bytes(tag, {});
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, reader.Next());
    if (piece.empty()) return shown;
    shown.value->bytes += piece;
  }
}

class Printer {
 public:
  Printer(const Database& database, Output& output, std::size_t bytes_max)
      : database_(database),
        output_(output),
        bytes_max_(bytes_max),
        table_(output, {{"PATH"}, {"TAG"}, {"NAME", false, 48}, {"TYPE"}, {"VALUE"}}) {}

  Result<void> PrintMessage(const std::string& path, const Message& message) {
    ASSIGN_OR_RETURN(std::vector<Shown> shown, ReadObject(message));
    Result<MessageBodyReader> original = message.OpenContent();
    if (original) {
      ASSIGN_OR_RETURN(Shown content,
                       ShownStream(pr::kInternetContent, *std::move(original), bytes_max_));
      shown.push_back(std::move(content));
    } else if (original.error().code != ErrorCode::kNotFound) {
      return tl::unexpected<Error>(std::move(original).error());
    }
    RETURN_IF_ERROR(Print(path, shown));
    const std::string prefix = path == kTopPath ? std::string() : path + "/";
    RETURN_IF_ERROR(PrintRecipients(prefix, message));
    return PrintAttachments(prefix, message);
  }

  void Flush() { table_.Flush(); }

  static constexpr const char* kTopPath = "message";

 private:
  Result<void> PrintRecipients(const std::string& prefix, const Message& message) {
    ASSIGN_OR_RETURN(const RecipientTable rows, message.GetRecipientTable());
    for (const RecipientRow& row : rows) {
      PropertyList list = row.properties;
      list.Set(Property::Number(pr::kRowId, row.id.value));
      list.Set(Property::Number(pr::kResponsibility, row.delivery.responsibility ? 1 : 0));
      std::vector<Shown> shown;
      for (const Property& property : list) shown.push_back(ShownValue(property, bytes_max_));
      RETURN_IF_ERROR(Print(fmt::format("{}recipient/{}", prefix, row.id.value), shown));
    }
    return {};
  }

  Result<void> PrintAttachments(const std::string& prefix, const Message& message) {
    ASSIGN_OR_RETURN(const std::vector<PropertyList> attachments, message.GetAttachmentTable());
    for (const PropertyList& list : attachments) {
      const auto number = static_cast<std::uint32_t>(list.NumberOr(pr::kAttachNumber, 0));
      const std::string path = fmt::format("{}attachment/{}", prefix, number);
      ASSIGN_OR_RETURN(const Attachment attachment, message.OpenAttachment(number));
      ASSIGN_OR_RETURN(const std::vector<Shown> shown, ReadObject(attachment));
      RETURN_IF_ERROR(Print(path, shown));
      Result<Message> embedded = attachment.OpenEmbeddedMessage();
      if (embedded) {
        RETURN_IF_ERROR(PrintMessage(path + "/message", *embedded));
      } else if (embedded.error().code != ErrorCode::kNotFound) {
        return tl::unexpected<Error>(std::move(embedded).error());
      }
    }
    return {};
  }

  template <class Object>
  Result<std::vector<Shown>> ReadObject(const Object& object) const {
    ASSIGN_OR_RETURN(const std::vector<PropertyTag> tags, object.GetPropList());
    ASSIGN_OR_RETURN(const PropertyList list, object.GetProps());
    std::vector<Shown> all;
    for (const PropertyTag tag : tags) {
      if (const Property* property = list.Find(tag)) {
        all.push_back(ShownValue(*property, bytes_max_));
        continue;
      }
      ASSIGN_OR_RETURN(MessageBodyReader reader, object.OpenStream(tag));
      ASSIGN_OR_RETURN(Shown shown, ShownStream(tag, std::move(reader), bytes_max_));
      all.push_back(std::move(shown));
    }
    return all;
  }

  static std::string NameText(PropertyTag tag, const std::optional<PropertyName>& name) {
    if (!tag.IsNamed()) return std::string(KnownNameOf(tag));
    if (!name) return {};
    const auto* number = std::get_if<std::uint32_t>(&name->name);
    return fmt::format(
        "{}/{}", name->set.ToText(),
        number != nullptr ? fmt::format("0x{:04X}", *number) : std::get<std::string>(name->name));
  }

  Result<void> Print(const std::string& path, const std::vector<Shown>& all) {
    std::vector<PropertyTag> tags;
    tags.reserve(all.size());
    for (const Shown& shown : all) tags.push_back(shown.tag);
    ASSIGN_OR_RETURN(const auto names, GetNamesFromIds(database_, tags));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Shown& shown = all[i];
      Json value;
      if (shown.value) {
        ASSIGN_OR_RETURN(value, ValueJson(*shown.value));
      }
      const std::string name = NameText(shown.tag, names[i]);
      const std::string tag = fmt::format("0x{:08X}", shown.tag.value);
      if (output_.Format() == OutputFormat::kJson) {
        output_.PrintJson({{"path", path},
                           {"tag", tag},
                           {"name", name.empty() ? Json() : Json(name)},
                           {"type", TypeName(shown.tag)},
                           {"bytes", shown.bytes ? Json(*shown.bytes) : Json()},
                           {"value", std::move(value)}});
      } else {
        const std::string text = !shown.value        ? FormatBytes(shown.bytes.value_or(0))
                                 : value.is_string() ? value.get<std::string>()
                                                     : value.dump();
        table_.AddRow({{path}, {tag}, {name}, {TypeName(shown.tag)}, {text}});
      }
    }
    return {};
  }

  const Database& database_;
  Output& output_;
  std::size_t bytes_max_;
  Table table_;
};

}  // namespace

ExitCode RunMessageProperties(const CommandLine& line, const std::string& queue_id,
                              std::size_t value_bytes_max) {
  const std::string what = "show the properties of " + queue_id;
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const MessageId id, what, ParseMessageId(queue_id));
  ASSIGN_OR_COMPLAIN(const Message message, what, database.OpenMessageForOperator(id));
  Output output(line.Format());
  Printer printer(database, output, value_bytes_max);
  COMPLAIN_IF_ERROR(what, printer.PrintMessage(Printer::kTopPath, message));
  printer.Flush();
  return output.Finish();
}

}  // namespace bobbin::cli
