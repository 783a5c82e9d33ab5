// What a sink has been told, for a test that waits for it.
//
// Sinks are called on threads of their own, in order. So a test causes one more event, the marker,
// and looks at what was told before it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace bobbin {

template <class Event>
class RecordedEvents {
 public:
  // Keeps what it is told, also when this object has gone.
  std::function<void(const Event&)> Sink() {
    return [state = state_](const Event& event) {
      const std::lock_guard lock(state->mutex);
      state->events.push_back(event);
      state->arrived.notify_all();
    };
  }

  // Takes everything up to the first event that `is_marker`, which is left out. Fails the test when
  // none comes.
  std::vector<Event> Until(const std::function<bool(const Event&)>& is_marker) {
    std::unique_lock lock(state_->mutex);
    std::size_t at = 0;
    const bool found = state_->arrived.wait_for(lock, std::chrono::seconds(60), [&] {
      for (; at < state_->events.size(); ++at) {
        if (is_marker(state_->events[at])) return true;
      }
      return false;
    });
    EXPECT_TRUE(found) << "the event that was waited for never came";
    const auto end = state_->events.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<Event> before(state_->events.begin(), end);
    state_->events.erase(state_->events.begin(), found ? end + 1 : end);
    return before;
  }

  // What has come and was not taken.
  std::vector<Event> All() const {
    const std::lock_guard lock(state_->mutex);
    return state_->events;
  }

  // The next `count`.
  std::vector<Event> Take(std::size_t count) {
    std::unique_lock lock(state_->mutex);
    EXPECT_TRUE(state_->arrived.wait_for(lock, std::chrono::seconds(60),
                                         [&] { return state_->events.size() >= count; }));
    std::vector<Event> taken;
    taken.swap(state_->events);
    if (taken.size() > count) {
      const auto rest = taken.begin() + static_cast<std::ptrdiff_t>(count);
      state_->events.assign(rest, taken.end());
      taken.erase(rest, taken.end());
    }
    return taken;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<Event> events;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace bobbin
