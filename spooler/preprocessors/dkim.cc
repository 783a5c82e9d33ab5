#include "spooler/preprocessors/dkim.h"

// A header of C, which says _Bool; and its types must be complete before it.
#include <sys/types.h>
#define _Bool bool  // NOLINT(bugprone-reserved-identifier)
#include <dkim.h>
#undef _Bool

#include <string_view>
#include <utility>
#include <vector>

#include "engine/ascii.h"
#include "engine/check.h"

namespace bobbin {
namespace {

constexpr std::size_t kHeaderSectionBytesMax = std::size_t{4} << 20;

struct CloseLibrary {
  void operator()(DKIM_LIB* library) const { dkim_close(library); }
};
using Library = std::unique_ptr<DKIM_LIB, CloseLibrary>;

struct Free {
  void operator()(DKIM* signature) const { dkim_free(signature); }
};
using Signature = std::unique_ptr<DKIM, Free>;

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

tl::unexpected<Error> Failed(const char* step, DKIM_STAT status) {
  const char* text = dkim_getresultstr(status);
  return Fail(ErrorCode::kCallFailed,
              std::string("DKIM, ") + step + ": " + (text == nullptr ? "failed" : text));
}

// Feeds a message, piece by piece, to the signature: its fields, one at a time and without their
// last line end, then its body.
class SignedMessage {
 public:
  explicit SignedMessage(DKIM* signature) : signature_(signature) {}

  Result<void> Add(std::string_view piece) {
    if (in_body_) return AddBody(piece);
    header_.append(piece);
    const std::size_t end = header_.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (header_.size() <= kHeaderSectionBytesMax) return {};
      return Fail(ErrorCode::kTooBig, "DKIM: the header section has more than 4 MiB");
    }
    std::string body = header_.substr(end + 4);
    header_.resize(end + 2);
    RETURN_IF_ERROR(EndHeader());
    return AddBody(body);
  }

  Result<void> Finish() {
    if (!in_body_) RETURN_IF_ERROR(EndHeader());
    const DKIM_STAT status = dkim_eom(signature_, nullptr);
    if (status != DKIM_STAT_OK) return Failed("end of message", status);
    return {};
  }

 private:
  Result<void> EndHeader() {
    in_body_ = true;
    for (std::size_t at = 0; at < header_.size();) {
      std::size_t end = header_.find("\r\n", at);
      while (end != std::string::npos && end + 2 < header_.size() &&
             (header_[end + 2] == ' ' || header_[end + 2] == '\t')) {
        end = header_.find("\r\n", end + 2);
      }
      if (end == std::string::npos) end = header_.size();
      std::string field = header_.substr(at, end - at);
      at = end + 2;
      // What is no field cannot be signed; servers take it for the body or drop it.
      if (field.find(':') == std::string::npos) continue;
      const DKIM_STAT status = dkim_header(signature_, Bytes(field), field.size());
      if (status != DKIM_STAT_OK) return Failed("header field", status);
    }
    const DKIM_STAT status = dkim_eoh(signature_);
    if (status != DKIM_STAT_OK) return Failed("end of header", status);
    return {};
  }

  Result<void> AddBody(std::string_view piece) {
    if (piece.empty()) return {};
    std::string bytes(piece);
    const DKIM_STAT status = dkim_body(signature_, Bytes(bytes), bytes.size());
    if (status != DKIM_STAT_OK) return Failed("body", status);
    return {};
  }

  DKIM* signature_;
  std::string header_;
  bool in_body_ = false;
};

class Dkim final : public Preprocessor {
 public:
  Dkim(DkimOptions options, Library library)
      : options_(std::move(options)), library_(std::move(library)) {}

  std::string_view Name() const override { return "dkim"; }

  Result<void> PreprocessMessage(Message& message, PreprocessContext& context) override {
    ASSIGN_OR_RETURN(const bool is_ours, IsOurs(message));
    if (!is_ours) return {};
    ASSIGN_OR_RETURN(const std::string field, Sign(message, context));
    const std::vector<Property> added{Property::Bytes(pr::kAddedHeaderFields, field)};
    ASSIGN_OR_RETURN(const auto problems, message.SetProps(added));
    if (problems.empty()) return {};
    return Fail(problems.front().code, "DKIM: the signature could not be kept");
  }

