// SmtpTransaction: some recipients of one message on their way through libcurl: what libcurl calls
// back about them, and what became of each.
//
// Threads  One; `cancelled` may be set by any.
// Ownership  Borrows all it points to.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "spooler/transport_provider.h"
#include "spooler/transports/smtp_conversation.h"

namespace bobbin {

struct SmtpTransaction {
  // Why it was stopped by us.
  enum class Stop : std::uint8_t {
    kNone,
    kCancelled,
    kNotMarked,
    kContent,
    kNoSmtpUtf8,
    kNoAuthentication,
  };

  OutboundMessage* message = nullptr;
  std::span<const OutboundRecipient> recipients;
  SmtpConversation* conversation = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
  bool needs_smtputf8 = false;
  bool needs_authentication = false;

  Stop stop = Stop::kNone;
  std::string stop_detail;
  std::string_view piece;  // Of the content, not yet taken by libcurl.
  bool marked = false;     // The accepted recipients, in doubt.
  std::optional<std::chrono::steady_clock::time_point> cancelled_since;
  std::optional<std::chrono::steady_clock::time_point> quit_since;

  // Sets the callbacks below, with `this` as their context.
  void Attach(CURL* handle);

  bool Accepted(std::size_t i) const;

  // What became of recipient `i`, once MAIL has been answered and the transfer has ended with
  // `code`, which `trouble` puts into words.
  RecipientOutcome Outcome(std::size_t i, CURLcode code, const std::string& trouble) const;

 private:
  static std::size_t OnRead(char* buffer, std::size_t size, std::size_t count, void* context);
  static int OnDebug(CURL* handle, curl_infotype type, char* data, std::size_t size, void* context);
  static std::size_t OnHeader(char* line, std::size_t size, std::size_t count, void* context);
  static int OnProgress(void* context, curl_off_t download_total, curl_off_t download_now,
                        curl_off_t upload_total, curl_off_t upload_now);

  bool MarkAccepted();
};

}  // namespace bobbin
