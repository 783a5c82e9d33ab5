#include "tests/powerloss/marking.h"

#include <sys/mman.h>
#include <xxhash.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "engine/check.h"
#include "tests/powerloss/content_digest.h"

namespace bobbin::powerloss {
namespace {

void Say(const Mark& mark) {
  if (bobbin_power_loss_mark != nullptr) bobbin_power_loss_mark(&mark);
}

Mark FileMark(std::uint64_t message, const OutboundRecipient& recipient, std::uint64_t digest,
              bool acknowledged) {
  Mark mark;
  mark.subject = Subject::kFile;
  mark.acknowledged = acknowledged;
  mark.id = digest;
  mark.message = message;
  mark.row = recipient.row.value;
  return mark;
}

// What the transport does on its way.
class MarkedOutbound final : public OutboundMessage {
 public:
  MarkedOutbound(OutboundMessage& real, MarkedMessages& messages)
      : real_(real), message_(messages.Find(real.Id().Object())) {
    BOBBIN_CHECK(message_ != nullptr);
    before_ = message_->submitted;
    before_.added = message_->added;
    for (std::size_t i = 0; i < table_.size(); ++i) {
      before_.recipients[i] = MarkedRow(table_[i].delivery.state);
    }
    now_ = before_;
    for (const OutboundRecipient& recipient : real_.Recipients()) {
      (recipient.address.starts_with(kRefused) ? refused_ : recipients_).push_back(recipient);
    }
  }

  const EntryId& Id() const override { return real_.Id(); }
  std::string QueueId() const override { return real_.QueueId(); }
  Time SubmitTime() const override { return real_.SubmitTime(); }
  const std::string& ReversePath() const override { return real_.ReversePath(); }
  MessageNotification Notification() const override { return real_.Notification(); }
  const std::vector<OutboundRecipient>& Recipients() const override { return recipients_; }
  RecipientTable GetRecipientTable() const override { return real_.GetRecipientTable(); }
  std::uint64_t ContentBytes() const override { return real_.ContentBytes(); }
  ContentSource& Content() override { return real_.Content(); }
  bool BeginsDeferred() const override { return real_.BeginsDeferred(); }
  void SetReference(std::uint32_t reference) override { real_.SetReference(reference); }
  Result<void> SaveChanges() override { return real_.SaveChanges(); }

  Result<void> MarkInDoubt(std::span<const RecipientRowId> rows) override {
    for (const RecipientRowId row : rows) SetRow(row, RecipientState::kInDoubt);
    message_->Ask({now_});
    RETURN_IF_ERROR(real_.MarkInDoubt(rows));
    message_->AcknowledgeAll();
    return {};
  }
  void StatusRecipient(RecipientRowId row, RecipientOutcome outcome) override {
    if (outcome.kind == OutcomeKind::kDelivered) {
      SetRow(row, RecipientState::kDelivered);
      Delivered(row);
    } else if (outcome.kind == OutcomeKind::kFailed) {
      SetRow(row, RecipientState::kFailed);
    } else {
      // Who was in doubt before this attempt stays so, even if it did not get far.
      const bool in_doubt = outcome.kind == OutcomeKind::kInDoubt ||
                            before_.recipients[IndexOf(row)] == MarkedRow(RecipientState::kInDoubt);
      SetRow(row, in_doubt ? RecipientState::kInDoubt : RecipientState::kPending);
    }
    real_.StatusRecipient(row, std::move(outcome));
  }

  // What the spooler will make durable after the attempt.
  void AskForEnd(SubmitStatus status) {
    bool finishes = status == SubmitStatus::kDone;
    for (std::size_t i = 0; i < now_.recipient_count; ++i) {
      finishes = finishes && (now_.recipients[i] & kResponsible) != 0;
    }
    if (!finishes) {
      message_->Ask({status == SubmitStatus::kDone ? now_ : before_});
      return;
    }
    MessageState undone = now_;
    undone.added = 0;
    message_->Ask({now_, undone, message_->finished});
  }

  void Refuse() {
    for (const OutboundRecipient& recipient : refused_) {
      message_->AskForMade(message_->inbox, message_->report, recipient.row.value);
      StatusRecipient(recipient.row, {OutcomeKind::kFailed, {550, "5.1.1", "nobody here"}, {}});
    }
  }

