#include "spooler/composed_message.h"

#include <gmime/gmime.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/attachment.h"
#include "spooler/gmime_owned.h"
#include "spooler/internet_message.h"
#include "spooler/message_bodies.h"
#include "spooler/reply_text.h"
#include "spooler/stream_text.h"
#include "spooler/transmitted_content.h"

namespace bobbin {
namespace {

constexpr std::int64_t kRecipientTypeMask = 0xF;  // Beside flags as MAPI_SUBMITTED.
constexpr std::int64_t kImportanceNormal = 1;

std::string Line(std::string_view text) { return PrintableLine(text, text.size()); }

bool IsSmtp(std::string_view type) {
  return type.size() == 4 && g_ascii_strncasecmp(type.data(), "SMTP", 4) == 0;
}

struct AddressTags {
  PropertyTag name, type, address, smtp;
};
constexpr AddressTags kAuthor{pr::kSentRepresentingName, pr::kSentRepresentingAddressType,
                              pr::kSentRepresentingEmailAddress, pr::kSentRepresentingSmtpAddress};
constexpr AddressTags kSender{pr::kSenderName, pr::kSenderAddressType, pr::kSenderEmailAddress,
                              pr::kSenderSmtpAddress};
constexpr AddressTags kRecipient{pr::kDisplayName, pr::kAddressType, pr::kEmailAddress,
                                 pr::kSmtpAddress};

std::optional<std::string> SmtpAddress(const PropertyList& properties, const AddressTags& tags) {
  const Property* address = properties.Find(tags.address);
  if (address != nullptr && IsSmtp(properties.BytesOr(tags.type, "SMTP"))) return address->bytes;
  const Property* smtp = properties.Find(tags.smtp);
  return smtp == nullptr ? std::nullopt : std::optional(smtp->bytes);
}

void AddMailbox(GMimeMessage* message, GMimeAddressType field, std::string_view name,
                const std::string& address) {
  // A name that only repeats the address says nothing.
  const std::string display = name == address ? std::string() : Line(name);
  g_mime_message_add_mailbox(message, field, display.empty() ? nullptr : display.c_str(),
                             address.c_str());
}

void AddAuthor(GMimeMessage* message, const PropertyList& properties,
               std::string_view default_author) {
  const std::string author = SmtpAddress(properties, kAuthor).value_or("");
  const std::string sender = SmtpAddress(properties, kSender).value_or("");
  const std::string_view sender_name = properties.BytesOr(kSender.name, {});
  if (!author.empty()) {
    AddMailbox(message, GMIME_ADDRESS_TYPE_FROM, properties.BytesOr(kAuthor.name, {}), author);
    if (!sender.empty() && sender != author) {
      AddMailbox(message, GMIME_ADDRESS_TYPE_SENDER, sender_name, sender);
    }
  } else if (!sender.empty()) {
    AddMailbox(message, GMIME_ADDRESS_TYPE_FROM, sender_name, sender);
  } else if (!default_author.empty()) {
    AddMailbox(message, GMIME_ADDRESS_TYPE_FROM, properties.BytesOr(kAuthor.name, sender_name),
               std::string(default_author));
  }
}

void AddRecipients(GMimeMessage* message, const RecipientTable& recipients) {
  bool shown = false;
  for (const RecipientRow& row : recipients) {
    const std::int64_t type = row.Type() & kRecipientTypeMask;
    if (type != kRecipientTo && type != kRecipientCc) continue;
    const auto field = type == kRecipientTo ? GMIME_ADDRESS_TYPE_TO : GMIME_ADDRESS_TYPE_CC;
    const std::string address = SmtpAddress(row.properties, kRecipient).value_or("");
    const std::string name = Line(row.DisplayName());
    if (!address.empty()) {
      AddMailbox(message, field, row.DisplayName(), address);
    } else if (!name.empty()) {
      const Owned<InternetAddress> group(internet_address_group_new(name.c_str()));
      internet_address_list_add(g_mime_message_get_addresses(message, field), group.get());
    }
    shown = shown || !address.empty() || !name.empty();
  }
  if (!shown) {
    g_mime_object_set_header(GMIME_OBJECT(message), "To", "undisclosed-recipients:;", nullptr);
  }
}

void AddTextHeader(GMimeMessage* message, const char* name, std::string_view text) {
  if (text.empty()) return;
  g_mime_object_set_header(GMIME_OBJECT(message), name, Line(text).c_str(), nullptr);
}

void AddHeaders(GMimeMessage* message, const PropertyList& properties, const std::string& subject) {
  if (!subject.empty()) g_mime_message_set_subject(message, Line(subject).c_str(), "utf-8");
  std::string id(properties.BytesOr(pr::kInternetMessageId, {}));
  if (id.size() > 2 && id.front() == '<' && id.back() == '>') id = id.substr(1, id.size() - 2);
  if (!id.empty()) g_mime_message_set_message_id(message, Line(id).c_str());
  if (const Property* time = properties.Find(pr::kClientSubmitTime)) {
    AddTextHeader(message, "Date", MailDate(FromFileTime(time->number)));
  }
  AddTextHeader(message, "In-Reply-To", properties.BytesOr(pr::kInReplyToId, {}));
  AddTextHeader(message, "References", properties.BytesOr(pr::kInternetReferences, {}));
  const std::int64_t importance = properties.NumberOr(pr::kImportance, kImportanceNormal);
  if (importance != kImportanceNormal) {
    AddTextHeader(message, "Importance", importance < kImportanceNormal ? "low" : "high");
  }
}

// CRLF, CR and LF all end a line of text.
std::string WithLineFeeds(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out.push_back(text[i] == '\r' ? '\n' : text[i]);
  }
  return out;
}

void SetBytes(GMimePart* part, std::string_view bytes) {
  const Owned<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size()));
  const Owned<GMimeDataWrapper> content(
      g_mime_data_wrapper_new_with_stream(stream.get(), GMIME_CONTENT_ENCODING_DEFAULT));
  g_mime_part_set_content(part, content.get());
}

