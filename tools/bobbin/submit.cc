#include "tools/bobbin/submit.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>

#include "spooler/internet_message.h"
#include "spooler/internet_submission.h"
#include "tools/bobbin/address_list.h"
#include "tools/bobbin/local_address.h"
#include "tools/bobbin/message_input.h"
#include "tools/bobbin/queue_view.h"
#include "tools/bobbin/send_time.h"

namespace bobbin::cli {
namespace {

constexpr std::string_view kNothingQueued = "nothing was queued";

bool IsFieldNameCharacter(char c) { return c > ' ' && c < '\x7F' && c != ':'; }

// Whether the message begins with a header field, rather than with its text.
bool StartsWithField(std::string_view start) {
  const std::size_t name = static_cast<std::size_t>(
      std::find_if_not(start.begin(), start.end(), IsFieldNameCharacter) - start.begin());
  const std::size_t colon = start.find_first_not_of(" \t", name);
  return name > 0 && colon != std::string_view::npos && start[colon] == ':';
}

std::string WithLineEnds(std::string text, bool keep_returns) {
  if (!keep_returns) text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  return text;
}

// One submission, from the first byte read to the durable commit.
class Submission {
 public:
  Submission(const CommandLine& line, const SubmitRequest& request)
      : line_(line),
        request_(request),
        input_(STDIN_FILENO, request.dot_ends),
        now_(SystemClock().Now()) {}

  ExitCode Run() {
    if (const ExitCode code = ReadEnvelope(); code != ExitCode::kOk) return code;
    // Before a byte is read: a caller with a pipe learns at once that there is no database.
    ASSIGN_OR_COMPLAIN(Database database, "open the database", OpenDatabase(line_));
    ASSIGN_OR_COMPLAIN(MessageStore store, "open store " + request_.store,
                       database.OpenOrCreateMessageStore(request_.store));
    if (const ExitCode code = CheckLists(database.GetAddressBook()); code != ExitCode::kOk) {
      return code;
    }
    if (const ExitCode code = ReadStart(); code != ExitCode::kOk) return code;
    if (const ExitCode code = ReadHeaderSection(); code != ExitCode::kOk) return code;
    return Store(store);
  }

  ExitCode RunDraft() {
    const std::string what = "submit " + request_.draft_id;
    if (request_.sender_given) {
      if (const ExitCode code = ReadSender(); code != ExitCode::kOk) return code;
    }
    if (const ExitCode code = ReadSendTime(); code != ExitCode::kOk) return code;
    ASSIGN_OR_COMPLAIN(const MessageId id, what, ParseMessageId(request_.draft_id));
    ASSIGN_OR_COMPLAIN(Database database, "open the database", OpenDatabase(line_));
    ASSIGN_OR_COMPLAIN(Message message, what, OpenDraft(database, id));
    ASSIGN_OR_COMPLAIN(const EntryId entry_id, what, message.Id());
    COMPLAIN_IF_ERROR(what, ApplyOptions(message));
    if (const Result<void> submitted = message.SubmitMessage(); !submitted) {
      return ComplainAboutDraft(what, submitted.error());
    }
    PrintQueueId(ToQueueId(id), entry_id);
    return ExitCode::kOk;
  }

 private:
  ExitCode ReadSender() {
    const Result<std::string> sender =
        request_.sender_given ? ParseSender(request_.sender) : DefaultSender();
    if (!sender) {
      const bool ours = !request_.sender_given;
      return Complain(ours ? ExitCode::kConfig : ExitCode::kUsage,
                      ours ? "find out who sends this" : "sender " + request_.sender,
                      sender.error().detail, "name a sender with -f");
    }
    envelope_.reverse_path = *sender;
    return ExitCode::kOk;
  }

  ExitCode ReadEnvelope() {
    if (const ExitCode code = ReadSender(); code != ExitCode::kOk) return code;
    if (const ExitCode code = ReadSendTime(); code != ExitCode::kOk) return code;
    if (const ExitCode code = ReadNotification(); code != ExitCode::kOk) return code;
    for (const std::string& text : request_.recipients) {
      const auto list = request_.as_sendmail ? std::nullopt : ListNameOf(text);
      if (list) {
        lists_.push_back(*list);
        continue;
      }
      const Result<std::vector<std::string>> addresses = ParseRecipients(text);
      if (!addresses) {
        return Complain(ExitCode::kUsage, "recipient " + text, addresses.error().detail,
                        kNothingQueued);
      }
      envelope_.recipients.insert(envelope_.recipients.end(), addresses->begin(), addresses->end());
    }
    if (envelope_.recipients.empty() && lists_.empty() && !request_.recipients_from_header) {
      return NoRecipients();
    }
    return ExitCode::kOk;
  }

