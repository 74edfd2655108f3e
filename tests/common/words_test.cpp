#include "common/words.h"

#include <doctest/doctest.h>

#include <array>

using namespace outboxd;

namespace {
constexpr std::array<std::string_view, 7> kKnown = {
    "type", "payload", "payload_base64", "tenant", "deliver_at", "ttl", "id"};
}

TEST_CASE("the nearest known word is what was probably meant") {
  for (const auto& [word, meant] : {std::pair{"paylod", "payload"},
                                    {"payloda", "payload"},
                                    {"Payload", "payload"},
                                    {"payload-base64", "payload_base64"},
                                    {"payloadbase64", "payload_base64"},
                                    {"tpye", "type"},
                                    {"deliverat", "deliver_at"},
                                    {"deliverAt", "deliver_at"},
                                    {"tenannt", "tenant"},
                                    {"tll", "ttl"},
                                    {"type", "type"}}) {
    const auto& shown = word;
    CAPTURE(shown);
    CHECK(nearest(word, kKnown) == meant);
  }
}

TEST_CASE("a word that is like none is not said to be one") {
  for (const auto* word :
       {"", "x", "zz", "idempotency", "foo", "a_b_c_d", "payload_of_another_kind", "\xff\xfe\xfd"}) {
    CAPTURE(word);
    CHECK(nearest(word, kKnown).empty());
    CHECK(did_you_mean(word, kKnown).empty());
  }
  CHECK(nearest(std::string(100'000, 'p'), kKnown).empty());
  CHECK(nearest("type", {}).empty());
}

TEST_CASE("a suggestion is the end of a sentence") {
  CHECK(did_you_mean("paylod", kKnown) == "; did you mean \"payload\"?");
}

TEST_CASE("words are listed as a sentence has them") {
  const std::array<std::string_view, 3> three = {"raw", "standard", "cloudevents"};
  CHECK(one_of(three) == "raw, standard or cloudevents");
  CHECK(one_of(std::span(three).first(2)) == "raw or standard");
  CHECK(one_of(std::span(three).first(1)) == "raw");
  CHECK(one_of({}).empty());
}

TEST_CASE("what is repeated is short, and valid UTF-8") {
  CHECK(in_quotes("abc") == "\"abc\"");
  CHECK(in_quotes(std::string(64, 'a')) == '"' + std::string(64, 'a') + '"');
  CHECK(in_quotes(std::string(65, 'a')) == '"' + std::string(64, 'a') + "…\"");
  CHECK(in_quotes(std::string(63, 'a') + "ä") == '"' + std::string(63, 'a') + "…\"");
  CHECK(in_quotes("\xff") == "\"\xEF\xBF\xBD\"");
}
