#include "spooler/internet_message.h"

#include <fmt/format.h>
#include <gmime/gmime.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <mutex>
#include <optional>

#include "engine/ascii.h"
#include "spooler/gmime_owned.h"
#include "spooler/reply_text.h"

namespace bobbin {
namespace {

// Of a string taken from a header: the properties of a message have room for several.
constexpr std::size_t kHeaderStringBytesMax = 4'096;

std::string_view View(const char* text) { return text == nullptr ? std::string_view() : text; }

std::string HeaderText(const char* text) {
  return PrintableLine(View(text), kHeaderStringBytesMax);
}

// Up to and including the empty line; all of `start` when there is none.
std::string_view HeaderSection(std::string_view start) {
  start = start.substr(0, kHeaderBytesMax);
  std::size_t line = 0;
  while (line < start.size()) {
    const std::size_t end = start.find('\n', line);
    if (end == std::string_view::npos) break;
    const bool empty = end == line || (end == line + 1 && start[line] == '\r');
    line = end + 1;
    if (empty) return start.substr(0, line);
  }
  return start;
}

Owned<GMimeMessage> ParseHeaderSection(std::string_view section) {
  const Owned<GMimeStream> stream(
      g_mime_stream_mem_new_with_buffer(section.data(), section.size()));
  const Owned<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  return Owned<GMimeMessage>(g_mime_parser_construct_message(parser.get(), nullptr));
}

std::string Header(GMimeMessage* message, const char* name) {
  return HeaderText(g_mime_object_get_header(GMIME_OBJECT(message), name));
}

std::int64_t CountFields(GMimeMessage* message, std::string_view name_lower) {
  GMimeHeaderList* list = g_mime_object_get_header_list(GMIME_OBJECT(message));
  std::int64_t count = 0;
  for (int i = 0; i < g_mime_header_list_get_count(list); ++i) {
    GMimeHeader* header = g_mime_header_list_get_header_at(list, i);
    if (LowerCase(View(g_mime_header_get_name(header))) == name_lower) ++count;
  }
  return count;
}

struct Word {
  std::string_view word;
  std::int64_t value;
};

template <std::size_t kCount>
void SetFromWord(const std::string& text, const std::array<Word, kCount>& words, PropertyTag tag,
                 PropertyList& properties) {
  const std::string lower = LowerCase(text);
  for (const Word& word : words) {
    if (lower == word.word) properties.Set(Property::Number(tag, word.value));
  }
}

void ReadUrgency(GMimeMessage* message, PropertyList& properties) {
  // "1 (Highest)" to "5 (Lowest)"; the fields proper are set after it and win.
  const std::string x_priority = Header(message, "X-Priority");
  if (!x_priority.empty() && x_priority[0] >= '1' && x_priority[0] <= '5') {
    const int level = x_priority[0] < '3' ? 1 : x_priority[0] > '3' ? -1 : 0;
    properties.Set(Property::Number(pr::kImportance, level + 1));
    properties.Set(Property::Number(pr::kPriority, level));
  }
  SetFromWord(Header(message, "Importance"),
              std::array<Word, 3>{{{"low", 0}, {"normal", 1}, {"high", 2}}}, pr::kImportance,
              properties);
  SetFromWord(Header(message, "Priority"),
              std::array<Word, 3>{{{"non-urgent", -1}, {"normal", 0}, {"urgent", 1}}},
              pr::kPriority, properties);
  SetFromWord(Header(message, "Sensitivity"),
              std::array<Word, 3>{{{"personal", 1}, {"private", 2}, {"company-confidential", 3}}},
              pr::kSensitivity, properties);
}

std::string MessageClass(GMimeMessage* message) {
  GMimeObject* part = g_mime_message_get_mime_part(message);
  GMimeContentType* type = part == nullptr ? nullptr : g_mime_object_get_content_type(part);
  if (type == nullptr || !g_mime_content_type_is_type(type, "multipart", "report")) {
    return "IPM.Note";
  }
  const char* report_type = g_mime_content_type_get_parameter(type, "report-type");
  return LowerCase(View(report_type)) == "delivery-status" ? "REPORT.IPM.Note.NDR" : "IPM.Note";
}

// Calls `visit(mailbox)` for each mailbox of a list, groups opened. Groups do not nest in
// RFC 5322; what a parser makes of malformed ones is cut off.
template <class Visit>
void ForEachMailbox(InternetAddressList* list, const Visit& visit, int depth = 0) {
  if (list == nullptr || depth > 4) return;
  for (int i = 0; i < internet_address_list_length(list); ++i) {
    InternetAddress* address = internet_address_list_get_address(list, i);
    if (INTERNET_ADDRESS_IS_GROUP(address)) {
      ForEachMailbox(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address)), visit,
                     depth + 1);
    } else if (INTERNET_ADDRESS_IS_MAILBOX(address)) {
      visit(INTERNET_ADDRESS_MAILBOX(address));
    }
  }
}

