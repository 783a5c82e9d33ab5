#include "tools/bobbind/smtp_command.h"

#include <algorithm>
#include <charconv>

#include "engine/ascii.h"

namespace bobbin::daemon {
namespace {

struct VerbName {
  std::string_view name;
  SmtpVerb verb;
};
constexpr VerbName kVerbs[] = {
    {"EHLO", SmtpVerb::kEhlo},           {"HELO", SmtpVerb::kHelo},
    {"MAIL", SmtpVerb::kMail},           {"RCPT", SmtpVerb::kRcpt},
    {"DATA", SmtpVerb::kData},           {"RSET", SmtpVerb::kRset},
    {"NOOP", SmtpVerb::kNoop},           {"VRFY", SmtpVerb::kVrfy},
    {"HELP", SmtpVerb::kHelp},           {"QUIT", SmtpVerb::kQuit},
    {"XCLIENT", SmtpVerb::kXclient},     {"XFORWARD", SmtpVerb::kXforward},
    {"EXPN", SmtpVerb::kNotImplemented}, {"STARTTLS", SmtpVerb::kNotImplemented},
    {"AUTH", SmtpVerb::kNotImplemented}, {"BDAT", SmtpVerb::kNotImplemented},
    {"ETRN", SmtpVerb::kNotImplemented}, {"TURN", SmtpVerb::kNotImplemented},
    {"LHLO", SmtpVerb::kNotImplemented}, {"GET", SmtpVerb::kHttp},
    {"POST", SmtpVerb::kHttp},           {"PUT", SmtpVerb::kHttp},
    {"HEAD", SmtpVerb::kHttp},           {"OPTIONS", SmtpVerb::kHttp},
    {"CONNECT", SmtpVerb::kHttp},        {"DELETE", SmtpVerb::kHttp},
};

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view TakeWord(std::string_view& text) {
  text = Trim(text);
  const auto end = std::find_if(text.begin(), text.end(), IsBlank);
  const std::string_view word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(word.size());
  return word;
}

// Takes "FROM:" or "TO:", in any case, blanks before the colon allowed.
bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (UpperCase(text.substr(0, prefix.size())) != prefix) return false;
  std::string_view rest = Trim(text.substr(prefix.size()));
  if (rest.empty() || rest.front() != ':') return false;
  text = rest.substr(1);
  return true;
}

struct Parameter {
  std::string keyword;  // Upper case.
  std::string_view value;
  bool has_value = false;
};

Parameter TakeParameter(std::string_view& text) {
  const std::string_view word = TakeWord(text);
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return {UpperCase(word), {}, false};
  return {UpperCase(word.substr(0, equals)), word.substr(equals + 1), true};
}

Parsed<void> ApplyMailParameter(const Parameter& parameter, MailArguments& arguments) {
  const std::string_view value = parameter.value;
  if (parameter.keyword == "SIZE") {
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, arguments.declared_bytes);
    if (error != std::errc() || stop != end || value.empty() || value.size() > 20) {
      return Refuse(501, "5.5.4", "SIZE takes a number of bytes: SIZE=12345");
    }
    return {};
  }
  if (parameter.keyword == "BODY") {
    const std::string body = UpperCase(value);
    if (body != "7BIT" && body != "8BITMIME") {
      return Refuse(501, "5.5.4", "BODY takes 7BIT or 8BITMIME");
    }
    arguments.eight_bit = body == "8BITMIME";
    return {};
  }
  if (parameter.keyword == "SMTPUTF8") {
    if (parameter.has_value) return Refuse(501, "5.5.4", "SMTPUTF8 takes no value");
    arguments.utf8 = true;
    return {};
  }
  if (parameter.keyword == "RET") {
    arguments.notification.content = ParseReturnContent(value);
    if (arguments.notification.content) return {};
    return Refuse(501, "5.5.4", "RET takes FULL or HDRS");
  }
  if (parameter.keyword == "ENVID") {
    std::optional<std::string> envelope_id = ParseEnvelopeId(value);
    if (!envelope_id) {
      return Refuse(501, "5.5.4",
                    "ENVID takes up to 100 characters of xtext; shorten or encode it");
    }
    arguments.notification.envelope_id = *std::move(envelope_id);
    return {};
  }
  return Refuse(555, "5.5.4", "unknown MAIL parameter; use those that EHLO lists");
}

Parsed<void> ApplyRcptParameter(const Parameter& parameter, bool utf8, RcptArguments& arguments) {
  RecipientNotification& notification = arguments.notification;
  if (parameter.keyword == "NOTIFY") {
    notification.notify = ParseNotify(parameter.value);
    if (notification.notify) return {};
    return Refuse(501, "5.5.4", "NOTIFY takes NEVER, or SUCCESS,FAILURE,DELAY or some of them");
  }
  if (parameter.keyword == "ORCPT") {
    std::optional<std::string> original = ParseOriginalRecipient(parameter.value, utf8);
    if (!original) {
      return Refuse(501, "5.5.4", "ORCPT takes type;address, in xtext: ORCPT=rfc822;b@x.example");
    }
    notification.original_recipient = *std::move(original);
    return {};
  }
  return Refuse(555, "5.5.4", "unknown RCPT parameter; use NOTIFY and ORCPT only");
}

