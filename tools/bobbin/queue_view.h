// How queue rows and recipients are shown: JSON objects (docs/cli.md has the fields) and lines
// for people.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engine/database.h"
#include "engine/outgoing_queue.h"
#include "engine/recipient_table.h"
#include "tools/bobbin/output.h"

namespace bobbin::cli {

// Names of stores by their id, for rows that carry only the id.
using StoreNames = std::map<StoreId, std::string>;
Result<StoreNames> ReadStoreNames(const Database& database);
std::string StoreNameOf(const StoreNames& names, StoreId id);

// "locked" (being delivered), "held", "waiting" (due later) or "due"; in this order of precedence.
std::string_view StateOf(const QueueRow& row, Time now);
Style StyleOf(std::string_view state);

// Null for the epoch, which stands for "never" and "not yet".
Json TimeJson(Time time);

Json QueueRowJson(const QueueRow& row, const StoreNames& names, Time now);
Json RecipientJson(const RecipientRow& recipient);

// One block of lines per recipient: address and state, then what is known beyond that, the last
// reply with all of its lines.
void PrintRecipients(Output& output, const RecipientTable& recipients, Time now);

// "(12) a@x.test; b@x.test; ...": as much of whom it goes to as a queue row knows.
std::string RecipientsText(const QueueRow& row);

}  // namespace bobbin::cli
