// Plays the listener of one conversation (tools/bobbind/smtp_session.h), without a socket.
#pragma once

#include <string>
#include <string_view>

#include "tools/bobbind/smtp_session.h"

namespace bobbin::daemon {

// Gives `input` to the session until it needs more or `closed`, and each step to `act`; returns
// the replies.
template <class Act>
std::string TakeSteps(SmtpSession& session, std::string_view input, const bool& closed,
                      const Act& act) {
  while (!closed) {
    const SmtpStep step = session.Step(input);
    if (step.kind == SmtpStep::Kind::kNeedInput) break;
    act(step);
  }
  return session.TakeReplies();
}

}  // namespace bobbin::daemon
