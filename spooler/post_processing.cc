#include "spooler/post_processing.h"

#include <utility>
#include <vector>

#include "engine/check.h"
#include "spooler/preprocessing.h"

namespace bobbin {
namespace {

// Errors of the database, not of what a hook has done.
bool IsOfTheStore(ErrorCode code) {
  return code == ErrorCode::kNotEnoughDisk || code == ErrorCode::kStoreFailed ||
         code == ErrorCode::kCorruptData || code == ErrorCode::kDiskError;
}

FolderId SuggestedFolder(const PropertyList& properties) {
  for (const PropertyTag tag : {pr::kSentMailEntryId, pr::kParentEntryId}) {
    const Result<EntryId> id = EntryId::FromBytes(properties.BytesOr(tag, {}));
    if (id) return FolderId{id->Object()};
  }
  return {};
}

}  // namespace

Result<SentMailOrder> PostProcess(const WorkerContext& context, const DueMessage& due,
                                  const PropertyList& missing_sender) {
  ASSIGN_OR_RETURN(Message message, context.session.OpenMessage(due.entry_id));
  ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
  if (properties.FlagOr(pr::kPreprocess, false)) RemovePreprocessing(context, message);
  if (missing_sender.Size() > 0) {
    const std::vector<Property> missing(missing_sender.begin(), missing_sender.end());
    RETURN_IF_ERROR(message.SetProps(missing));
  }
  SentMailOrder order;
  HookDecision decision;
  decision.folder = SuggestedFolder(properties);
  for (const auto& hook : context.options.outbound_hooks) {
    HookDecision proposed = decision;
    if (const Result<void> ran = hook->OutboundMessage(message, proposed); !ran) {
      context.Tell(SpoolerEventKind::kError, due.message,
                   "hook " + std::string(hook->Name()) + ": " + ToString(ran.error()));
      continue;
    }
    if (!(proposed.folder == decision.folder)) order.folder = proposed.folder;
    decision = proposed;
    if (decision.cancel) break;
  }
  order.delete_message = decision.delete_message;
  const Result<void> saved = message.SaveChanges(kKeepOpenReadWrite);
  if (!saved && IsOfTheStore(saved.error().code)) return tl::unexpected<Error>(saved.error());
  // A hook that spoils its own message must not keep it, and all behind it, in the queue.
  if (!saved) context.Tell(SpoolerEventKind::kError, due.message, ToString(saved.error()));
  return order;
}

}  // namespace bobbin