  ExitCode ReadSendTime() {
    if (request_.send_at.empty()) return ExitCode::kOk;
    const Result<Time> time = ParseSendTime(request_.send_at, now_);
    if (!time) {
      return Complain(ExitCode::kUsage, "--send-at " + request_.send_at, time.error().detail,
                      kNothingQueued);
    }
    send_at_ = *time;
    return ExitCode::kOk;
  }

  ExitCode ReadNotification() {
    if (!request_.notify.empty()) {
      notify_ = ParseNotify(request_.notify);
      if (!notify_) {
        return Complain(ExitCode::kUsage, "-N " + request_.notify, "this cannot be asked for",
                        "use never, or a list of success, failure and delay");
      }
    }
    if (!request_.returned_content.empty()) {
      envelope_.notification.content = ParseReturnContent(request_.returned_content);
      if (!envelope_.notification.content) {
        return Complain(ExitCode::kUsage, "-R " + request_.returned_content,
                        "this cannot be returned", "use full or hdrs");
      }
    }
    if (!request_.envelope_id.empty()) {
      std::optional<std::string> id = ParseEnvelopeId(request_.envelope_id);
      if (!id) {
        return Complain(ExitCode::kUsage, "-V " + request_.envelope_id,
                        "this is not xtext of at most 100 characters",
                        "write +20 for a blank, +2B for + and +3D for =");
      }
      envelope_.notification.envelope_id = *std::move(id);
    }
    return ExitCode::kOk;
  }

  // Before the message is read: the list may be misspelt.
  ExitCode CheckLists(const AddressBook& book) const {
    for (const std::string& name : lists_) {
      const Result<DistributionListInfo> list = book.GetList(name);
      if (list) continue;
      const Error& error = list.error();
      return Complain(ExitCodeOf(error.code), fmt::format("recipient {}{}", kListPrefix, name),
                      std::string(ErrorName(error.code)) + ": " + error.detail,
                      "nothing was queued; `bobbin list show` names the lists");
    }
    return ExitCode::kOk;
  }

  // SubmitMessage puts the members in their place.
  Result<void> AddLists(Message& message) const {
    if (lists_.empty()) return {};
    RecipientTable rows;
    for (const std::string& name : lists_) {
      rows.push_back(MakeListRecipient(name, kRecipientBcc));
      SetNotification(RecipientNotification{notify_, {}}, rows.back().properties);
    }
    return message.ModifyRecipients(kModifyRecipientsAdd, std::move(rows));
  }

  static ExitCode NoRecipients() {
    return Complain(ExitCode::kUsage, "submit", "there are no recipients",
                    "name them as arguments, or use -t to take them from To, Cc and Bcc");
  }

  static ExitCode CannotRead(const Error& error) {
    return Complain(ExitCode::kIoError, "read the message", error.detail, kNothingQueued);
  }

  // Reads until the header section is whole, or until there is as much as ReadHeaders looks at.
  ExitCode ReadStart() {
    while (HeaderSectionBytes(start_) == 0 && start_.size() < kHeaderBytesMax) {
      const Result<std::string_view> piece = input_.Next();
      if (!piece) return CannotRead(piece.error());
      if (piece->empty()) {
        ended_ = true;
        break;
      }
      start_ += *piece;
    }
    // An mbox separator is not part of a message; mail programs hand it to sendmail all the same.
    if (request_.as_sendmail && start_.rfind("From ", 0) == 0) {
      const std::size_t end = start_.find('\n');
      start_.erase(0, end == std::string::npos ? end : end + 1);
    }
    return ExitCode::kOk;
  }

  ExitCode ReadHeaderSection() {
    const std::size_t section_bytes = HeaderSectionBytes(start_);
    if (request_.recipients_from_header && !ended_ &&
        (section_bytes == 0 || section_bytes > kHeaderBytesMax)) {
      return Complain(ExitCode::kDataError, "read the recipients from the header",
                      "the header section is longer than 64 KiB, and some could be missed",
                      "nothing was queued; name the recipients as arguments, without -t");
    }
    summary_ = ReadHeaders(start_);
    if (summary_.received_count > kReceivedCountMax) {
      return Complain(ExitCode::kDataError, "submit",
                      fmt::format("the message has {} Received fields: it goes in circles",
                                  summary_.received_count),
                      kNothingQueued);
    }
    return request_.recipients_from_header ? AddHeaderRecipients() : ExitCode::kOk;
  }

