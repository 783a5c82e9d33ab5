// Stops the process when a closure starts a transaction of the engine it runs on.
//
// LMDB would deadlock on itself (Update), or hand out a second snapshot that does
// not see the closure's own writes (View); either is a programmer error that a
// test should meet as a message, not as a hang.
#pragma once

#include "engine/check.h"

namespace bobbin::kv {

enum class ScopeKind : unsigned char { kClosure, kCompletion };

// Marks this thread, for its lifetime, as inside a closure or completion of `engine`.
class TransactionScope {
 public:
  TransactionScope(const void* engine, ScopeKind kind)
      : engine_(engine), kind_(kind), outer_(innermost) {
    innermost = this;
  }
  ~TransactionScope() { innermost = outer_; }
  TransactionScope(const TransactionScope&) = delete;
  TransactionScope& operator=(const TransactionScope&) = delete;

  // Before View and Update, which wait for the engine.
  static void CheckMayWait(const void* engine) {
    BOBBIN_CHECK(!IsInside(engine, ScopeKind::kClosure));
    BOBBIN_CHECK(!IsInside(engine, ScopeKind::kCompletion));
  }

  // Before UpdateAsync, which a completion may call.
  static void CheckMayQueue(const void* engine) {
    BOBBIN_CHECK(!IsInside(engine, ScopeKind::kClosure));
  }

 private:
  static bool IsInside(const void* engine, ScopeKind kind) {
    for (const TransactionScope* scope = innermost; scope != nullptr; scope = scope->outer_) {
      if (scope->engine_ == engine && scope->kind_ == kind) return true;
    }
    return false;
  }

  static inline thread_local const TransactionScope* innermost = nullptr;

  const void* engine_;
  ScopeKind kind_;
  const TransactionScope* outer_;
};

}  // namespace bobbin::kv
