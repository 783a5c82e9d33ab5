// The preprocessors that ship, on the real spooler: what arrives in a Maildir has the footer and a
// signature that an independent verifier (python3-dkim) finds right; what is kept has neither.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "engine/attachment.h"
#include "spooler/composed_message.h"
#include "spooler/preprocessors/dkim.h"
#include "spooler/preprocessors/footer.h"
#include "spooler/spooler.h"
#include "spooler/transports/drop_directory.h"
#include "tests/spooler/smtp_servers.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

// libopendkim keeps 64 bytes when it is given a key that is none; bobbind then says so and ends.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" const char* __lsan_default_suppressions() { return "leak:dkim_privkey_load\n"; }

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ShippedPreprocessors : public testing::Test {
 protected:
  void SetUp() override {
    Run("openssl genrsa -out key.pem 2048 2>/dev/null && "
        "openssl rsa -in key.pem -pubout -outform DER 2>/dev/null | base64 -w0 > key.pub");
    options_.reporting_host = "mail.a.test";
  }

  void Run(const std::string& command) const {
    const std::string line = "cd '" + directory_.Path().string() + "' && { " + command + " ; }";
    ASSERT_EQ(std::system(line.c_str()), 0) << command;
  }

  void Sign(const std::string& domain = "a.test") {
    auto dkim = NewDkimPreprocessor({domain, "s1", ReadFile(directory_.Path() / "key.pem")});
    ASSERT_TRUE(dkim) << ToString(dkim.error());
    options_.preprocessors.push_back(*std::move(dkim));
  }

  // What python3-dkim says of `content`: "True" or "False". Debian's Python, which has the package.
  std::string Verify(const std::string& content) const {
    std::ofstream(directory_.Path() / "mail", std::ios::binary) << content;
    std::ofstream(directory_.Path() / "verify.py")
        << "import dkim\n"
           "key = open('key.pub', 'rb').read()\n"
           "def look(name, timeout=5):\n"
           "    assert name == b's1._domainkey.a.test.', name\n"
           "    return b'v=DKIM1; k=rsa; p=' + key\n"
           "open('verdict', 'w').write(str(dkim.verify(open('mail', 'rb').read(), "
           "dnsfunc=look)))\n";
    Run("/usr/bin/python3 verify.py");
    return ReadFile(directory_.Path() / "verdict");
  }

  Message NewMessage(const std::string& content) {
    Message message = NewDraft(database_.Store(), {"b@x.test"}, "subject");
    EXPECT_TRUE(
        SetProp(message, Property::Bytes(pr::kSentRepresentingEmailAddress, "alice@a.test")));
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSentRepresentingAddressType, "SMTP")));
    if (!content.empty()) {
      MessageBodyWriter writer = database_.Store().NewContent();
      Must(writer.Append(content));
      Must(message.SetContent(Must(writer.Finish())));
    }
    return message;
  }

  // Submits, delivers; what is in the Maildir, as it was transmitted.
  std::string Deliver(Message message) {
    id_ = Must(message.Id());
    Must(message.SubmitMessage());
    SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
    SpoolerShared shared;
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.push_back(
        NewDropDirectoryTransport({.root = (directory_.Path() / "mail.d").string()})());
    Spooler spooler(
        database_.Database(), session, shared, std::move(transports), options_, [] { return 0.5; },
        [](const SpoolerEvent& event) {
          EXPECT_NE(event.kind, SpoolerEventKind::kError) << event.detail;
        });
    while (spooler.RunOnce(database_.Clock().Now()).worked) {
    }
    const fs::path inbox = directory_.Path() / "mail.d" / "b@x.test" / "new";
    std::string content;
    for (const auto& entry : fs::directory_iterator(inbox)) {
      content = ReadFile(entry.path());
      fs::remove(entry.path());
    }
    // The Maildir has lines of its own in front, and bare line feeds.
    std::string transmitted;
    for (const char c : content) transmitted += c == '\n' ? "\r\n" : std::string(1, c);
    return transmitted;
  }

  TemporaryDirectory directory_;
  TemporaryDatabase database_;
  SpoolerOptions options_;
  EntryId id_;
};

constexpr const char* kPlain =
    "Received: by other.test; Sat, 21 Nov 2026 00:00:00 +0000\nFrom: Alice <alice@a.test>\nTo: "
    "b@x.test\nBcc: hidden@x.test\nSubject: a\n folded one\n"
    "X-Odd:  two   blanks \n\nHello.\n\n.dot\ntrailing \n\n\n";