  ExitCode AddHeaderRecipients() {
    const std::size_t section_bytes = HeaderSectionBytes(start_);
    const std::string_view section =
        std::string_view(start_).substr(0, section_bytes == 0 ? start_.size() : section_bytes);
    if (summary_.recipients.size() < CountRecipients(section)) {
      return Complain(ExitCode::kDataError, "read the recipients from the header",
                      "an address in To, Cc or Bcc cannot be read",
                      "nothing was queued; correct it, or name the recipients as arguments, "
                      "without -t");
    }
    for (const RecipientRow& row : summary_.recipients) {
      const Result<std::string> address = CompleteAddress(row.EmailAddress());
      if (!address) {
        return Complain(ExitCode::kDataError,
                        "recipient " + std::string(row.EmailAddress()) + " in the header",
                        address.error().detail, kNothingQueued);
      }
      envelope_.recipients.push_back(*address);
    }
    return envelope_.recipients.empty() && lists_.empty() ? NoRecipients() : ExitCode::kOk;
  }

  // The fields that programs leave to sendmail, with the line ends of the message.
  Result<std::string> MissingFields(const std::string& queue_id) const {
    ASSIGN_OR_RETURN(const std::string host, HostName());
    ReceivedTrace trace;
    trace.by_name = host;
    trace.protocol = "local";
    trace.queue_id = queue_id;
    trace.time = now_;
    std::string fields = MakeReceivedHeader(trace);
    if (!summary_.has_from) {
      const std::string address =
          envelope_.reverse_path.empty() ? "MAILER-DAEMON@" + host : envelope_.reverse_path;
      fields += "From: " + FromField(address) + "\r\n";
    }
    if (!summary_.has_date) fields += "Date: " + MailDate(now_) + "\r\n";
    if (!summary_.has_message_id) {
      fields += fmt::format("Message-ID: <{}.{}@{}>\r\n", ToFileTime(now_), queue_id, host);
    }
    if (!StartsWithField(start_) && start_.rfind('\n', 0) != 0 && start_.rfind("\r\n", 0) != 0) {
      fields += "\r\n";
    }
    const std::size_t line_end = start_.find('\n');
    const bool has_returns =
        line_end != std::string::npos && line_end > 0 && start_[line_end - 1] == '\r';
    return WithLineEnds(std::move(fields), has_returns);
  }