void ReadAuthor(GMimeMessage* message, PropertyList& properties) {
  bool found = false;
  ForEachMailbox(g_mime_message_get_from(message), [&](InternetAddressMailbox* mailbox) {
    std::string address = HeaderText(internet_address_mailbox_get_addr(mailbox));
    if (found || address.empty()) return;
    found = true;
    std::string name = HeaderText(internet_address_get_name(INTERNET_ADDRESS(mailbox)));
    if (name.empty()) name = address;
    properties.Set(Property::Bytes(pr::kSentRepresentingName, std::move(name)));
    properties.Set(Property::Bytes(pr::kSentRepresentingAddressType, "SMTP"));
    properties.Set(Property::Bytes(pr::kSentRepresentingEmailAddress, std::move(address)));
  });
}

void ReadRecipients(GMimeMessage* message, std::vector<RecipientRow>& rows) {
  struct Field {
    GMimeAddressType field;
    std::int64_t type;
  };
  for (const Field& field :
       {Field{GMIME_ADDRESS_TYPE_TO, kRecipientTo}, Field{GMIME_ADDRESS_TYPE_CC, kRecipientCc},
        Field{GMIME_ADDRESS_TYPE_BCC, kRecipientBcc}}) {
    ForEachMailbox(
        g_mime_message_get_addresses(message, field.field), [&](InternetAddressMailbox* mailbox) {
          const std::string address = HeaderText(internet_address_mailbox_get_addr(mailbox));
          if (address.empty()) return;
          rows.push_back(
              MakeSmtpRecipient(address, field.type,
                                HeaderText(internet_address_get_name(INTERNET_ADDRESS(mailbox)))));
        });
  }
}

}  // namespace

void InitializeInternetMessage() {
  static std::once_flag once;
  std::call_once(once, [] {
    g_mime_init();
    // Raw 8-bit headers: UTF-8 if they are, else the commonest single-byte set.
    const char* charsets[] = {"utf-8", "windows-1252", nullptr};
    g_mime_parser_options_set_fallback_charsets(g_mime_parser_options_get_default(), charsets);
  });
}

std::string MailDate(Time time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000", kDays[utc.tm_wday], utc.tm_mday,
                     kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

HeaderSummary ReadHeaders(std::string_view start) {
  InitializeInternetMessage();
  HeaderSummary summary;
  summary.properties.Set(Property::Bytes(pr::kMessageClass, "IPM.Note"));
  const Owned<GMimeMessage> message = ParseHeaderSection(HeaderSection(start));
  if (message == nullptr) return summary;

  summary.properties.Set(Property::Bytes(pr::kMessageClass, MessageClass(message.get())));
  std::string subject = HeaderText(g_mime_message_get_subject(message.get()));
  if (!subject.empty()) {
    summary.properties.Set(Property::Bytes(pr::kSubject, std::move(subject)));
  }
  std::string message_id = Header(message.get(), "Message-ID");
  summary.has_message_id = !message_id.empty();
  if (summary.has_message_id) {
    summary.properties.Set(Property::Bytes(pr::kInternetMessageId, std::move(message_id)));
  }
  ReadUrgency(message.get(), summary.properties);
  ReadAuthor(message.get(), summary.properties);
  summary.has_date = CountFields(message.get(), "date") > 0;
  summary.has_from = CountFields(message.get(), "from") > 0;
  summary.received_count = static_cast<std::size_t>(CountFields(message.get(), "received"));
  ReadRecipients(message.get(), summary.recipients);
  return summary;
}

}  // namespace bobbin