  // The file that each recipient is to get, as spooler/transports/drop_directory.h has it.
  void AskForFiles() {
    std::string content;
    real_.Content().Rewind();
    for (;;) {
      const Result<std::string_view> piece = real_.Content().Next();
      if (!piece) return;  // The transport will meet the same error.
      if (piece->empty()) break;
      content += *piece;
    }
    std::erase(content, '\r');
    for (const OutboundRecipient& recipient : recipients_) {
      const std::string file = "Return-Path: <" + real_.ReversePath() +
                               ">\nDelivered-To: " + recipient.address + "\n" + content;
      digests_.emplace_back(recipient, XXH3_64bits(file.data(), file.size()));
      Say(FileMark(message_->id.Object(), recipient, digests_.back().second, acknowledge_early));
    }
  }

 private:
  void Delivered(RecipientRowId row) {
    for (const auto& [recipient, digest] : digests_) {
      if (recipient.row == row) Say(FileMark(message_->id.Object(), recipient, digest, true));
    }
  }

  std::size_t IndexOf(RecipientRowId row) const {
    const auto at = std::find_if(table_.begin(), table_.end(),
                                 [&](const RecipientRow& one) { return one.id == row; });
    BOBBIN_CHECK(at != table_.end());
    return static_cast<std::size_t>(at - table_.begin());
  }
  void SetRow(RecipientRowId row, RecipientState state) {
    now_.recipients[IndexOf(row)] = MarkedRow(state);
  }

  OutboundMessage& real_;
  MarkedMessage* const message_;
  const RecipientTable table_ = real_.GetRecipientTable();
  MessageState before_;
  MessageState now_;
  std::vector<OutboundRecipient> recipients_;
  std::vector<OutboundRecipient> refused_;
  std::vector<std::pair<OutboundRecipient, std::uint64_t>> digests_;
};

class MarkedTransport final : public TransportProvider {
 public:
  MarkedTransport(std::unique_ptr<TransportProvider> real, MarkedMessages& messages)
      : real_(std::move(real)), messages_(messages) {}

  std::string_view Name() const override { return real_->Name(); }
  std::vector<std::string> AddressTypes() const override { return real_->AddressTypes(); }
  SubmitResult SubmitMessage(OutboundMessage& message) override {
    MarkedOutbound marked(message, messages_);
    marked.AskForFiles();
    SubmitResult result;
    if (!marked.Recipients().empty()) result = real_->SubmitMessage(marked);
    if (result.status == SubmitStatus::kDone) marked.Refuse();
    marked.AskForEnd(result.status);
    return result;
  }

 private:
  const std::unique_ptr<TransportProvider> real_;
  MarkedMessages& messages_;
};

class MarkedLayer final : public Preprocessor {
 public:
  MarkedLayer(char letter, std::unique_ptr<Preprocessor> real, MarkedMessages& messages)
      : name_(1, letter), real_(std::move(real)), messages_(messages) {}

  std::string_view Name() const override { return name_; }

  Result<void> PreprocessMessage(Message& message, PreprocessContext& context) override {
    if (real_) RETURN_IF_ERROR(real_->PreprocessMessage(message, context));
    ASSIGN_OR_RETURN(const std::string layers, LayersOf(message));
    RETURN_IF_ERROR(SetLayers(message, layers + name_));
    ASSIGN_OR_RETURN(const EntryId id, message.Id());
    ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
    ASSIGN_OR_RETURN(const RecipientTable table, message.GetRecipientTable());
    MarkedMessage* const marked = messages_.Find(id.Object());
    BOBBIN_CHECK(marked != nullptr);
    MessageState state = marked->submitted;
    state.added = AddedDigest(layers + name_, properties.BytesOr(pr::kAddedFooter, {}));
    for (std::size_t i = 0; i < table.size(); ++i) {
      state.recipients[i] = MarkedRow(table[i].delivery.state);
    }
    marked->added = state.added;
    marked->Ask({state, marked->WithLocalRowsServed(state)});
    return {};
  }

