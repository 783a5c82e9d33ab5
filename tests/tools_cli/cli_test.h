// A temporary directory with a database in it, and the real `bobbin` to run against it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/file_bytes.h"
#include "tests/tools_cli/documented_fields.h"
#include "tests/tools_cli/run_program.h"

namespace bobbin::test {

class CliTest : public testing::Test {
 public:
  CliTest() {
    std::string name = testing::TempDir() + "bobbin-cli-XXXXXX";
    directory_ = mkdtemp(name.data());
    database_ = directory_ / "db";
  }

  ~CliTest() override {
    RemoveLockSegment();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  CliTest(const CliTest&) = delete;
  CliTest& operator=(const CliTest&) = delete;

 protected:
  Start StartOf(std::vector<std::string> arguments, const std::filesystem::path& input = {}) const {
    arguments.insert(arguments.begin(), BOBBIN_PROGRAM);
    return {arguments, input, directory_, {"BOBBIN_DATABASE=" + database_.string()}};
  }

  Ended Bobbin(std::vector<std::string> arguments, const std::filesystem::path& input = {}) const {
    return RunProgram(StartOf(std::move(arguments), input));
  }

  // On another database.
  Ended BobbinIn(const std::filesystem::path& database, std::vector<std::string> command) const {
    command.insert(command.begin(), {"--database", database.string()});
    return Bobbin(std::move(command));
  }

  std::filesystem::path Data() const { return database_ / "data.mdb"; }

  void Init() const {
    const Ended run = Bobbin({"init"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }

  std::filesystem::path File(const std::string& content, const std::string& name = "input") const {
    std::ofstream(directory_ / name, std::ios::binary) << content;
    return directory_ / name;
  }

  // Submits and returns the queue id.
  std::string Submit(const std::string& content,
                     std::vector<std::string> arguments = {"-f", "a@x.test", "b@x.test"}) const {
    arguments.insert(arguments.begin(), "submit");
    const Ended run = Bobbin(std::move(arguments), File(content));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_FALSE(run.out.empty());
    return run.out.substr(0, run.out.find('\n'));
  }

  nlohmann::ordered_json ShowJson(const std::string& queue_id) const {
    const Ended run = Bobbin({"queue", "show", "--json", queue_id});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    const auto objects = ParseLines(run.out);
    return objects.size() == 1 ? objects[0] : nlohmann::ordered_json();
  }

  std::vector<std::string> RecipientAddresses(const std::string& queue_id) const {
    std::vector<std::string> addresses;
    const nlohmann::ordered_json shown = ShowJson(queue_id);
    for (const auto& row : shown["recipients"]) addresses.push_back(row["address"]);
    return addresses;
  }

  std::string QueuedIds() const { return Bobbin({"queue", "list", "--ids"}).out; }

  // Flips a bit in every copy of `text` in data.mdb; returns how many copies there were.
  std::size_t DamageEvery(const std::string& text) const {
    std::string bytes = ReadFile(Data());
    std::size_t count = 0;
    for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at)) {
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      ++count;
    }
    std::fstream file(Data(), std::ios::binary | std::ios::in | std::ios::out);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return count;
  }

  std::filesystem::path directory_;
  std::filesystem::path database_;

 private:
  // As RemoveVolatileState, also when the database is one that cannot be opened any more.
  void RemoveLockSegment() const {
    std::ifstream identity(database_ / "identity");
    for (std::string word; identity >> word;) {
      if (word == "database-id" && identity >> word) {
        std::error_code ignored;
        std::filesystem::remove("/dev/shm/bobbin-" + word, ignored);
      }
    }
  }
};

inline constexpr const char* kMessage =
    "From: Amy <a@x.test>\nTo: Bob <b@x.test>\nSubject: Tea\n\nAt five.\n";

}  // namespace bobbin::test
