// The form in which content leaves.
//
// Method: each message is filtered whole, and cut into two pieces at every place, and byte by byte;
// all must give the same.

#include "spooler/transmitted_content.h"

#include <gtest/gtest.h>

#include "spooler/internet_message.h"

namespace bobbin {
namespace {

std::string FilterPieces(std::string_view stored, std::size_t first, std::size_t piece) {
  TransmissionFilter filter;
  std::string out;
  filter.Filter(stored.substr(0, first), out);
  for (std::size_t at = first; at < stored.size(); at += piece) {
    filter.Filter(stored.substr(at, piece), out);
  }
  filter.Finish(out);
  return out;
}

void ExpectTransmitted(std::string_view stored, std::string_view transmitted) {
  EXPECT_EQ(FilterPieces(stored, stored.size(), 1), transmitted);
  EXPECT_EQ(FilterPieces(stored, 0, 1), transmitted) << "byte by byte";
  for (std::size_t cut = 0; cut < stored.size(); ++cut) {
    EXPECT_EQ(FilterPieces(stored, cut, stored.size()), transmitted) << "cut at " << cut;
  }
}

TEST(TransmittedContent, HasOnlyCrlfLineEnds) {
  ExpectTransmitted("A: b\nC: d\r\n\nx\r\ny\nz", "A: b\r\nC: d\r\n\r\nx\r\ny\r\nz\r\n");
  ExpectTransmitted("A: b\r\n\r\na\rb\r\r\nc\r", "A: b\r\n\r\na b \r\nc \r\n");
  ExpectTransmitted("", "");
  ExpectTransmitted("\n", "\r\n");
  ExpectTransmitted("\r", " \r\n");
  ExpectTransmitted("A: b", "A: b\r\n");
}

TEST(TransmittedContent, LeavesEverythingElseAlone) {
  const std::string bytes("A: b\r\n\r\n\0\x01\x80\xff .\r\n.\r\n..\r\n", 23);
  ExpectTransmitted(bytes, bytes);
}

TEST(TransmittedContent, HasNoBccField) {
  ExpectTransmitted("To: a\r\nBcc: s@x.test,\r\n\tt@x.test\r\n u@x.test\r\nSubject: x\r\n\r\nb\r\n",
                    "To: a\r\nSubject: x\r\n\r\nb\r\n");
  ExpectTransmitted("BCC: s\nTo: a\n\nb", "To: a\r\n\r\nb\r\n");
  ExpectTransmitted("bcc \t : s\r\nresent-BCC: t\r\nBcc:\r\nTo: a\r\n\r\n", "To: a\r\n\r\n");
  ExpectTransmitted("Bcc: s", "");
  ExpectTransmitted("Bcc: s\r\n\r\nb", "\r\nb\r\n");
  ExpectTransmitted("Bcc" + std::string(2'000, ' ') + ": s\r\nTo: a\r\n\r\n", "To: a\r\n\r\n");
}

TEST(TransmittedContent, KeepsWhatOnlyLooksLikeBcc) {
  const std::string message =
      "Bccc: a\r\nBc: b\r\nX-Bcc: c\r\nSubject: x\r\n Bcc: d\r\nBcc\r\n\r\nBcc: e\r\n";
  ExpectTransmitted(message, message);
}

TEST(TransmittedContent, PassesLongLinesInBoundedMemory) {
  TransmissionFilter filter;
  std::string total;
  const std::string piece(1'000, 'x');
  for (int i = 0; i < 5'000; ++i) {
    std::string out;
    filter.Filter(piece, out);
    EXPECT_LE(out.size(), 2'100u);
    total += out;
  }
  filter.Finish(total);
  EXPECT_EQ(total.size(), 5'000'002u);
}

TEST(TransmittedContent, BeginsWithItsPrefixAgainAfterRewind) {
  const std::string stored = "Bcc: hidden\n\nbody";
  const auto content = NewTransmittedContent(MessageBodyReader(nullptr, stored.size(), 0, stored),
                                             "Received: by x.test\r\n");
  for (int round = 0; round < 2; ++round) {
    std::string all;
    for (auto piece = content->Next(); piece && !piece->empty(); piece = content->Next()) {
      all += *piece;
    }
    EXPECT_EQ(all, "Received: by x.test\r\n\r\nbody\r\n");
    content->Rewind();
  }
}

}  // namespace
}  // namespace bobbin