Owned<GMimeObject> TextPart(const char* subtype, std::string_view text,
                            const std::string& charset) {
  GMimePart* part = g_mime_part_new_with_type("text", subtype);
  g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "charset", charset.c_str());
  SetBytes(part, WithLineFeeds(text));
  g_mime_object_encode(GMIME_OBJECT(part), GMIME_ENCODING_CONSTRAINT_7BIT);
  if (g_mime_part_get_content_encoding(part) == GMIME_CONTENT_ENCODING_BASE64) {
    g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);  // It is text.
  }
  return Owned<GMimeObject>(GMIME_OBJECT(part));
}

// "image/png" in its two halves; application/octet-stream for what is no type of a single part.
std::pair<std::string, std::string> MimeType(std::string_view tag) {
  const auto is_token = [](char c) {
    return g_ascii_isalnum(c) != 0 || std::string_view("!#$&-^_.+").find(c) != std::string::npos;
  };
  const std::size_t slash = tag.find('/');
  if (slash != std::string_view::npos && slash > 0 && slash + 1 < tag.size()) {
    std::string type(tag.substr(0, slash));
    std::string subtype(tag.substr(slash + 1));
    std::transform(type.begin(), type.end(), type.begin(), g_ascii_tolower);
    const bool tokens = std::all_of(type.begin(), type.end(), is_token) &&
                        std::all_of(subtype.begin(), subtype.end(), is_token);
    if (tokens && type != "multipart" && type != "message") return {type, subtype};
  }
  return {"application", "octet-stream"};
}

Owned<GMimeObject> BinaryPart(std::string_view mime_tag, std::string_view bytes,
                              const std::string& file_name) {
  const auto [type, subtype] = MimeType(mime_tag);
  GMimePart* part = g_mime_part_new_with_type(type.c_str(), subtype.c_str());
  SetBytes(part, bytes);
  g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
  g_mime_object_set_disposition(GMIME_OBJECT(part), GMIME_DISPOSITION_ATTACHMENT);
  if (!file_name.empty()) g_mime_part_set_filename(part, file_name.c_str());
  return Owned<GMimeObject>(GMIME_OBJECT(part));
}

Owned<GMimeObject> NewMultipart(const char* subtype, const std::string& boundary,
                                const std::vector<Owned<GMimeObject>>& parts) {
  GMimeMultipart* multipart = g_mime_multipart_new_with_subtype(subtype);
  g_mime_multipart_set_boundary(multipart, boundary.c_str());
  for (const Owned<GMimeObject>& part : parts) g_mime_multipart_add(multipart, part.get());
  return Owned<GMimeObject>(GMIME_OBJECT(multipart));
}

// Builds the MIME tree; counts what it reads.
//
// Every rendering of a message is the same, byte for byte: it may have been signed, and systems may
// know a message they have by what it looks like. Boundaries are therefore drawn from its search
// key, which is random.
class Composer {
 public:
  explicit Composer(std::string_view search_key) : boundary_("=_" + ToHex(search_key)) {}

  Result<Owned<GMimeMessage>> Compose(const Message& message, const PropertyList& properties,
                                      const RecipientTable& recipients,
                                      std::string_view default_author) {
    Owned<GMimeMessage> out(g_mime_message_new(TRUE));
    ASSIGN_OR_RETURN(const std::optional<std::string> subject, ReadWhole(message, pr::kSubject));
    AddAuthor(out.get(), properties, default_author);
    AddHeaders(out.get(), properties, subject.value_or(""));
    AddRecipients(out.get(), recipients);

    ASSIGN_OR_RETURN(const MessageBodies bodies, ReadBodies(message));
    RETURN_IF_ERROR(Count(bodies.plain.value_or("").size() + bodies.html.value_or("").size()));
    std::vector<Owned<GMimeObject>> related;
    std::vector<Owned<GMimeObject>> mixed(1);  // The first becomes the text.
    RETURN_IF_ERROR(AddAttachments(message, bodies, related, mixed));
    mixed[0] = Text(bodies, std::move(related));
    if (bodies.rtf) mixed.push_back(BinaryPart("application/rtf", *bodies.rtf, "body.rtf"));
    const Owned<GMimeObject> whole =
        mixed.size() == 1 ? std::move(mixed[0]) : Multipart("mixed", mixed);
    g_mime_message_set_mime_part(out.get(), whole.get());
    return out;
  }

