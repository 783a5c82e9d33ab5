#include "tools/bobbin/msg_import.h"

#include <algorithm>
#include <utility>

#include "engine/attachment.h"

namespace bobbin::cli {
namespace {

// Left free for what the store adds to a record itself.
constexpr std::size_t kSetBytesMax = Message::kPropertyBytesMax - (std::size_t{8} << 10);

class Import {
 public:
  Import(const Database& database, MessageStore& store, MsgFile& file)
      : database_(database), store_(store), names_(file.names) {}

  Result<void> Fill(Message& message, MsgMessage& from) {
    RETURN_IF_ERROR(SetAll(message, from.properties));
    RecipientTable rows;
    for (MsgProperties& properties : from.recipients) {
      ASSIGN_OR_RETURN(RecipientRow row, MakeRow(properties));
      rows.push_back(std::move(row));
    }
    RETURN_IF_ERROR(message.ModifyRecipients(kModifyRecipientsReplace, std::move(rows)));
    for (MsgAttachment& part : from.attachments) {
      ASSIGN_OR_RETURN(Attachment attachment, message.CreateAttachment());
      RETURN_IF_ERROR(SetAll(attachment, part.properties));
      if (part.embedded != nullptr) {
        ASSIGN_OR_RETURN(Message embedded, attachment.CreateEmbeddedMessage());
        RETURN_IF_ERROR(Fill(embedded, *part.embedded));
        RETURN_IF_ERROR(embedded.SaveChanges());
      }
      RETURN_IF_ERROR(attachment.SaveChanges());
    }
    return {};
  }

 private:
  static PropertyName ImportedName(PropertyTag tag) {
    return {kImportedPropertySet, std::uint32_t{tag.Id()}};
  }

  // What a property with an identifier from 0x8000 on is called here.
  PropertyName NameOf(PropertyTag tag) const {
    const auto at = names_.find(tag.Id());
    if (at == names_.end() || at->second.set == kMapiPropertySet) return ImportedName(tag);
    const auto* text = std::get_if<std::string>(&at->second.name);
    const bool usable =
        text == nullptr || (!text->empty() && text->size() <= kPropertyNameBytesMax);
    return usable ? at->second : ImportedName(tag);
  }

  Result<PropertyTag> TagOf(const PropertyName& name, PropertyTag tag) const {
    ASSIGN_OR_RETURN(const std::vector<PropertyTag> tags,
                     GetIdsFromNames(database_, {&name, 1}, kMapiCreate));
    return tags[0].WithType(tag.Type());
  }

  // Draws the identifiers of all names at once: one transaction for a message, not one for each.
  Result<void> ResolveNames(MsgProperties& properties) const {
    std::vector<MsgProperty*> named;
    std::vector<PropertyName> names;
    for (MsgProperty& property : properties) {
      if (!property.value.tag.IsNamed()) continue;
      named.push_back(&property);
      names.push_back(NameOf(property.value.tag));
    }
    ASSIGN_OR_RETURN(const std::vector<PropertyTag> tags,
                     GetIdsFromNames(database_, names, kMapiCreate));
    for (std::size_t i = 0; i < named.size(); ++i) {
      Property& value = named[i]->value;
      value.tag = tags[i].WithType(value.tag.Type());
    }
    return {};
  }

  template <class Object>
  Result<void> SetAll(Object& object, MsgProperties& properties) {
    RETURN_IF_ERROR(ResolveNames(properties));
    std::vector<Property> short_ones;
    std::size_t bytes = 0;
    for (MsgProperty& property : properties) {
      Property& value = property.value;
      const std::size_t taken = PropertyList{value}.ByteCount();
      if (property.stream == nullptr && bytes + taken <= kSetBytesMax) {
        bytes += taken;
        short_ones.push_back(std::move(value));
        continue;
      }
      ASSIGN_OR_RETURN(MessageBody content, Content(property));
      RETURN_IF_ERROR(SetLong(object, value.tag, std::move(content)));
    }
    if (short_ones.empty()) return {};
    ASSIGN_OR_RETURN(const std::vector<PropertyProblem> problems, object.SetProps(short_ones));
    return SetRefused(object, short_ones, problems);
  }

