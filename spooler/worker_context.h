// What the steps of one spooler worker work with; all of it is the worker's. Internal to the
// spooler.
#pragma once

#include <memory>
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

//   kNotFound
Result<MessageStore> StoreOf(const Database& database, StoreId id);

}  // namespace bobbin
