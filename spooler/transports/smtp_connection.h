// SmtpConnection: one connection to the next hop, from connect() to QUIT.
//
//   constructor  libcurl: connect, TLS, EHLO or HELO, AUTH   IsOpen(), or SessionReply(), Trouble()
//   Send, ReadReply                                          through libcurl, encrypted or not
//   destructor   QUIT, without waiting for its answer
//
// libcurl would speak the rest of SMTP, too, but it can put nothing behind an address, and what a
// sender wants to know is said there (RFC 3461).
//
// A reply that is not read in time, or that comes when none is due, makes a connection useless:
// whoever went on would take it for the answer to the next command.
//
// Threads  One; `cancelled` may be set by any, and is seen within a second.
// Errors   Send and ReadReply: false or nothing; the connection is then lost, and Trouble() says
//          why.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "engine/recipient_table.h"
#include "spooler/transports/smtp.h"

namespace bobbin {

// What the options say, checked and in the form libcurl takes.
struct SmtpSettings {
  SmtpOptions options;
  std::string url;        // With the EHLO name as its path, without user or password.
  std::string host_port;  // For people.
};

class SmtpConnection {
 public:
  SmtpConnection(const SmtpSettings& settings, const std::atomic<bool>& cancelled);
  ~SmtpConnection();
  SmtpConnection(const SmtpConnection&) = delete;
  SmtpConnection& operator=(const SmtpConnection&) = delete;

  bool IsOpen() const { return open_; }
  bool IsAuthenticated() const { return authenticated_; }
  // `extension` in upper case: "DSN". From the last EHLO, so what was said before TLS does not
  // count.
  bool Announces(std::string_view extension) const { return extensions_.contains(extension); }
  const std::optional<Reply>& SessionReply() const { return session_reply_; }  // The last one.
  std::string RemoteHost() const;  // "mx.example.com[192.0.2.1]:25" once there is a connection.

  // False: the server has closed it or has said something unasked. Does not wait.
  bool IsQuiet();

  // A cancellation is heeded `grace` after it came.
  bool Send(std::string_view data, std::chrono::seconds grace = {});
  std::optional<Reply> ReadReply(std::chrono::seconds grace = {});

  // It must not be used any more, not even for QUIT.
  void Abandon() { open_ = false; }

  bool WasCancelled() const { return was_cancelled_; }
  const std::string& Trouble() const { return trouble_; }  // One line, printable.

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Cleanup {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };

  static int OnDebug(CURL* handle, curl_infotype type, char* data, std::size_t size, void* context);
  static int OnProgress(void* context, curl_off_t download_total, curl_off_t download_now,
                        curl_off_t upload_total, curl_off_t upload_now);

  void SetOptions();
  void OnCommand(std::string_view command);
  std::optional<Reply> TakeReplyLine(std::string_view line);
  bool MustStop(std::chrono::seconds grace);
  bool Wait(short events, SteadyTime deadline, std::chrono::seconds grace);
  void Lose(CURLcode code);
  void Lose(std::string_view trouble);

  const SmtpSettings& settings_;
  const std::atomic<bool>& cancelled_;
  std::unique_ptr<CURL, Cleanup> handle_;
  char error_[CURL_ERROR_SIZE] = {};

  bool open_ = false;
  bool authenticated_ = false;
  bool expects_extensions_ = false;  // EHLO was the last command.
  std::set<std::string, std::less<>> extensions_;
  std::optional<Reply> session_reply_;

  std::string input_;  // Received, not looked at.
  std::string lines_;  // Of a reply that is not complete, joined by '\n'.
  std::optional<SteadyTime> cancelled_since_;
  bool was_cancelled_ = false;
  std::string trouble_;
};

}  // namespace bobbin
