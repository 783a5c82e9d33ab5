// What stands between the change feed and a sink: an adviser makes events of changes, a connection
// runs it on its own thread. Internal to engine/.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "engine/change.h"
#include "engine/database_state.h"
#include "engine/notification.h"

namespace bobbin {

// Called on the connection's thread only.
class Adviser {
 public:
  virtual ~Adviser() = default;
  // Inside a View: reads, and keeps what is to be told.
  virtual void Add(RowReader& rows, const Change& change) = 0;
  virtual void AddReload() = 0;
  virtual void AddError(const Error& error) = 0;
  // Outside of it, because a sink may take its time: calls the sink once. False: nothing to tell.
  virtual bool Deliver() = 0;
};

template <class Event>
class EventAdviser : public Adviser {
 public:
  using Sink = std::function<void(const Event&)>;
  explicit EventAdviser(Sink sink) : sink_(std::move(sink)) {}

  bool Deliver() final {
    if (events_.empty()) return false;
    const Event event = std::move(events_.front());
    events_.pop_front();
    sink_(event);
    return true;
  }

 protected:
  void Push(Event event) { events_.push_back(std::move(event)); }

 private:
  Sink sink_;
  std::deque<Event> events_;
};

// Of a table: its events have a kind, kReload unless it is set, and an error.
template <class Event>
class TableAdviser : public EventAdviser<Event> {
 public:
  using EventAdviser<Event>::EventAdviser;
  void AddReload() final { this->Push(Event{}); }
  void AddError(const Error& error) final {
    Event event;
    event.kind = TableEvent::kError;
    event.error = error;
    this->Push(std::move(event));
  }
};

// What is committed after this returns is told.
AdviseConnection Connect(std::shared_ptr<DatabaseState> database, std::unique_ptr<Adviser> adviser);

}  // namespace bobbin
