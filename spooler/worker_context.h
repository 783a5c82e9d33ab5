// What the steps of one spooler worker work with; all of it is the worker's. Internal to the
// spooler.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/database.h"
#include "spooler/logged_on_transport.h"
#include "spooler/spooler.h"

namespace bobbin {

struct WorkerContext {
  const Database& database;
  SpoolerSession& session;
  SpoolerShared& shared;
  const std::vector<std::unique_ptr<LoggedOnTransport>>& transports;
  const TransportProfile& profile;  // Of these.
  const SpoolerOptions& options;
  const Spooler::Random& random;
  const SpoolerEventSink& events;

  void Tell(SpoolerEventKind kind, MessageId message, std::string detail) const {
    events({kind, message, {}, {}, {}, {}, std::move(detail)});
  }
};

// Whose mail it is that was composed in a store without a sender: the store's name, when that is an
// address; else empty.
//   kCorruptData  its record does not verify or is missing: nobody may take that for no sender
Result<std::string> AddressOf(const Database& database, StoreId id);

}  // namespace bobbin
