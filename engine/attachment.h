// Attachment: one attachment of an open message (MAPI: IAttach). A transacted object inside
// another: SaveChanges hands its edits to the message, and the message's own SaveChanges or
// SubmitMessage makes them durable (C18).
//
//   Message::CreateAttachment -> SetProps, SetStream, CreateEmbeddedMessage -> SaveChanges
//                                                                    then Message::SaveChanges
//
// The content is PR_ATTACH_DATA_BIN, usually a stream (PR_ATTACH_METHOD 1), or a message embedded
// in it (5). Attachments of embedded messages nest up to kEmbeddedDepthMax deep.
//
// Threads     As the message: one at a time for a message and all that is open of it.
// Ownership   Keeps the message's object alive, as a closed handle that nobody else can reach.
// Errors      As Message (engine/message.h): kInvalidObject once the message has been submitted
//             (C25), kNoAccess when it is open read-only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/message.h"

namespace bobbin {

struct AttachmentObject;

inline constexpr int kEmbeddedDepthMax = 16;

class Attachment {
 public:
  explicit Attachment(std::shared_ptr<AttachmentObject> object);

  Result<std::uint32_t> Number() const;  // PR_ATTACH_NUM: names it in its message.

  // As those of Message. PR_ATTACH_NUM, PR_ATTACH_SIZE and PR_RECORD_KEY are computed.
  Result<PropertyList> GetProps() const;
  Result<std::vector<PropertyTag>> GetPropList() const;
  Result<Property> GetProp(PropertyTag tag) const;
  Result<std::vector<PropertyProblem>> SetProps(std::span<const Property> properties);
  Result<std::vector<PropertyProblem>> DeleteProps(std::span<const PropertyTag> tags);
  Result<void> SetStream(PropertyTag tag, MessageBody content);
  Result<MessageBodyReader> OpenStream(PropertyTag tag) const;

  // MAPI: OpenProperty(PR_ATTACH_DATA_OBJ, IID_IMessage, MAPI_CREATE). Replaces one that is there
  // when it is saved. An embedded message has no folder, no entry identifier, and cannot be
  // submitted (kNoSupport, C38). Its SaveChanges hands it to this attachment; once the outer
  // message is saved the object is invalid: open it again.
  //   kTooComplex  nested deeper than kEmbeddedDepthMax
  Result<Message> CreateEmbeddedMessage();
  //   kNotFound  the attachment holds no message
  Result<Message> OpenEmbeddedMessage() const;

  // Hands the edits to the message. 0 and kKeepOpenReadOnly end writing through this object.
  //   kObjectDeleted  deleted from the message meanwhile
  Result<void> SaveChanges(std::uint32_t flags = 0);

 private:
  std::shared_ptr<AttachmentObject> object_;
};

}  // namespace bobbin