  std::string FromField(const std::string& address) const {
    if (request_.full_name.empty()) return address;
    std::string quoted;
    for (const char c : request_.full_name) {
      if ((c >= 0 && c < ' ') || c == '\x7F') continue;
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return fmt::format("\"{}\" <{}>", quoted, address);
  }

  ExitCode Store(MessageStore& store) {
    const std::string what = "submit the message";
    ASSIGN_OR_COMPLAIN(Message message, what, store.CreateMessage(store.Folders().outbox));
    ASSIGN_OR_COMPLAIN(const EntryId entry_id, what, message.Id());
    const std::string queue_id = ToQueueId(MessageId{entry_id.Object()});

    MessageBodyWriter writer = store.NewContent();
    if (request_.as_sendmail) {
      ASSIGN_OR_COMPLAIN(const std::string fields, what, MissingFields(queue_id));
      start_.insert(0, fields);
      summary_ = ReadHeaders(start_);
    }
    COMPLAIN_IF_ERROR(what, writer.Append(start_));
    while (!ended_) {
      const Result<std::string_view> piece = input_.Next();
      if (!piece) return CannotRead(piece.error());
      ended_ = piece->empty();
      if (!ended_) COMPLAIN_IF_ERROR(what, writer.Append(*piece));
    }
    ASSIGN_OR_COMPLAIN(MessageBody content, what, writer.Finish());

    if (notify_) {
      envelope_.recipient_notifications.assign(envelope_.recipients.size(), {notify_, {}});
    }
    SubmissionOptions options;
    if (request_.keep) {
      options.sent_mail_entry_id = store.EntryIdOf(store.Folders().sent_items.value);
    }
    options.deferred_send_time = send_at_;
    COMPLAIN_IF_ERROR(
        what, FillInternetSubmission(message, envelope_, summary_, std::move(content), options));
    COMPLAIN_IF_ERROR(what, AddLists(message));
    if (!request_.full_name.empty()) {
      const Property name = Property::Bytes(pr::kSenderName, request_.full_name);
      COMPLAIN_IF_ERROR(what, message.SetProps({&name, 1}));
    }
    COMPLAIN_IF_ERROR(what, message.SubmitMessage());
    PrintQueueId(queue_id, entry_id);
    return ExitCode::kOk;
  }

  // In whichever store it is. What was sent, or received, is refused: MAPI would let it be
  // submitted again, and everyone would have it twice.
  static Result<Message> OpenDraft(Database& database, MessageId id) {
    ASSIGN_OR_RETURN(const std::vector<MessageStoreInfo> stores, database.ListMessageStores());
    for (const MessageStoreInfo& info : stores) {
      ASSIGN_OR_RETURN(const MessageStore store, database.OpenMessageStore(info.name));
      Result<Message> message = store.OpenMessage(store.EntryIdOf(id.value), kMapiModify);
      if (!message) {
        const ErrorCode code = message.error().code;
        if (code == ErrorCode::kInvalidEntryId || code == ErrorCode::kNotFound) continue;
        return message;
      }
      ASSIGN_OR_RETURN(const Property flags, message->GetProp(pr::kMessageFlags));
      if ((flags.number & kMsgFlagUnsent) != 0) return message;
      return Fail(ErrorCode::kSubmitted, "it is no draft: it was sent, or received");
    }
    return Fail(ErrorCode::kNotFound, "there is no message " + ToQueueId(id));
  }

  Result<void> ApplyOptions(Message& message) const {
    std::vector<Property> given;
    std::vector<PropertyTag> overruled;
    if (request_.sender_given) {
      given.push_back(Property::Bytes(pr::kSenderAddressType, "SMTP"));
      given.push_back(Property::Bytes(pr::kSenderEmailAddress, envelope_.reverse_path));
      given.push_back(Property::Bytes(pr::kSenderName, envelope_.reverse_path));
      overruled.push_back(pr::kSenderSmtpAddress);
    }
    if (!request_.full_name.empty()) {
      given.push_back(Property::Bytes(pr::kSenderName, request_.full_name));
    }
    if (send_at_) {
      given.push_back(Property::Number(pr::kDeferredSendTime, ToFileTime(*send_at_)));
      // They would come first.
      overruled.push_back(pr::kDeferredSendNumber);
      overruled.push_back(pr::kDeferredSendUnits);
    }
    if (given.empty()) return {};
    ASSIGN_OR_RETURN(const std::vector<PropertyProblem> problems, message.SetProps(given));
    if (!problems.empty()) {
      return Fail(problems[0].code, "the message does not take a sender or a time");
    }
    if (overruled.empty()) return {};
    RETURN_IF_ERROR(message.DeleteProps(overruled));
    return {};
  }

  static ExitCode ComplainAboutDraft(const std::string& what, const Error& error) {
    std::string_view what_to_do = WhatToDo(error.code);
    if (error.code == ErrorCode::kNoRecipients) what_to_do = kNothingQueued;
    if (error.code == ErrorCode::kNotFound) {
      what_to_do = "nothing was queued; `bobbin list show` names the lists";
    }
    return Complain(ExitCodeOf(error.code), what,
                    std::string(ErrorName(error.code)) + ": " + error.detail, what_to_do);
  }

  // The message is queued by now. A caller that is told of a failure would submit it again, so
  // that its reader has gone away is said, but does not count.
  void PrintQueueId(const std::string& queue_id, const EntryId& entry_id) const {
    if (request_.quiet) return;
    Output output(line_.Format());
    if (line_.json) {
      output.PrintJson({{"queue_id", queue_id},
                        {"entry_id", entry_id.ToHex()},
                        {"send_at", send_at_ ? TimeJson(*send_at_) : Json()}});
    } else {
      output.Line(queue_id);
    }
    if (output.Finish() != ExitCode::kOk) {
      Complain(ExitCode::kOk, "submit", "the message is queued as " + queue_id, {});
    }
  }

  const CommandLine& line_;
  const SubmitRequest& request_;
  MessageInput input_;
  Time now_;
  Envelope envelope_;
  std::optional<Time> send_at_;
  std::vector<std::string> lists_;       // Recipients, too.
  std::optional<NotifyRequest> notify_;  // The same for every recipient.
  HeaderSummary summary_;
  std::string start_;  // At least the header section, or all ReadHeaders looks at.
  bool ended_ = false;
};

}  // namespace

ExitCode RunSubmit(const CommandLine& line, const SubmitRequest& request) {
  std::signal(SIGPIPE, SIG_IGN);
  InitializeInternetMessage();
  if (!request.draft_id.empty()) return Submission(line, request).RunDraft();
  if (isatty(STDIN_FILENO) != 0 && !request.as_sendmail) {
    std::fputs(
        "bobbin: reading the message from the terminal; Ctrl-D at the start of a line ends it\n",
        stderr);
  }
  return Submission(line, request).Run();
}

}  // namespace bobbin::cli
