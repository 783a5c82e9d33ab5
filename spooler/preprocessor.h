// Preprocessor: changes a message between its submission and its transmission, and takes the change
// back from what is kept (MAPI: PreprocessMessage and RemovePreprocessInfo, specification 4.13, 7).
//
//   submitted with SUBMITFLAG_PREPROCESS -> locked -> PreprocessMessage of every match, in order
//     -> second submit -> transports -> RemovePreprocessInfo, in reverse -> hooks -> sent mail
//
//   PreprocessMessage fails           nothing is sent; tried again, the wait doubling; after
//                                     SpoolerOptions::preprocess_attempts_max all recipients fail
//   crash while it runs               repeated; RemovePreprocessInfo comes first
//   RemovePreprocessInfo fails        told (SpoolerEventKind::kError), then as if it had not
//
// Threads    One at a time per instance; each spooler worker has its own.
// Ownership  What is passed in is borrowed for the call.
#pragma once

#include <memory>
#include <string_view>

#include "engine/message.h"
#include "spooler/outbound_message.h"

namespace bobbin {

// What a preprocessor may ask of the spooler while it works on a message.
class PreprocessContext {
 public:
  virtual ~PreprocessContext() = default;

  // The message as it is now, in the form in which it will be transmitted.
  virtual Result<std::unique_ptr<ContentSource>> OpenTransmittedContent(const Message& message) = 0;

  // A writer for content, to be given to Message::SetContent.
  virtual MessageBodyWriter NewContent() = 0;

  // A new message in the Outbox of the message's store. Given to Submit, it is submitted after all
  // preprocessors have run; otherwise it is gone.
  virtual Result<Message> CreateMessage() = 0;
  virtual void Submit(Message message) = 0;

  // A recipient known to be undeliverable: it fails, is reported, and is offered to nobody.
  virtual void SetUndeliverable(RecipientRowId row, Reply reply) = 0;
};

class Preprocessor {
 public:
  virtual ~Preprocessor() = default;

  virtual std::string_view Name() const = 0;  // For logs.

  // May change the message and its recipients; what it leaves unsaved is saved for it. To keep the
  // message from being sent: remove all recipients and set PR_DELETE_AFTER_SUBMIT (C103). Must
  // bear being called again on a message it has worked on, after RemovePreprocessInfo.
  virtual Result<void> PreprocessMessage(Message& message, PreprocessContext& context) = 0;

  // After transmission, on the message to be kept; and on a copy that is not saved, for the
  // original in a report. Must bear a message that PreprocessMessage never finished with.
  virtual Result<void> RemovePreprocessInfo(Message& message) = 0;
};

}  // namespace bobbin
