// A .msg file becomes a message of a store, every property with it.
//
// Named properties get the identifiers their names have in the database. Properties that the store
// computes or refuses (PR_ENTRYID, PR_CREATION_TIME, ...) keep what the file says under a name: the
// number of their identifier in kImportedPropertySet. docs/cli.md lists them.
#pragma once

#include "engine/database.h"
#include "tools/bobbin/msg_file.h"

namespace bobbin::cli {

// {B0BB1A00-4D53-4701-9E1C-6F7574626F78}
inline constexpr ClassId kImportedPropertySet{{0x00, 0x1A, 0xBB, 0xB0, 0x53, 0x4D, 0x01, 0x47, 0x9E,
                                               0x1C, 0x6F, 0x75, 0x74, 0x62, 0x6F, 0x78}};

// Reads the streams of `file`. Durable when it returns.
//   kTooBig  a recipient's properties take more than Message::kPropertyBytesMax
Result<EntryId> ImportMsg(const Database& database, MessageStore& store, FolderId folder,
                          MsgFile& file);

}  // namespace bobbin::cli