  Result<void> RemovePreprocessInfo(Message& message) override {
    ASSIGN_OR_RETURN(std::string layers, LayersOf(message));
    const std::size_t at = layers.find(name_);
    if (at != layers.npos) {
      BOBBIN_CHECK(at + 1 == layers.size());
      layers.pop_back();
      RETURN_IF_ERROR(SetLayers(message, layers));
    }
    if (real_) return real_->RemovePreprocessInfo(message);
    return {};
  }

 private:
  static Result<std::string> LayersOf(const Message& message) {
    ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
    return std::string(properties.BytesOr(kLayers, {}));
  }
  static Result<void> SetLayers(Message& message, const std::string& layers) {
    const std::vector<Property> one{Property::Bytes(kLayers, layers)};
    ASSIGN_OR_RETURN(const auto problems, message.SetProps(one));
    BOBBIN_CHECK(problems.empty());
    return {};
  }

  const std::string name_;
  const std::unique_ptr<Preprocessor> real_;
  MarkedMessages& messages_;
};

}  // namespace

std::uint8_t MarkedRow(RecipientState state) {
  const bool settled = state >= RecipientState::kDelivered;
  return static_cast<std::uint8_t>(static_cast<unsigned>(state) | (settled ? kResponsible : 0U));
}

std::uint32_t MarkedMessage::Ask(std::initializer_list<MessageState> states) {
  Mark mark;
  BOBBIN_CHECK(states.size() <= mark.states.size());
  mark.id = id.Object();
  mark.number = number + 1;
  mark.state_count = static_cast<std::uint8_t>(states.size());
  std::copy(states.begin(), states.end(), mark.states.begin());
  number += mark.state_count;
  state = *(states.end() - 1);
  Say(mark);
  if (acknowledge_early) Acknowledge(mark.number);
  return mark.number;
}

void MarkedMessage::Acknowledge(std::uint32_t state_number) const {
  Mark mark;
  mark.acknowledged = true;
  mark.id = id.Object();
  mark.number = state_number;
  Say(mark);
}

void MarkedMessage::AskForMade(std::uint64_t folder, std::uint64_t content,
                               std::uint32_t row) const {
  Mark mark;
  mark.subject = Subject::kMade;
  mark.id = content;
  mark.folder = folder;
  mark.message = id.Object();
  mark.row = row;
  Say(mark);
}

MessageState MarkedMessage::WithLocalRowsServed(MessageState before) const {
  for (std::size_t i = 0; i < before.recipient_count; ++i) {
    if ((local_rows >> i & 1) != 0) before.recipients[i] = MarkedRow(RecipientState::kDelivered);
  }
  return before;
}

void MarkDatabase(bool acknowledged) {
  Mark mark;
  mark.subject = Subject::kDatabase;
  mark.acknowledged = acknowledged || acknowledge_early;
  Say(mark);
}

MarkedMessages& MarkedMessages::MakeShared() {
  void* const memory = mmap(nullptr, sizeof(MarkedMessages), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  BOBBIN_CHECK(memory != MAP_FAILED);
  return *new (memory) MarkedMessages();
}

MarkedMessage* MarkedMessages::New() {
  const std::size_t at = used_.fetch_add(1);
  return at < messages_.size() ? &messages_[at] : nullptr;
}

void MarkedMessages::Give(MarkedMessage& message) { message.is_the_spoolers.store(true); }

MarkedMessage* MarkedMessages::Find(std::uint64_t object) {
  const std::size_t end = std::min(used_.load(), messages_.size());
  for (std::size_t i = 0; i < end; ++i) {
    if (messages_[i].is_the_spoolers.load() && messages_[i].id.Object() == object) {
      return &messages_[i];
    }
  }
  return nullptr;
}

std::unique_ptr<TransportProvider> MarkTransport(std::unique_ptr<TransportProvider> real,
                                                 MarkedMessages& messages) {
  return std::make_unique<MarkedTransport>(std::move(real), messages);
}

std::unique_ptr<Preprocessor> MarkLayer(char letter, std::unique_ptr<Preprocessor> real,
                                        MarkedMessages& messages) {
  return std::make_unique<MarkedLayer>(letter, std::move(real), messages);
}

}  // namespace bobbin::powerloss