 private:
  Owned<GMimeObject> Multipart(const char* subtype, const std::vector<Owned<GMimeObject>>& parts) {
    return NewMultipart(subtype, boundary_ + "_" + std::to_string(multiparts_++), parts);
  }

  Result<void> Count(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ <= kContentBytesMax) return {};
    return Fail(ErrorCode::kTooBig, "the message has more than 150 MiB in its parts");
  }

  Owned<GMimeObject> Text(const MessageBodies& bodies, std::vector<Owned<GMimeObject>> related) {
    if (!bodies.html) return TextPart("plain", bodies.plain.value_or(""), "utf-8");
    Owned<GMimeObject> html = TextPart("html", *bodies.html, bodies.html_charset);
    if (!related.empty()) {
      related.insert(related.begin(), std::move(html));
      html = Multipart("related", related);
    }
    if (!bodies.plain) return html;
    std::vector<Owned<GMimeObject>> both;
    both.push_back(TextPart("plain", *bodies.plain, "utf-8"));
    both.push_back(std::move(html));
    return Multipart("alternative", both);
  }

  Result<void> AddAttachments(const Message& message, const MessageBodies& bodies,
                              std::vector<Owned<GMimeObject>>& related,
                              std::vector<Owned<GMimeObject>>& mixed) {
    ASSIGN_OR_RETURN(const std::vector<PropertyList> table, message.GetAttachmentTable());
    for (const PropertyList& row : table) {
      const auto number = static_cast<std::uint32_t>(row.NumberOr(pr::kAttachNumber, 0));
      ASSIGN_OR_RETURN(const Attachment attachment, message.OpenAttachment(number));
      ASSIGN_OR_RETURN(Owned<GMimeObject> part, Part(attachment, row));
      if (part == nullptr) continue;
      std::string id = Line(row.BytesOr(pr::kAttachContentId, {}));
      if (id.size() > 2 && id.front() == '<' && id.back() == '>') id = id.substr(1, id.size() - 2);
      if (!id.empty()) g_mime_object_set_content_id(part.get(), id.c_str());
      const bool is_shown =
          !id.empty() && bodies.html && bodies.html->find("cid:" + id) != std::string::npos;
      if (is_shown) g_mime_object_set_disposition(part.get(), GMIME_DISPOSITION_INLINE);
      (is_shown ? related : mixed).push_back(std::move(part));
    }
    return {};
  }

  // Null when there is nothing that mail could carry.
  Result<Owned<GMimeObject>> Part(const Attachment& attachment, const PropertyList& row) {
    Result<Message> embedded = attachment.OpenEmbeddedMessage();
    if (embedded) {
      ASSIGN_OR_RETURN(const RecipientTable recipients, embedded->GetRecipientTable());
      ASSIGN_OR_RETURN(const PropertyList properties, embedded->GetProps());
      ASSIGN_OR_RETURN(const Owned<GMimeMessage> inner,
                       Compose(*embedded, properties, recipients, {}));
      Owned<GMimeObject> part(
          GMIME_OBJECT(g_mime_message_part_new_with_message("rfc822", inner.get())));
      g_mime_object_set_disposition(part.get(), GMIME_DISPOSITION_ATTACHMENT);
      return part;
    }
    if (embedded.error().code != ErrorCode::kNotFound) {
      return tl::unexpected<Error>(std::move(embedded).error());
    }
    ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                     ReadWhole(attachment, pr::kAttachDataBinary));
    if (!bytes) return Owned<GMimeObject>();
    RETURN_IF_ERROR(Count(bytes->size()));
    std::string_view name = row.BytesOr(pr::kAttachLongFilename, {});
    if (name.empty()) name = row.BytesOr(pr::kAttachFilename, {});
    if (name.empty()) name = row.BytesOr(pr::kDisplayName, {});
    return BinaryPart(row.BytesOr(pr::kAttachMimeTag, {}), *bytes, Line(name));
  }

  const std::string boundary_;
  int multiparts_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Result<std::string> RenderInternetMessage(const Message& message, const PropertyList& properties,
                                          const RecipientTable& recipients,
                                          std::string_view default_author) {
  InitializeInternetMessage();
  ASSIGN_OR_RETURN(const Owned<GMimeMessage> composed,
                   Composer(properties.BytesOr(pr::kSearchKey, {}))
                       .Compose(message, properties, recipients, default_author));
  const OwnedText text(g_mime_object_to_string(GMIME_OBJECT(composed.get()), nullptr));
  std::string rendered;
  TransmissionFilter filter;  // For the line ends.
  filter.Filter(text.get(), rendered);
  filter.Finish(rendered);
  return rendered;
}

std::optional<std::string> SmtpSender(const PropertyList& properties) {
  return SmtpAddress(properties, kSender);
}

}  // namespace bobbin
