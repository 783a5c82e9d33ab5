#include "tests/powerloss/outcome_model.h"

#include <fmt/format.h>

#include <algorithm>

namespace bobbin::powerloss {

namespace {

// Null: it is not there.
const MessageState* FindMessage(const Observation& seen, std::uint64_t message) {
  const auto at =
      std::lower_bound(seen.messages.begin(), seen.messages.end(), message,
                       [](const auto& entry, std::uint64_t id) { return entry.first < id; });
  return at == seen.messages.end() || at->first != message ? nullptr : &at->second;
}

}  // namespace

std::string Describe(const MessageState& state) {
  if (!state.exists) return "absent";
  std::string text = fmt::format("in folder {}, content {:016x},", state.folder, state.content);
  if (state.added != 0) text += fmt::format(" added {:016x}", state.added);
  if (state.unsent) text += " unsent";
  if (state.queued) text += " queued";
  if (state.held) text += " held";
  for (std::size_t i = 0; i < state.recipient_count; ++i) {
    text += fmt::format(" {}{}", (state.recipients[i] & kResponsible) != 0 ? "TRUE:" : "FALSE:",
                        state.recipients[i] & 0xF);
  }
  return text;
}

void OutcomeModel::Apply(const Mark& mark) {
  ++version_;
  switch (mark.subject) {
    case Subject::kDatabase:
      (mark.acknowledged ? database_acknowledged_ : database_asked_) = true;
      return;
    case Subject::kFile: {
      File& file = files_[mark.id];
      file.acknowledged |= mark.acknowledged;
      file.message = mark.message;
      file.row = mark.row;
      return;
    }
    case Subject::kMade:
      made_[{mark.folder, mark.id}] = {mark.message, mark.row};
      return;
    case Subject::kMessage:
      break;
  }
  std::vector<Numbered>& states = messages_.try_emplace(mark.id, 1, Numbered{}).first->second;
  if (mark.acknowledged) {
    std::erase_if(states, [&](const Numbered& state) { return state.number < mark.number; });
    return;
  }
  for (std::uint32_t i = 0; i < mark.state_count; ++i) {
    states.push_back({mark.number + i, mark.states[i]});
  }
}

std::string OutcomeModel::JudgeMessage(std::uint64_t id, const MessageState& seen,
                                       Counts& counts) const {
  const auto known = messages_.find(id);
  if (known == messages_.end()) {
    const Place place{seen.folder, seen.content};
    if (made_.contains(place) && !seen.queued && !seen.unsent) {
      ++counts[place];
      return {};
    }
    return fmt::format("message {} was never asked for: {}\n", id, Describe(seen));
  }
  std::string allowed;
  for (const Numbered& state : known->second) {
    if (state.state == seen) return {};
    allowed += fmt::format("\n    {}: {}", state.number, Describe(state.state));
  }
  return fmt::format("message {} is {}\n  but must be{}\n", id, Describe(seen), allowed);
}

std::string OutcomeModel::JudgeMade(const Observation& seen, const Counts& counts) const {
  std::string wrong;
  for (const auto& [place, made] : made_) {
    const auto counted = counts.find(place);
    const unsigned count = counted == counts.end() ? 0 : counted->second;
    const MessageState* const original = FindMessage(seen, made.message);
    bool is_due = true;
    if (original != nullptr) {
      is_due = (original->recipients[made.row] & kResponsible) != 0;
    } else if (const auto known = messages_.find(made.message);
               known == messages_.end() || known->second.front().number == 0) {
      is_due = count > 0;  // Not yet submitted, or finished and deleted: nobody has been told.
    }
    if (count == (is_due ? 1 : 0)) continue;
    wrong += fmt::format("what recipient {} of message {} gets in folder {} is there {} times\n",
                         made.row, made.message, place.first, count);
  }
  return wrong;
}

std::string OutcomeModel::JudgeFiles(const Observation& seen, const DropFiles& files) const {
  std::string wrong;
  for (const std::uint64_t digest : files) {
    if (!files_.contains(digest)) {
      wrong += fmt::format("new/ has a file {:016x} that nobody wrote\n", digest);
    }
  }
  for (const auto& [digest, file] : files_) {
    if (std::find(files.begin(), files.end(), digest) != files.end()) continue;
    if (file.acknowledged) wrong += fmt::format("file {:016x} is not in new/\n", digest);
    // What the database says was delivered must have been, whoever was told so.
    const MessageState* const message = FindMessage(seen, file.message);
    if (message != nullptr && (message->recipients[file.row] & kResponsible) != 0) {
      wrong += fmt::format("recipient {} of message {} was served, and file {:016x} is missing\n",
                           file.row, file.message, digest);
    }
  }
  return wrong;
}

std::string OutcomeModel::Judge(const Observation& seen, const DropFiles& files) const {
  if (!seen.trouble.empty()) return seen.trouble;
  std::string wrong;
  if (seen.has_database && !database_asked_) wrong += "a database nobody asked for\n";
  if (!seen.has_database && database_acknowledged_) wrong += "the database is gone\n";
  Counts counts;
  auto next = seen.messages.begin();
  for (const auto& [id, states] : messages_) {
    for (; next != seen.messages.end() && next->first < id; ++next) {
      wrong += JudgeMessage(next->first, next->second, counts);
    }
    const bool there = next != seen.messages.end() && next->first == id;
    wrong += JudgeMessage(id, there ? next->second : MessageState{}, counts);
    if (there) ++next;
  }
  for (; next != seen.messages.end(); ++next)
    wrong += JudgeMessage(next->first, next->second, counts);
  return wrong + JudgeMade(seen, counts) + JudgeFiles(seen, files);
}

}  // namespace bobbin::powerloss