TEST_F(ShippedPreprocessors, WhatIsTransmittedIsSignedAndWhatIsKeptIsNot) {
  Sign();
  const std::string mail = Deliver(NewMessage(kPlain));
  EXPECT_THAT(mail, HasSubstr("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; "));
  EXPECT_EQ(Verify(mail), "True");
  std::string changed = mail;
  changed.replace(changed.find("Hello"), 5, "Hallo");
  EXPECT_EQ(Verify(changed), "False") << "the verifier verifies";
  changed = mail;
  changed.replace(changed.find("other.test"), 5, "route");
  EXPECT_EQ(Verify(changed), "True") << "trace fields are not signed";

  Message kept = Must(database_.Store().OpenMessage(id_, 0));
  EXPECT_EQ(kept.GetProp(pr::kAddedHeaderFields).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(std::string(Must(Must(kept.OpenContent()).Next())), kPlain);
}

// Composed of properties, with HTML and an attachment: rendered twice, once to be signed and once
// to be sent, it is the same.
TEST_F(ShippedPreprocessors, AComposedMessageIsSignedAsItIsSent) {
  Sign();
  Message message = NewMessage("");
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kHtml, "<p>gr\xC3\xBC\xC3\x9F</p>")));
  Attachment attachment = Must(message.CreateAttachment());
  const std::vector<Property> parts{
      Property::Number(pr::kAttachMethod, kAttachByValue),
      Property::Bytes(pr::kAttachLongFilename, "a.bin"),
      Property::Bytes(pr::kAttachDataBinary, std::string("\0\1\2", 3))};
  Must(attachment.SetProps(parts));
  Must(attachment.SaveChanges());
  const std::string mail = Deliver(std::move(message));
  EXPECT_THAT(mail, HasSubstr("multipart/mixed"));
  EXPECT_EQ(Verify(mail), "True");
}

TEST_F(ShippedPreprocessors, MailOfAnotherDomainGoesUnsigned) {
  Sign("other.test");
  EXPECT_THAT(Deliver(NewMessage(kPlain)), Not(HasSubstr("DKIM-Signature")));
}

TEST_F(ShippedPreprocessors, AFooterIsSentSignedAndNotKept) {
  options_.preprocessors.emplace_back([] { return NewFooterPreprocessor("--\nExample Ltd."); });
  Sign();
  const std::string original = Deliver(NewMessage(kPlain));
  EXPECT_THAT(original, EndsWith("trailing \r\n\r\n\r\n--\r\nExample Ltd.\r\n"));
  EXPECT_EQ(Verify(original), "True");
  Message kept = Must(database_.Store().OpenMessage(id_, 0));
  EXPECT_EQ(kept.GetProp(pr::kAddedFooter).error().code, ErrorCode::kNotFound);

  const std::string composed = Deliver(NewMessage(""));
  EXPECT_THAT(composed, HasSubstr("A body.\r\n--\r\nExample Ltd.\r\n"));
  EXPECT_EQ(Verify(composed), "True");
  kept = Must(database_.Store().OpenMessage(id_, 0));
  EXPECT_EQ(Must(kept.GetProp(pr::kBody)).bytes, "A body.");
}

TEST_F(ShippedPreprocessors, AFooterIsNotPutWhereItWouldNotBeText) {
  options_.preprocessors.emplace_back([] { return NewFooterPreprocessor("Example Ltd."); });
  for (const std::string fields :
       {"Content-Type: multipart/mixed; boundary=x\n", "Content-Type: text/html\n",
        "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n",
        "Content-Transfer-Encoding: quoted-printable\n"}) {
    EXPECT_THAT(Deliver(NewMessage("From: alice@a.test\nMIME-Version: 1.0\n" + fields +
                                   "\n--x\n\nSGVsbG8=\n--x--\n")),
                Not(HasSubstr("Example Ltd.")))
        << fields;
  }
  options_.preprocessors.clear();
  options_.preprocessors.emplace_back([] { return NewFooterPreprocessor("B\xC3\xBCro"); });
  EXPECT_THAT(Deliver(NewMessage(kPlain)), Not(HasSubstr("ro\r\n"))) << "8-bit under 7-bit";
  EXPECT_THAT(Deliver(NewMessage("From: alice@a.test\nMIME-Version: 1.0\n"
                                 "Content-Type: text/plain; charset=UTF-8\n"
                                 "Content-Transfer-Encoding: 8bit\n\nHi.\n")),
              EndsWith("Hi.\r\nB\xC3\xBCro\r\n"));
}

TEST(NewDkimPreprocessor, RefusesWhatIsNoKey) {
  for (const char* key : {"", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n"}) {
    EXPECT_THAT(NewDkimPreprocessor({"a.test", "s1", key}), IsError(ErrorCode::kInvalidParameter))
        << key;
  }
  EXPECT_THAT(NewDkimPreprocessor({"", "s1", "x"}), IsError(ErrorCode::kInvalidParameter));
}

}  // namespace
}  // namespace bobbin::test
