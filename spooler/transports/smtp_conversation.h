// SmtpConversation: which reply answered which command, from what libcurl shows of both.
//
//   curl_easy_perform --CURLINFO_HEADER_OUT--> OnCommand     "RCPT TO:<a@x.test>"
//                     --CURLINFO_HEADER_IN---> OnReplyLine   "550-5.1.1 no such", "550 5.1.1 user"
//
// libcurl itself keeps no more than the last reply code. It sends one command at a time and
// waits for its reply, so the stage of the last command says what a reply belongs to.
//
// Threads  One. Errors  None.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/recipient_table.h"

namespace bobbin {

class SmtpConversation {
 public:
  // Forgets the replies of the last transaction, keeps what is known of the connection.
  void BeginTransaction();

  void OnCommand(std::string_view command);
  void OnReplyLine(std::string_view line);

  // Of the connection in use.
  bool Authenticated() const { return authenticated_; }

  // Of this transaction. A reply is absent when it has not come (yet).
  bool MailSent() const { return stage_ != Stage::kSession; }
  bool QuitSent() const { return quit_sent_; }
  bool SmtpUtf8Announced() const { return smtputf8_announced_; }         // On the MAIL command.
  const std::optional<Reply>& SessionReply() const { return session_; }  // Greeting, EHLO, AUTH.
  const std::optional<Reply>& MailReply() const { return mail_; }
  const std::vector<Reply>& RecipientReplies() const { return recipients_; }  // In order.
  const std::optional<Reply>& DataReply() const { return data_; }
  const std::optional<Reply>& FinalReply() const { return final_; }

 private:
  enum class Stage : std::uint8_t { kSession, kMail, kRecipient, kData, kEndOfData, kOver };

  void OnReply(Reply reply);

  bool authenticated_ = false;

  Stage stage_ = Stage::kSession;
  bool quit_sent_ = false;
  bool smtputf8_announced_ = false;
  std::string lines_;  // Of a reply that is not complete, joined by '\n'.
  std::optional<Reply> session_;
  std::optional<Reply> mail_;
  std::vector<Reply> recipients_;
  std::optional<Reply> data_;
  std::optional<Reply> final_;
};

}  // namespace bobbin