  template <class Object>
  Result<void> SetRefused(Object& object, const std::vector<Property>& all,
                          const std::vector<PropertyProblem>& problems) {
    std::vector<Property> renamed;
    for (const PropertyProblem& problem : problems) {
      const auto at = std::find_if(all.begin(), all.end(),
                                   [&](const Property& p) { return p.tag == problem.tag; });
      Property property = *at;
      ASSIGN_OR_RETURN(property.tag, TagOf(ImportedName(at->tag), at->tag));
      renamed.push_back(std::move(property));
    }
    if (renamed.empty()) return {};
    ASSIGN_OR_RETURN(const std::vector<PropertyProblem> refused, object.SetProps(renamed));
    if (refused.empty()) return {};
    return Fail(refused[0].code, "a property cannot be stored");
  }

  template <class Object>
  Result<void> SetLong(Object& object, PropertyTag tag, MessageBody content) {
    // PR_INTERNET_CONTENT is what Bobbin sends unchanged: no file may put something there.
    if (tag.Id() != pr::kInternetContent.Id()) {
      Result<void> set = object.SetStream(tag, content);
      if (set || set.error().code != ErrorCode::kComputed) return set;
    }
    ASSIGN_OR_RETURN(const PropertyTag renamed, TagOf(ImportedName(tag), tag));
    return object.SetStream(renamed, std::move(content));
  }

  Result<MessageBody> Content(MsgProperty& property) {
    MessageBodyWriter writer = store_.NewContent();
    if (property.stream == nullptr) RETURN_IF_ERROR(writer.Append(property.value.bytes));
    while (property.stream != nullptr) {
      ASSIGN_OR_RETURN(const std::string_view piece, property.stream->Next());
      if (piece.empty()) break;
      RETURN_IF_ERROR(writer.Append(piece));
    }
    return writer.Finish();
  }

  // Recipients have no streams: their values are short, or the file is not what it says.
  Result<RecipientRow> MakeRow(MsgProperties& properties) {
    RETURN_IF_ERROR(ResolveNames(properties));
    RecipientRow row;
    for (MsgProperty& property : properties) {
      Property& value = property.value;
      while (property.stream != nullptr) {
        ASSIGN_OR_RETURN(const std::string_view piece, property.stream->Next());
        if (piece.empty()) break;
        value.bytes.append(piece);
        if (value.bytes.size() > Message::kPropertyBytesMax) return TooLongRecipient();
      }
      const bool computed =
          value.tag.Id() == pr::kRowId.Id() || value.tag.Id() == pr::kResponsibility.Id();
      if (computed) {
        ASSIGN_OR_RETURN(value.tag, TagOf(ImportedName(value.tag), value.tag));
      }
      row.properties.Set(std::move(value));
    }
    if (row.properties.ByteCount() > Message::kPropertyBytesMax) return TooLongRecipient();
    if (row.properties.Find(pr::kRecipientType) == nullptr) {
      row.properties.Set(Property::Number(pr::kRecipientType, kRecipientTo));
    }
    return row;
  }

  static tl::unexpected<Error> TooLongRecipient() {
    return Fail(ErrorCode::kTooBig, "the properties of a recipient take more than 48 KiB");
  }

  const Database& database_;
  MessageStore& store_;
  const std::map<std::uint16_t, PropertyName>& names_;
};

}  // namespace

Result<EntryId> ImportMsg(const Database& database, MessageStore& store, FolderId folder,
                          MsgFile& file) {
  ASSIGN_OR_RETURN(Message message, store.CreateMessage(folder));
  RETURN_IF_ERROR(Import(database, store, file).Fill(message, file.message));
  ASSIGN_OR_RETURN(const EntryId id, message.Id());
  RETURN_IF_ERROR(message.SaveChanges());
  return id;
}

}  // namespace bobbin::cli
