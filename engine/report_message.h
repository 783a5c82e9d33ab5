// A report to be created in the transaction that sets recipients TRUE (specification 8, 5.4.9).
//
//   it goes to a store here   unread in the Inbox of that store: content, properties, and what
//                             became of each recipient
//   it goes elsewhere         submitted with the null reverse-path; the content says it all
//
// In a store here the recipients reported on are the rows of the attached original, which is
// as it was at SubmitMessage (C109), or without it, rows of the report itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/entry_id.h"
#include "engine/property.h"

namespace bobbin {

// What a report says about one recipient of the original.
struct ReportedRecipient {
  RecipientRowId row;       // Of the original.
  PropertyList properties;  // PR_REPORT_TIME, PR_REPORT_TEXT, PR_NDR_REASON_CODE, ...
};

struct ReportMessage {
  std::string content;  // RFC 5322.
  PropertyList properties;
  std::string recipient;  // Where it goes: an address. Empty: the store of the original.
  std::vector<ReportedRecipient> recipients;
  bool attach_original = false;  // Its body is shared with the original, not copied.
  // When preprocessors have worked on the original: what they had found. Of the properties the
  // original has now it keeps those that are here, with these values.
  std::optional<PropertyList> original_properties{};
};

}  // namespace bobbin
