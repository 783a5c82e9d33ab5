// The mail clients people use deliver through bobbind.
//
// Method: each client, as packaged, hands one message to a real bobbind that delivers to
// Maildirs; the message must arrive with its text in the recipient's directory.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "engine/database.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;

class MailClients : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Database::Create(directory_.Path() / "db"));
    const std::string program = BOBBIN_BIN_DIR "/bobbind";
    daemon_.emplace(std::vector<std::string>{
        program, "--database", (directory_.Path() / "db").string(), "--listen", "127.0.0.1:0",
        "--maildir", (directory_.Path() / "maildir").string(), "--log-level", "error"});
    const std::string line = daemon_->ReadLine();
    port_ = line.substr(line.find_last_of(':') + 1);
    port_ = port_.substr(0, port_.find_first_not_of("0123456789"));
    ASSERT_FALSE(port_.empty()) << line;
    Write("mail.eml",
          "From: a@x.test\nTo: b@x.test\nSubject: hello\n\nMarker 4711.\n.leading dot\n");
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_.Path() / name) << text;
  }

  // Runs in the temporary directory; $PORT is the daemon's.
  void Run(const std::string& command) {
    const std::string log = (directory_.Path() / "log").string();
    const std::string line = "cd '" + directory_.Path().string() +
                             "' && export HOME=$PWD PORT=" + port_ + " && { " + command +
                             " ; } > '" + log + "' 2>&1";
    EXPECT_EQ(std::system(line.c_str()), 0) << command << "\n" << ReadFile(log);
  }

  void ExpectArrived(const std::string& recipient, const std::string& text) {
    const fs::path inbox = directory_.Path() / "maildir" / recipient / "new";
    const auto holds_it = [&] {
      std::error_code error;
      for (const auto& entry : fs::directory_iterator(inbox, error)) {
        if (ReadFile(entry.path()).find(text) != std::string::npos) return true;
      }
      return false;
    };
    EXPECT_TRUE(Eventually(holds_it)) << inbox;
  }

  TemporaryDirectory directory_;
  std::optional<ChildProcess> daemon_;
  std::string port_;
};

TEST_F(MailClients, Swaks) {
  Run("swaks --server 127.0.0.1:$PORT --from a@x.test --to b@x.test,c@x.test --data @mail.eml");
  ExpectArrived("b@x.test", "Marker 4711.");
  ExpectArrived("c@x.test", ".leading dot");
}

TEST_F(MailClients, Msmtp) {
  Run("msmtp --host=127.0.0.1 --port=$PORT --from=a@x.test b@x.test < mail.eml");
  ExpectArrived("b@x.test", "Marker 4711.");
}

TEST_F(MailClients, Curl) {
  Run("curl -sS smtp://127.0.0.1:$PORT --mail-from a@x.test --mail-rcpt b@x.test "
      "--mail-rcpt c@x.test --upload-file mail.eml");
  ExpectArrived("b@x.test", "Marker 4711.");
  ExpectArrived("c@x.test", ".leading dot");
}

TEST_F(MailClients, PythonSmtplib) {
  Write("send.py",
        "import os, smtplib\n"
        "s = smtplib.SMTP('127.0.0.1', int(os.environ['PORT']))\n"
        "refused = s.sendmail('a@x.test', ['b@x.test', 'c@x.test'], open('mail.eml').read())\n"
        "assert not refused, refused\n"
        "s.quit()\n");
  Run("python3 send.py");
  ExpectArrived("b@x.test", "Marker 4711.");
  ExpectArrived("c@x.test", ".leading dot");
}

TEST_F(MailClients, Nodemailer) {
  Write("send.js",
        "const nodemailer = require('nodemailer');\n"
        "const t = nodemailer.createTransport({host: '127.0.0.1', port: process.env.PORT});\n"
        "t.sendMail({from: 'a@x.test', to: 'b@x.test', bcc: 'c@x.test', subject: 'hello',\n"
        "            text: 'Marker 4711.'}).catch(e => { console.error(e); process.exit(1); });\n");
  Run("NODE_PATH=" BOBBIN_SOURCE_DIR "/build/tools/node_modules node send.js");
  ExpectArrived("b@x.test", "Marker 4711.");
  ExpectArrived("c@x.test", "Marker 4711.");
}

TEST_F(MailClients, GitSendEmail) {
  Run("export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@x.test GIT_COMMITTER_NAME=A "
      "GIT_COMMITTER_EMAIL=a@x.test && git init -q repo && cd repo && "
      "echo one > file && git add file && git commit -q -m 'Marker 4711.' && "
      "git format-patch -q --root -o .. && cd .. && "
      "git send-email --smtp-server=127.0.0.1 --smtp-server-port=$PORT --smtp-encryption=none "
      "--from=a@x.test --to=b@x.test --confirm=never --suppress-cc=all 0001-*.patch");
  ExpectArrived("b@x.test", "Marker 4711.");
}

TEST_F(MailClients, BobbinSubmit) {
  Run(BOBBIN_BIN_DIR "/bobbin submit --database db -f a@x.test b@x.test < mail.eml");
  ExpectArrived("b@x.test", "Marker 4711.");
}

}  // namespace
}  // namespace bobbin::test
