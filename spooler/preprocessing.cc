#include "spooler/preprocessing.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"

namespace bobbin {
namespace {

class Context final : public PreprocessContext {
 public:
  Context(const WorkerContext& worker, MessageStore store, OutboundIdentity identity,
          PreprocessResult& result)
      : worker_(worker),
        store_(std::move(store)),
        identity_(std::move(identity)),
        result_(result) {}

  Result<std::unique_ptr<ContentSource>> OpenTransmittedContent(const Message& message) override {
    return bobbin::OpenTransmittedContent(message, identity_);
  }
  MessageBodyWriter NewContent() override { return store_.NewContent(); }
  Result<Message> CreateMessage() override {
    return worker_.session.CreateMessage(store_.Id(), store_.Folders().outbox);
  }
  void Submit(Message message) override { result_.messages.push_back(std::move(message)); }
  void SetUndeliverable(RecipientRowId row, Reply reply) override {
    result_.undeliverable.push_back({row, std::move(reply)});
  }

 private:
  const WorkerContext& worker_;
  MessageStore store_;
  OutboundIdentity identity_;
  PreprocessResult& result_;
};

// In the order of their registration, of one name only the first: transports log on in transport
// order. `unserved_only`: those that recipients with responsibility FALSE match; when the message
// is undone nobody is FALSE.
std::vector<Preprocessor*> MatchingPreprocessors(const WorkerContext& context,
                                                 const RecipientTable& recipients,
                                                 bool unserved_only) {
  std::vector<Preprocessor*> matching;
  for (const auto& transport : context.transports) {
    if (transport->IsDead()) continue;
    for (const auto& [match, preprocessor] : transport->Preprocessors()) {
      const auto runs_for = [&, &wanted = match](const RecipientRow& row) {
        if (unserved_only && row.delivery.responsibility) return false;
        const std::vector<std::size_t> transports = MatchingTransports(context.profile, row);
        return !transports.empty() && transports.front() == transport->Index() &&
               Matches(wanted, row);
      };
      const bool is_listed = std::any_of(
          matching.begin(), matching.end(),
          [&, &other = preprocessor](Preprocessor* one) { return one->Name() == other->Name(); });
      if (!is_listed && std::any_of(recipients.begin(), recipients.end(), runs_for)) {
        matching.push_back(preprocessor.get());
      }
    }
  }
  return matching;
}

}  // namespace

bool IsPreprocessingDue(const WorkerContext& context, const PropertyList& message,
                        const RecipientTable& recipients) {
  const auto flags = static_cast<std::uint32_t>(message.NumberOr(pr::kSubmitFlags, 0));
  if ((flags & kSubmitFlagPreprocess) != 0) return true;
  return !message.FlagOr(pr::kPreprocess, false) &&
         !MatchingPreprocessors(context, recipients, true).empty();
}

void RemovePreprocessing(const WorkerContext& context, Message& message) {
  const MessageId id{message.Id() ? message.Id()->Object() : 0};
  const Result<RecipientTable> recipients = message.GetRecipientTable();
  if (!recipients) return context.Tell(SpoolerEventKind::kError, id, ToString(recipients.error()));
  const std::vector<Preprocessor*> matching = MatchingPreprocessors(context, *recipients, false);
  for (auto preprocessor = matching.rbegin(); preprocessor != matching.rend(); ++preprocessor) {
    const Result<void> removed = (*preprocessor)->RemovePreprocessInfo(message);
    if (removed) continue;
    context.Tell(SpoolerEventKind::kError, id,
                 std::string((*preprocessor)->Name()) +
                     " did not take back what it did: " + ToString(removed.error()));
  }
}

Result<void> Preprocess(const WorkerContext& context, const DueMessage& due,
                        const OutboundIdentity& identity, PreprocessResult& result) {
  ASSIGN_OR_RETURN(result.attempts, context.session.BeginPreprocessing(due.entry_id));
  if (result.attempts > context.options.preprocess_attempts_max) {
    return Fail(ErrorCode::kCallFailed,
                "it was begun " + std::to_string(result.attempts - 1) + " times and never ended");
  }
  ASSIGN_OR_RETURN(MessageStore store, context.database.OpenMessageStore(due.store));
  ASSIGN_OR_RETURN(Message message, context.session.OpenMessage(due.entry_id));
  if (result.attempts > 1) {
    RemovePreprocessing(context, message);
    RETURN_IF_ERROR(message.SaveChanges(kKeepOpenReadWrite));
  }
  Context preprocess(context, std::move(store), identity, result);
  ASSIGN_OR_RETURN(const RecipientTable recipients, message.GetRecipientTable());
  for (Preprocessor* preprocessor : MatchingPreprocessors(context, recipients, true)) {
    RETURN_IF_ERROR(preprocessor->PreprocessMessage(message, preprocess));
    RETURN_IF_ERROR(message.SaveChanges(kKeepOpenReadWrite));
  }
  return {};
}

Result<void> SubmitPreprocessed(const WorkerContext& context, const DueMessage& due,
                                PreprocessResult& result) {
  for (Message& product : result.messages) RETURN_IF_ERROR(product.SubmitMessage());
  ASSIGN_OR_RETURN(Message message, context.session.OpenMessage(due.entry_id));
  return message.SubmitMessage();
}

}  // namespace bobbin