// Applies `apply` to each parameter, which none may repeat.
template <class Apply>
Parsed<void> ForEachParameter(std::string_view argument, std::string_view verb,
                              const Apply& apply) {
  if (!argument.empty() && !IsBlank(argument.front())) {
    return Refuse(501, "5.5.4", "put a blank between the address and the parameters");
  }
  std::vector<std::string> seen;
  for (argument = Trim(argument); !argument.empty(); argument = Trim(argument)) {
    const Parameter parameter = TakeParameter(argument);
    if (std::find(seen.begin(), seen.end(), parameter.keyword) != seen.end()) {
      return Refuse(501, "5.5.4",
                    "a " + std::string(verb) + " parameter is repeated; give it once");
    }
    Parsed<void> applied = apply(parameter);
    if (!applied) return applied;
    seen.push_back(parameter.keyword);
  }
  return {};
}

}  // namespace

SmtpCommand ParseCommand(std::string_view line) {
  SmtpCommand command;
  std::string_view rest = line;
  const std::string word = UpperCase(TakeWord(rest));
  command.argument = Trim(rest);
  const auto* found = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                   [&](const VerbName& verb) { return verb.name == word; });
  if (found != std::end(kVerbs)) command.verb = found->verb;
  return command;
}

Parsed<MailArguments> ParseMailArguments(std::string_view argument) {
  if (!TakePrefix(argument, "FROM")) {
    return Refuse(501, "5.5.4", "write MAIL FROM:<name@example.com>, or <> for the null sender");
  }
  // SMTPUTF8 stands behind the path it permits, so the path is read first and judged last.
  MailArguments arguments;
  const std::string_view start = argument;
  PathRules rules{.allow_null = true, .allow_utf8 = true, .enhanced_code = "5.1.7"};
  Parsed<std::string> path = ParsePath(argument, rules);
  if (!path) return tl::unexpected<SmtpReply>(std::move(path).error());
  const Parsed<void> applied = ForEachParameter(argument, "MAIL", [&](const Parameter& parameter) {
    return ApplyMailParameter(parameter, arguments);
  });
  if (!applied) return tl::unexpected<SmtpReply>(applied.error());
  if (!arguments.utf8) {
    rules.allow_utf8 = false;
    std::string_view again = start;
    path = ParsePath(again, rules);
    if (!path) return tl::unexpected<SmtpReply>(std::move(path).error());
  }
  arguments.reverse_path = *std::move(path);
  return arguments;
}

Parsed<RcptArguments> ParseRcptArguments(std::string_view argument, bool utf8) {
  if (!TakePrefix(argument, "TO")) {
    return Refuse(501, "5.5.4", "write RCPT TO:<name@example.com>");
  }
  RcptArguments arguments;
  Parsed<std::string> path = ParsePath(argument, {.allow_null = false, .allow_utf8 = utf8});
  if (!path) return tl::unexpected<SmtpReply>(std::move(path).error());
  arguments.address = *std::move(path);
  const Parsed<void> applied = ForEachParameter(argument, "RCPT", [&](const Parameter& parameter) {
    return ApplyRcptParameter(parameter, utf8, arguments);
  });
  if (!applied) return tl::unexpected<SmtpReply>(applied.error());
  return arguments;
}

Parsed<std::string> ParseHelloArgument(std::string_view argument) {
  const std::string_view name = TakeWord(argument);
  if (name.empty())
    return Refuse(501, "5.5.4", "give the name of your host: EHLO host.example.com");
  return std::string(name.substr(0, 255));
}

Parsed<Attributes> ParseAttributes(std::string_view argument) {
  Attributes attributes;
  while (!argument.empty()) {
    const Parameter parameter = TakeParameter(argument);
    std::optional<std::string> value = DecodeXtext(parameter.value);
    if (parameter.keyword.empty() || !parameter.has_value || parameter.value.size() > 255 ||
        !value) {
      return Refuse(501, "5.5.4", "attributes are NAME=value with the value in xtext");
    }
    if (*value == "[UNAVAILABLE]" || *value == "[TEMPUNAVAIL]") value->clear();
    attributes.emplace_back(parameter.keyword, *std::move(value));
    argument = Trim(argument);
  }
  if (attributes.empty()) return Refuse(501, "5.5.4", "give at least one attribute: NAME=value");
  return attributes;
}

}  // namespace bobbin::daemon
