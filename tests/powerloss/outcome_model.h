// What an application that was told what the marks say may expect of the database it finds after a
// power cut (tests/powerloss/mark.h).
//
//   made by the store      is there once when its recipient is TRUE, else not (kMade)
//   acknowledged           is there
//   asked, not answered    may be there, whole, or not
//   anything else          is not there
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/powerloss/mark.h"

namespace bobbin::powerloss {

// What one state of the disk turned out to hold.
struct Observation {
  bool has_database = false;
  std::string trouble;  // It does not open, or CheckStore has findings.
  std::vector<std::pair<std::uint64_t, MessageState>> messages;  // Ascending.
};

// Digests of the files in the new/ directories.
using DropFiles = std::vector<std::uint64_t>;

class OutcomeModel {
 public:
  void Apply(const Mark& mark);

  // What is wrong; empty when all is as it may be.
  std::string Judge(const Observation& seen, const DropFiles& files) const;

  std::uint64_t Version() const { return version_; }  // Another one after each mark.

 private:
  struct Numbered {
    std::uint32_t number;
    MessageState state;
  };
  struct File {
    bool acknowledged = false;
    std::uint64_t message = 0;
    std::uint32_t row = 0;
  };

  // Folder and content of what the store made, and how often it was seen.
  using Place = std::pair<std::uint64_t, std::uint64_t>;
  using Counts = std::map<Place, unsigned>;
  struct Made {
    std::uint64_t message = 0;
    std::uint32_t row = 0;
  };

  std::string JudgeMessage(std::uint64_t id, const MessageState& seen, Counts& counts) const;
  std::string JudgeMade(const Observation& seen, const Counts& counts) const;
  std::string JudgeFiles(const Observation& seen, const DropFiles& files) const;

  std::uint64_t version_ = 0;
  bool database_asked_ = false;
  bool database_acknowledged_ = false;
  std::map<std::uint64_t, std::vector<Numbered>> messages_;  // The states each may be in.
  std::map<std::uint64_t, File> files_;
  std::map<Place, Made> made_;
};

std::string Describe(const MessageState& state);

}  // namespace bobbin::powerloss
