#include "spooler/preprocessors/footer.h"

#include <gmime/gmime.h>

#include <vector>

#include "engine/ascii.h"
#include "engine/check.h"
#include "spooler/gmime_owned.h"
#include "spooler/internet_message.h"

namespace bobbin {
namespace {

std::string WithCrlf(std::string_view text) {
  std::string lines;
  for (const char c : text) {
    if (c == '\r') continue;
    lines += c == '\n' ? "\r\n" : std::string(1, c);
  }
  if (!lines.empty() && lines.back() != '\n') lines += "\r\n";
  return lines;
}

// Whether plain text can simply be put behind the content that starts with `start`.
bool CanCarry(std::string_view start, bool is_ascii) {
  InitializeInternetMessage();
  const Owned<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(start.data(), start.size()));
  const Owned<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  const Owned<GMimeMessage> message(g_mime_parser_construct_message(parser.get(), nullptr));
  if (message == nullptr) return false;
  GMimeObject* body = g_mime_message_get_mime_part(message.get());
  if (body == nullptr || !GMIME_IS_PART(body)) return false;
  GMimeContentType* type = g_mime_object_get_content_type(body);
  if (!g_mime_content_type_is_type(type, "text", "plain")) return false;
  switch (g_mime_part_get_content_encoding(GMIME_PART(body))) {
    case GMIME_CONTENT_ENCODING_DEFAULT:
    case GMIME_CONTENT_ENCODING_7BIT:
      return is_ascii;
    case GMIME_CONTENT_ENCODING_8BIT: {
      const char* charset = g_mime_content_type_get_parameter(type, "charset");
      return is_ascii || (charset != nullptr && g_ascii_strcasecmp(charset, "utf-8") == 0);
    }
    default:
      return false;
  }
}

class Footer final : public Preprocessor {
 public:
  explicit Footer(const std::string& text) : text_(WithCrlf(text)), is_ascii_(IsAscii(text_)) {}

  std::string_view Name() const override { return "footer"; }

  Result<void> PreprocessMessage(Message& message, PreprocessContext& /*context*/) override {
    Result<MessageBodyReader> original = message.OpenContent();
    if (original) {
      ASSIGN_OR_RETURN(const std::string_view start, original->Next());
      if (!CanCarry(start, is_ascii_)) return {};
      return Set(message, Property::Bytes(pr::kAddedFooter, text_));
    }
    if (original.error().code != ErrorCode::kNotFound) {
      return tl::unexpected<Error>(std::move(original).error());
    }
    const Result<Property> body = message.GetProp(pr::kBody);
    if (!body) return {};  // None, or one too long to be a property: it goes without.
    return Set(message, Property::Bytes(pr::kBody, body->bytes + "\r\n" + text_));
  }

  Result<void> RemovePreprocessInfo(Message& message) override {
    const std::vector<PropertyTag> added{pr::kAddedFooter};
    ASSIGN_OR_RETURN(const auto problems, message.DeleteProps(added));
    static_cast<void>(problems);
    const Result<Property> body = message.GetProp(pr::kBody);
    const std::string end = "\r\n" + text_;
    if (!body || !body->bytes.ends_with(end)) return {};
    return Set(message,
               Property::Bytes(pr::kBody, body->bytes.substr(0, body->bytes.size() - end.size())));
  }

 private:
  static Result<void> Set(Message& message, Property property) {
    const std::vector<Property> one{std::move(property)};
    ASSIGN_OR_RETURN(const auto problems, message.SetProps(one));
    if (problems.empty()) return {};
    return Fail(problems.front().code, "the footer could not be set");
  }

  const std::string text_;
  const bool is_ascii_;
};

}  // namespace

std::unique_ptr<Preprocessor> NewFooterPreprocessor(const std::string& text) {
  return std::make_unique<Footer>(text);
}

}  // namespace bobbin
