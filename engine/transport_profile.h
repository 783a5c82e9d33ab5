// The transport profile: what a running spooler's transports take, in transport order. It decides
// inside SubmitMessage, in whatever process that is called, whether a preprocessor applies
// (specification 4.10, step 4).
//
// The spooler publishes it into the memory that all processes of the database share
// (SpoolerSession::PublishTransports). Volatile: it dies with the session, and nothing of it is in
// the database. Where nobody publishes, messages are queued without SUBMITFLAG_PREPROCESS, and the
// spooler that finds them asks its own preprocessors.
//
// Threads  Any number.   Processes  Any number.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lock_table.h"
#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin {

// A recipient matches when its entry identifier carries `uid` or its address type is
// `address_type`; with both given either will do, with both empty everyone matches (C101).
struct PreprocessorMatch {
  std::string uid;  // 16 bytes, or empty.
  std::string address_type;
};

struct TransportEntry {
  bool any_address_type = false;
  std::vector<std::string> address_types;  // Upper case; compared byte for byte (Q6).
  std::vector<std::string> uids;
  std::vector<PreprocessorMatch> preprocessors;
};

struct TransportProfile {
  std::vector<TransportEntry> transports;  // In transport order.
  bool has_outbound_hooks = false;
};

// The MAPIUID inside a recipient's entry identifier; empty when there is none.
std::string_view RecipientUid(const RecipientRow& row);

// The transports that match `row`, in the order they are asked: UIDs of all of them before address
// types of all of them (C66). Indexes into `transports`.
std::vector<std::size_t> MatchingTransports(const TransportProfile& profile,
                                            const RecipientRow& row);

bool Matches(const PreprocessorMatch& match, const RecipientRow& row);

// True when some recipient would be handled by a transport that has a preprocessor for it.
bool NeedsPreprocessing(const TransportProfile& profile, const RecipientTable& recipients);

// Where profiles are published. One per session, the last published one counts.
class TransportProfiles {
 public:
  virtual ~TransportProfiles() = default;
  //   kTooBig              over 4,080 bytes when packed
  //   kNotEnoughResources  16 living sessions have published one
  virtual Result<void> Publish(LockSession session, const TransportProfile& profile) = 0;
  // Of the living session that published last; null when there is none. Cheap enough for every
  // submission: shared memory is read again only after somebody has published.
  virtual std::shared_ptr<const TransportProfile> Current() = 0;
};

}  // namespace bobbin
