#include "api/body_decoder.h"

#include <doctest/doctest.h>

using namespace outboxd::api;

namespace {

constexpr std::size_t kLimit = 20;

struct Outcome {
  int status = 0;  // 0: more bytes are needed, 200: done
  std::string body;
  std::size_t taken = 0;
};

Outcome decode(std::string_view text, std::size_t piece) {
  auto decoder = BodyDecoder::chunked(kLimit);
  Outcome outcome;
  while (!text.empty() && !decoder.done()) {
    const auto taken = decoder.feed(text.substr(0, piece), outcome.body);
    if (!taken) {
      outcome.status = taken.error().status;
      return outcome;
    }
    outcome.taken += *taken;
    text.remove_prefix(*taken);
  }
  outcome.status = decoder.done() ? 200 : 0;
  return outcome;
}

}  // namespace

TEST_CASE("chunks are joined, their extensions and trailers dropped, and what follows is left alone") {
  const std::string text = "3\r\nabc\r\n00A;name=\"v\";x\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size() + 3; ++piece) {
    const auto outcome = decode(text + "GET", piece);
    CHECK(outcome.status == 200);
    CHECK(outcome.body == "abc0123456789");
    CHECK(outcome.taken == text.size());
  }
}

TEST_CASE("chunks that are not exactly framed are refused however they arrive") {
  for (const std::string text : {"+3\r\nabc\r\n0\r\n\r\n",
                                 "-3\r\n",
                                 "0x3\r\nabc\r\n",
                                 " 3\r\nabc\r\n",
                                 "3 \r\nabc\r\n",
                                 "3 ;a\r\nabc\r\n",
                                 "\r\n",
                                 ";a\r\n",
                                 "g\r\n",
                                 "3\nabc\r\n",
                                 "3\r\nabcd\r\n",
                                 "3\r\nabc\n0\r\n\r\n",
                                 "3\r\nab\r\n0\r\n\r\n",
                                 "0\r\nA : b\r\n\r\n",
                                 "0\r\n b\r\n\r\n",
                                 "0\r\nA: b\n\r\n",
                                 "0\r\n\n",
                                 "0\r\nA\r\n\r\n",
                                 "3;a\rb\r\nabc\r\n",
                                 "FFFFFFFFFFFFFFFFF\r\n",
                                 "0000000000000003\r\nabc\r\n"}) {
    CAPTURE(text);
    CHECK(decode(text, text.size()).status == 400);
    CHECK(decode(text, 1).status == 400);
  }
}

TEST_CASE("a chunked body over the limit is refused at the size line that exceeds it") {
  CHECK(decode("14\r\n" + std::string(20, 'a') + "\r\n0\r\n\r\n", 7).status == 200);
  CHECK(decode("15\r\n", 4).status == 413);
  CHECK(decode("A\r\n0123456789\r\nB\r\n", 5).status == 413);
  CHECK(decode("FFFFFFFFFFFFFFF\r\n", 5).status == 413);
}

TEST_CASE("extensions and trailers are bounded, in one line and together") {
  CHECK(decode("1;" + std::string(2000, 'a'), 100).status == 400);
  CHECK(decode("0\r\nA: " + std::string(2000, 'a'), 100).status == 400);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 100; ++i) trailers += "A: " + std::string(200, 'a') + "\r\n";
  CHECK(decode(trailers, 100).status == 431);
  std::string extensions;
  for (int i = 0; i < 15; ++i) extensions += "1;" + std::string(1000, 'a') + "\r\nx\r\n";
  CHECK(decode(extensions, 100).status == 400);
}

TEST_CASE("a body with a length takes exactly that many bytes") {
  auto decoder = BodyDecoder::with_length(5);
  std::string body;
  CHECK(*decoder.feed("abc", body) == 3);
  CHECK_FALSE(decoder.done());
  CHECK(*decoder.feed("defg", body) == 2);
  CHECK(decoder.done());
  CHECK(body == "abcde");
  CHECK(BodyDecoder::with_length(0).done());
}
