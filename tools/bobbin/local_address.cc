#include "tools/bobbin/local_address.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "spooler/internet_message.h"
#include "tools/bobbin/address_list.h"

namespace bobbin::cli {

Result<std::string> HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) {
    return Fail(ErrorCode::kCallFailed, std::string("gethostname: ") + std::strerror(errno));
  }
  return std::string(name.data());
}

Result<std::string> DefaultSender() {
  errno = 0;
  const passwd* user = getpwuid(geteuid());
  if (user == nullptr) {
    return Fail(ErrorCode::kCallFailed,
                "the system has no name for user id " + std::to_string(geteuid()));
  }
  return CompleteAddress(user->pw_name);
}

Result<std::string> CompleteAddress(std::string_view address) {
  RETURN_IF_ERROR(CheckAddress(address, /*local_names=*/true));
  if (CheckAddress(address, /*local_names=*/false)) return std::string(address);
  ASSIGN_OR_RETURN(const std::string host, HostName());
  std::string complete = std::string(address) + "@" + host;
  RETURN_IF_ERROR(CheckAddress(complete, /*local_names=*/false));
  return complete;
}

Result<RecipientTable> ParseMailboxes(const std::string& text) {
  // What is plainly one address is taken as it is; GMime reads the rest as a To field.
  if (text.find_first_of(",;<(:") == std::string::npos ||
      CheckAddress(text, /*local_names=*/false)) {
    ASSIGN_OR_RETURN(const std::string address, CompleteAddress(text));
    return RecipientTable{MakeSmtpRecipient(address, kRecipientTo)};
  }
  for (const char c : text) {
    if ((c >= 0 && c < ' ') || c == '\x7F') {
      return Fail(ErrorCode::kInvalidParameter, "the address contains a control character");
    }
  }
  RecipientTable mailboxes;
  for (const RecipientRow& row : ReadHeaders("To: " + text + "\r\n\r\n").recipients) {
    ASSIGN_OR_RETURN(const std::string address, CompleteAddress(row.EmailAddress()));
    // A nameless one is called by its address: the whole one, when it got a domain.
    const bool named = row.DisplayName() != row.EmailAddress();
    mailboxes.push_back(MakeSmtpRecipient(address, kRecipientTo,
                                          named ? row.DisplayName() : std::string_view(address)));
  }
  if (mailboxes.empty() || mailboxes.size() < CountAddresses(text)) {
    return Fail(ErrorCode::kInvalidParameter, "an address in it cannot be read");
  }
  return mailboxes;
}

Result<std::vector<std::string>> ParseRecipients(const std::string& text) {
  ASSIGN_OR_RETURN(const RecipientTable mailboxes, ParseMailboxes(text));
  std::vector<std::string> addresses;
  for (const RecipientRow& row : mailboxes) addresses.emplace_back(row.EmailAddress());
  return addresses;
}

std::optional<std::string> ListNameOf(std::string_view text) {
  if (text.substr(0, kListPrefix.size()) != kListPrefix) return std::nullopt;
  if (text.find(';') != std::string_view::npos) return std::nullopt;
  return std::string(text.substr(kListPrefix.size()));
}

Result<std::string> ParseSender(const std::string& text) {
  if (text.empty() || text == "<>") return std::string();
  ASSIGN_OR_RETURN(std::vector<std::string> addresses, ParseRecipients(text));
  if (addresses.size() != 1) {
    return Fail(ErrorCode::kInvalidParameter, "a sender is one address, not several");
  }
  return std::move(addresses.front());
}

}  // namespace bobbin::cli
