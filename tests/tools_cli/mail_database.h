// A database with real mail in every state that mail can be in, for tests of whole databases.
#pragma once

#include "engine/database.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {

class MailDatabaseTest : public CliTest {
 protected:
  MailDatabaseTest() { Init(); }

  // Messages of the corpus (BOBBIN_CORPUS; without it the small set beside the tests), at most
  // `count`: due, and of each state below one: a draft, held, in doubt, waiting with a reply.
  void FillWithMail(std::size_t count);

  // What FillWithMail has put into that state; queue ids.
  std::string aborted_;
  std::string held_;
  std::string in_doubt_;
  std::string waiting_;  // Its first recipient is delivered, the second gets another attempt.

  // One line per finding; empty when bobbin check finds nothing. Fails the test if it cannot look.
  std::string FindingsOf(const std::filesystem::path& database) const;
  std::string DumpOf(const std::filesystem::path& database) const;
  std::uintmax_t FileBytes() const { return std::filesystem::file_size(database_ / "data.mdb"); }

 private:
  void TryToDeliver(const std::string& queue_id, const std::function<void(RecipientRow&)>& outcome);
};

}  // namespace bobbin::test
