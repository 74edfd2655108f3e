// The bounds of a response, and that it means the same in whatever pieces it arrives.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "common/text.h"
#include "outbound/seen_response.h"

namespace outboxd {
namespace {

using State = ResponseReader::State;
using test::chunked;
using test::kLength;
using test::kMaxBody;
using test::kOk;
using test::ok;
using test::see;
using test::see_pieces;
using test::Seen;

TEST_CASE("headers, interim responses and trailers have 64 KiB together") {
  const std::string filler = "X-Filler: " + std::string(1012, 'x') + "\r\n";  // 1 KiB
  std::string many;
  for (int i = 0; i < 63; ++i) many += filler;
  const std::string length = "Content-Length: 0\r\n";
  const std::size_t left = kMaxResponseHeadBytes - ok(many + length).size() - std::string("A: \r\n").size();
  const auto with_last = [&](std::size_t bytes) {
    return ok(many + length + "A: " + std::string(bytes, 'x') + "\r\n");
  };
  CHECK(see(with_last(left)).state == State::kComplete);
  const std::string trailers = chunked("0\r\n" + many + "\r\n");
  const std::string too_many_trailers = chunked("0\r\n" + many + filler + "\r\n");
  for (const auto& sizes : {std::vector<std::size_t>{1u << 20}, {1}, {4096}}) {
    const Seen seen = see_pieces(with_last(left + 1), sizes);
    CHECK(seen.state == State::kRefused);
    CHECK(seen.refusal == "the response's headers exceed 64 KiB");
    CHECK(see_pieces(too_many_trailers, sizes).state == State::kEnough);
    CHECK(see_pieces(trailers, sizes).state == State::kComplete);
  }

  ResponseReader interim(100);
  std::size_t bytes = 0;
  while (interim.state() == State::kHead) bytes += interim.read("HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(bytes <= kMaxResponseHeadBytes + 25);
  CHECK(interim.state() == State::kRefused);
  CHECK(interim.status() == 0);
}

TEST_CASE("a line has 16 KiB, and is refused before its end has come") {
  const auto line = [](std::size_t bytes) { return "X: " + std::string(bytes - 5, 'x') + "\r\n"; };
  CHECK(see(ok(line(kMaxResponseLineBytes))).state == State::kBody);
  for (const auto& sizes : {std::vector<std::size_t>{1u << 20}, {1}, {1000}}) {
    const Seen seen = see_pieces(ok(line(kMaxResponseLineBytes + 1)), sizes);
    CHECK(seen.refusal == "a header line of the response is too long");
    CHECK(see_pieces("HTTP/1.1 200 " + std::string(kMaxResponseLineBytes, 'x'), sizes).refusal ==
          "a header line of the response is too long");
  }
}

TEST_CASE("extensions of chunks have 4 KiB together, however many chunks there are") {
  std::string many;
  const std::string chunk = "1;" + std::string(1023, 'x') + "\r\na\r\n";
  for (int i = 0; i < 4; ++i) many += chunk;
  CHECK(see(chunked(many + "0\r\n\r\n")).state == State::kComplete);
  CHECK(see(chunked(many + "0;\r\n\r\n")).state == State::kEnough);
  CHECK(see(chunked("1;" + std::string(5000, 'x'))).state == State::kEnough);
  CHECK(see_pieces(chunked("1;" + std::string(5000, 'x')), {1}).state == State::kEnough);
}

TEST_CASE("a body is read up to its bound, and the first 4 KiB are kept") {
  const std::string body = std::string(3000, 'a') + std::string(7000, 'b');
  const std::string head = "HTTP/1.1 500 No\r\nContent-Length: 10000\r\n\r\n";
  const Seen all = see(head + body, false, 10'000);
  CHECK(all.state == State::kComplete);
  CHECK(all.body == body.substr(0, kMaxStoredResponseBody));
  const std::string three = "4\r\n0123\r\n4\r\n4567\r\n4\r\n89ab\r\n0\r\n\r\n";
  for (const auto& sizes : {std::vector<std::size_t>{1u << 20}, {1}}) {
    CHECK(see_pieces(head + body, sizes, false, 9'999).state == State::kEnough);
    CHECK(see_pieces(head + body, sizes, false, 9'999).status == 500);
    CHECK(see_pieces(ok("", body), sizes, true, 9'999).state == State::kEnough);
    CHECK(see_pieces(ok("", body), sizes, true, 10'000).state == State::kComplete);
    CHECK(see_pieces(chunked(three), sizes, false, 12).state == State::kComplete);
    CHECK(see_pieces(chunked(three), sizes, false, 11).state == State::kEnough);
    CHECK(see_pieces(chunked(three), sizes, false, 11).body == "0123456789a");
    CHECK(see_pieces(kOk, sizes, false, 0).state == State::kEnough);
    CHECK(see_pieces(ok("Content-Length: 99999999999999999999999\r\n", body), sizes, true).state ==
          State::kEnough);
    CHECK(see_pieces(chunked("FFFFFFFFFFFFFFFF\r\n" + body), sizes, true).state == State::kEnough);
  }
}

TEST_CASE("of the headers a bounded part is kept, folded lines included") {
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += "X-Filler: " + std::string(90, 'x') + "\r\n y\r\n";
  const Seen seen = see(ok(fields + kLength, "ok"));
  std::size_t kept = 0;
  for (const auto& header : seen.headers) kept += header.name.size() + header.value.size();
  CHECK(kept <= kMaxStoredResponseHeaders);
  CHECK(kept > kMaxStoredResponseHeaders - 110);
  CHECK(seen.headers.front().value.ends_with("x y"));
  const Seen one = see(ok("X: y\r\n " + std::string(kMaxStoredResponseHeaders, 'z') + "\r\n more\r\n"));
  CHECK(one.headers == std::vector<HeaderField>{{"X", "y"}});
  std::string short_ones;
  for (std::size_t i = 0; i < 2 * kMaxKeptHeaders; ++i) short_ones += "a:\r\n";
  CHECK(see(ok(short_ones)).headers.size() == kMaxKeptHeaders);
}

using Texts = std::vector<std::string>;

// Some of these texts, one after another.
rc::Gen<std::string> some_of(Texts texts) {
  return rc::gen::map(rc::gen::container<Texts>(rc::gen::elementOf(std::move(texts))),
                      [](const Texts& chosen) {
                        std::string joined;
                        for (const std::string& text : chosen) joined += text;
                        return joined;
                      });
}

// Mostly good ones: a head with one framing and a body that fits, with things between them that may not belong there.
rc::Gen<std::string> responses() {
  const Texts good_heads = {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 503\n",
                            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
                            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 x\r\n"};
  const Texts other_heads = {"HTTP/1.1 204 x\r\n", "HTTP/2 200\r\n", "HTTP/1.1 99\r\n"};
  const Texts good_fields = {"X-A: b\r\n", "Retry-After: 3\r\n", "Content-Type: text/plain\n"};
  const Texts other_fields = {"Content-Length: 5\r\n",
                              "Transfer-Encoding: gzip\n",
                              "Connection: close\r\n",
                              " folded\r\n",
                              "X-A : b\n",
                              "X-A: \r\r\n",
                              "no colon\r\n",
                              "Content-Length: x\r\n"};
  const Texts good_framed = {"Content-Length: 5\r\n\r\nabcde",
                             "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
                             "Transfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n3 \r\ncde\r\n0\r\nX: y\r\n\r\n"};
  const Texts other_framed = {"\r\nuntil the end", "Content-Length: 3\r\n\r\n",
                              "Transfer-Encoding: chunked\r\n\r\n"};
  const Texts noise = {"5\r\nabcde\r\n", "0\r\n",  "\r\n",     "\n",
                       "2\nab\r\n",      "zz\r\n", "X: a\r\n", "HTTP/1.1 "};
  const auto mostly = [](rc::Gen<std::string> good, rc::Gen<std::string> other) {
    return rc::gen::weightedOneOf<std::string>({{4, std::move(good)}, {1, std::move(other)}});
  };
  return rc::gen::apply([](const std::string& head, const std::string& fields, const std::string& framed,
                           const std::string& after) { return head + fields + framed + after; },
                        mostly(rc::gen::elementOf(good_heads), rc::gen::elementOf(other_heads)),
                        mostly(some_of(good_fields), some_of(other_fields)),
                        mostly(rc::gen::elementOf(good_framed), rc::gen::elementOf(other_framed)),
                        mostly(rc::gen::just(std::string()), some_of(noise)));
}

TEST_CASE("a response means the same in whatever pieces it arrives") {
  CHECK(rc::check([] {
    const auto bytes = *responses();
    const auto sizes =
        *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange(1, 40)));
    const auto max_body = *rc::gen::elementOf(std::vector<std::size_t>{4, 5, kMaxBody, kMaxBody});
    const bool ends = *rc::gen::arbitrary<bool>();
    const Seen whole = see(bytes, ends, max_body);
    RC_CLASSIFY(whole.state == State::kRefused);
    RC_CLASSIFY(whole.state == State::kEnough);
    RC_CLASSIFY(whole.keeps_connection);
    RC_ASSERT(see_pieces(bytes, sizes, ends, max_body) == whole);
    RC_ASSERT(see_pieces(bytes, {1}, ends, max_body) == whole);
  }));
}

TEST_CASE("a body comes out as it was put into chunks or behind a length") {
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::arbitrary<std::string>());
    std::string body, framed;
    for (const std::string& piece : pieces) {
      if (piece.empty()) continue;
      const char digits[] = {hex_encode(std::string(1, static_cast<char>(piece.size() >> 8)))[1],
                             hex_encode(std::string(1, static_cast<char>(piece.size())))[0],
                             hex_encode(std::string(1, static_cast<char>(piece.size())))[1]};
      framed.append(digits, sizeof digits).append("\r\n").append(piece).append("\r\n");
      body += piece;
    }
    const std::size_t kept = std::min(body.size(), kMaxStoredResponseBody);
    const Seen in_chunks = see_pieces(chunked(framed + "0\r\n\r\n"), {3, 1, 7}, false, 1u << 20);
    RC_ASSERT(in_chunks.body == body.substr(0, kept));
    RC_ASSERT(in_chunks.keeps_connection);
    const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
    const Seen by_length = see_pieces(ok(length, body), {3, 1, 7}, false, 1u << 20);
    RC_ASSERT(by_length.body == body.substr(0, kept));
    RC_ASSERT(by_length.keeps_connection);
  }));
}

}  // namespace
}  // namespace outboxd
