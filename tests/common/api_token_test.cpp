#include "common/api_token.h"

#include <doctest/doctest.h>

#include "common/text.h"

using namespace outboxd;

TEST_CASE("a new token is 256 random bits, and its line holds its hash alone") {
  const std::string token = new_token();
  CHECK(token.size() == 68);
  CHECK(token.starts_with("obx_"));
  CHECK(new_token() != token);
  const std::string line = line_of(token_of(token, TokenScope::kIngest, {}, "shop"));
  CHECK(line == "ingest " + hex_encode(sha256(token)) + " shop");
  CHECK(line.find(token) == std::string::npos);
  CHECK(line_of(token_of(token, TokenScope::kAdmin, {}, "")) == "admin " + hex_encode(sha256(token)));
}

TEST_CASE("what is written is read") {
  const ApiToken shop = token_of("a", TokenScope::kIngest, {}, "shop-1"),
                 boss = token_of("b", TokenScope::kAdmin, {}, "");
  const auto read =
      parse_tokens("# who\r\n\n" + line_of(shop) + "\r\n  " + line_of(boss) + " # the boss", "f");
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK(read->at(0).name == "shop-1");
  CHECK(read->at(0).scope == TokenScope::kIngest);
  CHECK_FALSE(read->at(0).tenant);
  CHECK(read->at(0).sha256 == shop.sha256);
  CHECK(read->at(1).scope == TokenScope::kAdmin);
  CHECK(read->at(1).id() == hex_encode(boss.sha256).substr(0, 12));
  CHECK(parse_tokens("", "f")->empty());
}

TEST_CASE("a token may be for one tenant") {
  const ApiToken acme = token_of("a", TokenScope::kView, "acme", "dashboard");
  CHECK(line_of(acme).starts_with("view:acme "));
  const auto read = parse_tokens(line_of(acme) + "\nadmin:a:b " + hex_encode(sha256("b")), "f");
  REQUIRE(read);
  CHECK(read->at(0).scope == TokenScope::kView);
  CHECK(read->at(0).tenant == "acme");
  CHECK(read->at(1).tenant == "a:b");
  for (const std::string& scope :
       {std::string("view:"), std::string("view:a/b"), "view:" + std::string(129, 'a')}) {
    const auto refused = parse_tokens("\n" + scope + " " + hex_encode(sha256("c")), "f");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().detail.starts_with("f:2: the tenant after the scope"));
  }
}

TEST_CASE("more than 1000 tokens are refused at the line of the next one") {
  std::string file;
  for (int i = 0; i <= 1000; ++i)
    file += line_of(token_of(std::to_string(i), TokenScope::kIngest, {}, "")) + "\n";
  const auto read = parse_tokens(file, "/etc/tokens");
  REQUIRE_FALSE(read);
  CHECK(read.error().detail == "/etc/tokens:1001: there are more than 1000 tokens.");
}

TEST_CASE("a token's name is a word that its line can hold") {
  for (const char* good : {"shop", "shop-backend_2", "a:b/c", "~!@"}) CHECK(is_token_name(good));
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a#b"), std::string("a\nb"),
                                 std::string("\xC3\xBC"), std::string(65, 'x')})
    CHECK_FALSE(is_token_name(bad));
}
