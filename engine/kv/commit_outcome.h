// How an update ended (engine/kv/kv_engine.h, Outcomes).
#pragma once

#include <utility>
#include <variant>

#include "engine/result.h"

namespace bobbin::kv {

struct Committed {};
struct Refused {
  Error error;  // The closure's own error, or why the engine did not run it.
};
struct OutcomeUnknown {
  Error error;  // Always kStoreFailed; the detail says what failed underneath.
};

class [[nodiscard]] CommitOutcome {
 public:
  CommitOutcome(Committed outcome) : value_(outcome) {}                  // NOLINT
  CommitOutcome(Refused outcome) : value_(std::move(outcome)) {}         // NOLINT
  CommitOutcome(OutcomeUnknown outcome) : value_(std::move(outcome)) {}  // NOLINT

  bool IsCommitted() const { return std::holds_alternative<Committed>(value_); }
  bool IsRefused() const { return std::holds_alternative<Refused>(value_); }
  bool IsUnknown() const { return std::holds_alternative<OutcomeUnknown>(value_); }

  // For callers that treat Refused and OutcomeUnknown alike: kStoreFailed tells them apart.
  Result<void> ToResult() && {
    if (auto* refused = std::get_if<Refused>(&value_)) {
      return tl::unexpected<Error>(std::move(refused->error));
    }
    if (auto* unknown = std::get_if<OutcomeUnknown>(&value_)) {
      return tl::unexpected<Error>(std::move(unknown->error));
    }
    return {};
  }

 private:
  std::variant<Committed, Refused, OutcomeUnknown> value_;
};

}  // namespace bobbin::kv