  Result<void> RemovePreprocessInfo(Message& message) override {
    const std::vector<PropertyTag> added{pr::kAddedHeaderFields};
    ASSIGN_OR_RETURN(const auto problems, message.DeleteProps(added));
    static_cast<void>(problems);
    return {};
  }

  static Result<Signature> Begin(DKIM_LIB* library, const DkimOptions& options) {
    DKIM_STAT status = DKIM_STAT_OK;
    std::string key = options.private_key_pem;
    std::string selector = options.selector;
    std::string domain = options.domain;
    Signature signature(dkim_sign(library, reinterpret_cast<const unsigned char*>("bobbin"),
                                  nullptr, Bytes(key), Bytes(selector), Bytes(domain),
                                  DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, -1,
                                  &status));
    if (signature == nullptr || status != DKIM_STAT_OK) return Failed("beginning", status);
    return signature;
  }

 private:
  Result<bool> IsOurs(const Message& message) const {
    ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
    std::string_view author = properties.BytesOr(pr::kSentRepresentingEmailAddress, {});
    if (author.empty()) author = properties.BytesOr(pr::kSenderEmailAddress, {});
    const std::string domain = LowerCase(author.substr(author.rfind('@') + 1));
    const std::string ours = LowerCase(options_.domain);
    return domain == ours || domain.ends_with("." + ours);
  }

  Result<std::string> Sign(const Message& message, PreprocessContext& context) const {
    ASSIGN_OR_RETURN(const Signature signature, Begin(library_.get(), options_));
    ASSIGN_OR_RETURN(const auto content, context.OpenTransmittedContent(message));
    SignedMessage signed_message(signature.get());
    for (;;) {
      ASSIGN_OR_RETURN(const std::string_view piece, content->Next());
      if (piece.empty()) break;
      RETURN_IF_ERROR(signed_message.Add(piece));
    }
    RETURN_IF_ERROR(signed_message.Finish());
    unsigned char* value = nullptr;
    std::size_t bytes = 0;
    constexpr std::string_view kName = DKIM_SIGNHEADER ": ";
    const DKIM_STAT status = dkim_getsighdr_d(signature.get(), kName.size(), &value, &bytes);
    if (status != DKIM_STAT_OK) return Failed("signature", status);
    std::string field(kName);
    for (const char c : std::string_view(reinterpret_cast<const char*>(value), bytes)) {
      if (c == '\r') continue;
      field += c == '\n' ? "\r\n" : std::string(1, c);
    }
    return field + "\r\n";
  }

  const DkimOptions options_;
  const Library library_;
};

// Signs the fields that RFC 6376 5.4 recommends. Trace fields are not among them: who carries the
// message on may change those.
Library NewLibrary() {
  Library library(dkim_init(nullptr, nullptr));
  dkim_options(library.get(), DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, dkim_should_signhdrs,
               sizeof(unsigned char**));
  return library;
}

}  // namespace

Result<std::function<std::unique_ptr<Preprocessor>()>> NewDkimPreprocessor(
    const DkimOptions& options) {
  if (options.domain.empty() || options.selector.empty()) {
    return Fail(ErrorCode::kInvalidParameter, "DKIM needs a domain and a selector");
  }
  // A key that is none shows only when something is signed with it.
  const Library library = NewLibrary();
  Result<Signature> trial = Dkim::Begin(library.get(), options);
  if (trial) {
    SignedMessage message(trial->get());
    const Result<void> ended = message.Add("From: a@" + options.domain + "\r\n\r\n");
    const Result<void> tried = ended ? message.Finish() : ended;
    if (!tried) trial = tl::unexpected<Error>(tried.error());
  }
  if (!trial) {
    return Fail(ErrorCode::kInvalidParameter,
                trial.error().detail + "; the key must be an RSA private key in PEM");
  }
  return std::function<std::unique_ptr<Preprocessor>()>(
      [options] { return std::make_unique<Dkim>(options, NewLibrary()); });
}

}  // namespace bobbin
