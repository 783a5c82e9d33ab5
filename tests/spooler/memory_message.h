// MemoryMessage: what the spooler hands a transport, without a store behind it.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "spooler/transmitted_content.h"
#include "spooler/transport_provider.h"

namespace bobbin::test {

class MemoryContent final : public ContentSource {
 public:
  explicit MemoryContent(std::string_view stored) {
    TransmissionFilter filter;
    filter.Filter(stored, transmitted_);
    filter.Finish(transmitted_);
  }

  Result<std::string_view> Next() override {
    if (on_next) on_next();
    if (fail_at && at_ >= *fail_at) return Fail(ErrorCode::kCorruptData, "bodies 7");
    const std::string_view piece = std::string_view(transmitted_).substr(at_, piece_bytes);
    at_ += piece.size();
    return piece;
  }
  void Rewind() override { at_ = 0; }

  std::size_t piece_bytes = 60'000;
  std::optional<std::size_t> fail_at;
  std::function<void()> on_next;

 private:
  std::string transmitted_;
  std::size_t at_ = 0;
};

class MemoryMessage final : public OutboundMessage {
 public:
  MemoryMessage(const std::string& reverse_path, const std::vector<std::string>& addresses,
                std::string_view stored, std::uint64_t id = 7)
      : content(stored), id_(DatabaseId{{1, 2, 3}}, id), reverse_path_(reverse_path) {
    for (const std::string& address : addresses) {
      const auto row = static_cast<std::uint32_t>(recipients_.size());
      recipients_.push_back({RecipientRowId{row}, "SMTP", address});
    }
    bytes_ = stored.size();
  }

  const EntryId& Id() const override { return id_; }
  std::string QueueId() const override { return std::to_string(id_.Object()); }
  Time SubmitTime() const override { return Time(std::chrono::seconds(1'700'000'000)); }
  const std::string& ReversePath() const override { return reverse_path_; }
  MessageNotification Notification() const override { return notification; }
  const std::vector<OutboundRecipient>& Recipients() const override { return recipients_; }
  RecipientTable GetRecipientTable() const override { return {}; }
  std::uint64_t ContentBytes() const override { return bytes_; }
  ContentSource& Content() override { return content; }
  bool BeginsDeferred() const override { return false; }
  void SetReference(std::uint32_t /*reference*/) override {}
  Result<void> SaveChanges() override { return {}; }

  Result<void> MarkInDoubt(std::span<const RecipientRowId> rows) override {
    if (on_mark) on_mark();
    if (refuse_marks) return Fail(ErrorCode::kStoreFailed, "reopen");
    for (const RecipientRowId row : rows) marked.push_back(recipients_[row.value].address);
    return {};
  }
  void StatusRecipient(RecipientRowId row, RecipientOutcome outcome) override {
    outcomes[recipients_[row.value].address] = std::move(outcome);
  }

  OutcomeKind Kind(const std::string& address) const {
    const auto found = outcomes.find(address);
    return found == outcomes.end() ? OutcomeKind::kNotServed : found->second.kind;
  }
  const Reply& LastReply(const std::string& address) const { return outcomes.at(address).reply; }

  RecipientNotification& Notification(std::size_t recipient) {
    return recipients_[recipient].notification;
  }

  MemoryContent content;
  MessageNotification notification;
  std::function<void()> on_mark;
  bool refuse_marks = false;
  std::vector<std::string> marked;  // Addresses, in order.
  std::map<std::string, RecipientOutcome> outcomes;

 private:
  EntryId id_;
  std::string reverse_path_;
  std::vector<OutboundRecipient> recipients_;
  std::uint64_t bytes_ = 0;
};

}  // namespace bobbin::test
