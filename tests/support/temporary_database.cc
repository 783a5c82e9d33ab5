#include "tests/support/temporary_database.h"

#include "engine/attachment.h"
#include "engine/kv/lmdb_engine.h"
#include "engine/lock_table.h"
#include "tests/support/matchers.h"

namespace bobbin {

TemporaryDatabase::TemporaryDatabase() {
  Must(Database::Create(Path()));
  Open();
  id_ = database_->Id();
}

TemporaryDatabase::~TemporaryDatabase() {
  Close();
  RemoveVolatileState(id_);
}

std::shared_ptr<kv::Engine> TemporaryDatabase::Engine() const {
  kv::LmdbOptions options;
  options.tables = Database::TableNames();
  return Must(kv::OpenLmdbEngine(Path(), options));
}

void TemporaryDatabase::Close() {
  store_.reset();
  database_.reset();
}

void TemporaryDatabase::Open() {
  DatabaseOptions options;
  options.clock = &clock_;
  database_ = Must(Database::Open(Path(), options));
  store_ = Must(database_->OpenOrCreateMessageStore(kStoreName));
}

Message NewDraft(MessageStore& store, FolderId folder, const std::vector<std::string>& recipients,
                 std::string_view subject) {
  Message message = Must(store.CreateMessage(folder));
  const std::vector<Property> properties{
      Property::Bytes(pr::kMessageClass, "IPM.Note"),
      Property::Bytes(pr::kSubject, std::string(subject)),
      Property::Bytes(pr::kBody, "A body."),
  };
  if (!Must(message.SetProps(properties)).empty()) throw std::runtime_error("SetProps: problems");
  std::vector<RecipientRow> rows;
  rows.reserve(recipients.size());
  for (const std::string& recipient : recipients) {
    rows.push_back(MakeSmtpRecipient(recipient, kRecipientTo));
  }
  Must(message.ModifyRecipients(kModifyRecipientsReplace, std::move(rows)));
  return message;
}

Message NewDraft(MessageStore& store, const std::vector<std::string>& recipients,
                 std::string_view subject) {
  return NewDraft(store, store.Folders().outbox, recipients, subject);
}

EntryId SubmitNew(MessageStore& store, const std::vector<std::string>& recipients,
                  std::string_view subject) {
  Message message = NewDraft(store, recipients, subject);
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  return id;
}

void SetContent(const MessageStore& store, Message& message, std::string_view content) {
  MessageBodyWriter writer = store.NewContent();
  Must(writer.Append(content));
  Must(message.SetContent(Must(writer.Finish())));
}

void AttachStreamAndMessage(const MessageStore& store, Message& message, std::string_view data) {
  Attachment attachment = Must(message.CreateAttachment());
  MessageBodyWriter writer = store.NewContent();
  Must(writer.Append(data));
  Must(attachment.SetStream(pr::kAttachDataBinary, Must(writer.Finish())));
  Must(Must(attachment.CreateEmbeddedMessage()).SaveChanges());
  Must(attachment.SaveChanges());
}

bool SetProp(Message& message, Property property) {
  return Must(message.SetProps(std::vector<Property>{std::move(property)})).empty();
}

PropertyList StoredProps(const Database& database, const EntryId& id) {
  return Must(Must(database.OpenMessageForOperator(MessageId{id.Object()})).GetProps());
}

std::uint32_t StoredFlags(const Database& database, const EntryId& id) {
  return static_cast<std::uint32_t>(StoredProps(database, id).NumberOr(pr::kMessageFlags, 0));
}

bool IsStored(const Database& database, const EntryId& id) {
  const Result<Message> message = database.OpenMessageForOperator(MessageId{id.Object()});
  if (!message && message.error().code != ErrorCode::kNotFound) {
    throw std::runtime_error(ToString(message.error()));
  }
  return message.has_value();
}

namespace {

// The identifier of the database is random; without it, what happened in two databases can be
// compared.
std::string WithoutDatabaseId(std::string bytes, const DatabaseId& id) {
  const std::string raw(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  for (const std::string& part : {raw, raw.substr(0, 8), ToHex(raw.substr(0, 8))}) {
    for (std::size_t at = bytes.find(part); at != std::string::npos; at = bytes.find(part)) {
      bytes.replace(at, part.size(), "<database>");
    }
  }
  return bytes;
}

std::string Describe(const PropertyList& properties, const DatabaseId& id) {
  std::string text;
  for (const Property& property : properties) {
    text += "  " + std::to_string(property.tag.value) + "=" + std::to_string(property.number) +
            " " + ToHex(WithoutDatabaseId(property.bytes, id)) + "\n";
  }
  return text;
}

std::string Describe(const RecipientRow& row, const DatabaseId& id) {
  const RecipientDelivery& delivery = row.delivery;
  return " row " + std::to_string(row.id.value) + " " +
         (delivery.responsibility ? "TRUE " : "FALSE ") + std::string(ToString(delivery.state)) +
         " attempts " + std::to_string(delivery.attempts) + " next " +
         std::to_string(delivery.next_attempt.time_since_epoch().count()) + " reply " +
         delivery.last_reply.text + "\n" + Describe(row.properties, id);
}

}  // namespace

std::string Describe(const Database& database, const EntryId& id) {
  if (!IsStored(database, id)) return "absent\n";
  const Message message = Must(database.OpenMessageForOperator(MessageId{id.Object()}));
  std::string text = "message\n" + Describe(Must(message.GetProps()), database.Id());
  for (const RecipientRow& row : Must(message.GetRecipientTable()))
    text += Describe(row, database.Id());
  if (Result<MessageBodyReader> content = message.OpenContent()) {
    text += " content ";
    for (;;) {
      const std::string_view piece = Must(content->Next());
      if (piece.empty()) break;
      text += ToHex(piece);
    }
    text += "\n";
  }
  const Result<QueueRow> row = database.GetOutgoingQueue().Row(MessageId{id.Object()});
  if (row) {
    text += " queued " + std::to_string(row->sequence) + " lane " +
            std::to_string(static_cast<int>(row->lane)) + " due " +
            std::to_string(row->due.time_since_epoch().count()) + "\n" +
            Describe(row->AsProperties(), database.Id());
  } else if (row.error().code != ErrorCode::kNotInQueue) {
    throw std::runtime_error(ToString(row.error()));
  }
  return text;
}

std::vector<MessageId> QueueOrder(const Database& database) {
  std::vector<MessageId> order;
  for (const QueueRow& row : Must(database.GetOutgoingQueue().Rows(1'000'000))) {
    order.push_back(row.message);
  }
  return order;
}

std::string Findings(const Database& database) {
  std::string text;
  for (const Finding& finding : Must(database.CheckStore()).findings) {
    text += finding.table + " " + finding.key + ": " + finding.detail + "\n";
  }
  return text;
}

}  // namespace bobbin
