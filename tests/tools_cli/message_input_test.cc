// Reading a message from a descriptor: every byte, or up to a lone dot, wherever reads cut it.
//
// Method: write it into a pipe, cut in two at every possible place.

#include "tools/bobbin/message_input.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace bobbin::cli {
namespace {

// A sequenced-packet socket keeps the pieces apart as they were written.
std::string ReadInPieces(const std::string& first, const std::string& second, bool dot_ends) {
  std::array<int, 2> ends{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()), 0);
  for (const std::string& piece : {first, second}) {
    if (piece.empty()) continue;
    EXPECT_EQ(write(ends[1], piece.data(), piece.size()), static_cast<ssize_t>(piece.size()));
  }
  close(ends[1]);
  MessageInput input(ends[0], dot_ends);
  std::string all;
  for (;;) {
    const Result<std::string_view> piece = input.Next();
    EXPECT_TRUE(piece.has_value());
    if (!piece || piece->empty()) break;
    all += *piece;
  }
  close(ends[0]);
  return all;
}

void ExpectAtEveryCut(const std::string& content, const std::string& expected, bool dot_ends) {
  for (std::size_t cut = 0; cut <= content.size(); ++cut) {
    EXPECT_EQ(ReadInPieces(content.substr(0, cut), content.substr(cut), dot_ends), expected)
        << "cut at " << cut;
  }
}

TEST(MessageInput, WithoutTheDotRuleEveryByteIsContent) {
  ExpectAtEveryCut("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n.\r\n", false);
}

TEST(MessageInput, ALoneDotEndsTheMessage) {
  ExpectAtEveryCut("a\n..\n.b\nc.\n.\nd\n", "a\n..\n.b\nc.\n", true);
  ExpectAtEveryCut("a\r\n.\rb\r\n.\r\nc", "a\r\n.\rb\r\n", true);
  ExpectAtEveryCut(".\nrest", "", true);
}

TEST(MessageInput, ADotWithoutALineEndIsContent) {
  ExpectAtEveryCut("a\n.", "a\n.", true);
  ExpectAtEveryCut("a\n.\r", "a\n.\r", true);
}

TEST(MessageInput, AReadErrorIsNotTheEnd) {
  MessageInput input(-1, false);
  const Result<std::string_view> piece = input.Next();
  ASSERT_FALSE(piece.has_value());
  EXPECT_EQ(piece.error().code, ErrorCode::kCallFailed);
}

TEST(HeaderSectionBytes, EndsAfterTheFirstEmptyLine) {
  EXPECT_EQ(HeaderSectionBytes("A: b\n\nc"), 6U);
  EXPECT_EQ(HeaderSectionBytes("A: b\r\n\r\nc"), 8U);
  EXPECT_EQ(HeaderSectionBytes("\nc"), 1U);
  EXPECT_EQ(HeaderSectionBytes("A: b\n"), 0U);
  EXPECT_EQ(HeaderSectionBytes(""), 0U);
}

}  // namespace
}  // namespace bobbin::cli
