#include "ctl/verification.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {

const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const std::string kOther = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
constexpr std::int64_t kSeconds = 1'790'000'000;
const Time kNow = from_unix_millis(kSeconds * 1000);

// What is said of a message that was signed with kSecret over `signed_body`, and came with `body`.
std::string said(const std::string& signed_body, const std::string& body, const SentBody& sent = nullptr,
                 const std::string& verify_with = kSecret, Time now = kNow) {
  const std::string timestamp = std::to_string(kSeconds);
  const std::string signature = SigningKey::parse(kSecret)->sign("evt_1", kSeconds, signed_body);
  return why_not_verified({verify_with}, {"evt_1", timestamp, signature, body}, now, sent);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what verifies needs no explanation, and one of several secrets is enough") {
  CHECK(said("{}", "{}").empty());
  const std::string signature = SigningKey::parse(kSecret)->sign("evt_1", kSeconds, "{}");
  CHECK(why_not_verified({kOther, kSecret}, {"evt_1", std::to_string(kSeconds), signature, "{}"}, kNow)
            .empty());
}

TEST_CASE("a missing header and a wrong clock are named") {
  CHECK(why_not_verified({kSecret}, {"evt_1", "1", "", "{}"}, kNow) ==
        "the header webhook-signature is missing or empty");
  CHECK(has(said("{}", "{}", nullptr, kSecret, kNow + std::chrono::minutes(7)), "7m behind this clock"));
  CHECK(has(said("{}", "{}", nullptr, kSecret, kNow - std::chrono::minutes(7)), "7m ahead of this clock"));
}

TEST_CASE("where the daemon knows what it sent, the secret and the body are told apart") {
  const SentBody sent = [](const std::string& event) -> std::optional<std::string> {
    CHECK(event == "evt_1");
    return R"({"id":42})";
  };
  CHECK(has(said(R"({"id":42})", R"({"id":42})", sent, kOther), "signed with another secret"));
  const std::string changed = said(R"({"id":42})", R"({"id":43})", sent);
  CHECK(has(changed, "the body was changed"));
  CHECK(has(changed, "9 bytes came, 9 were sent"));
  CHECK(has(changed, "at byte 7: came \"3}\", sent \"2}\""));
  CHECK(has(said(R"({"id":42})", R"({"id":42)", sent), "at byte 8: came its end, sent \"}\""));
}

TEST_CASE("without the daemon the usual changes of a body are found by their signature") {
  CHECK(has(said("{}", "{}\n"), "a line break was added at its end; 3 bytes came, 2 were sent"));
  CHECK(has(said("{}\n", "{}"), "a line break was taken from its end"));
  CHECK(has(said("{\n}", "{\r\n}"), "its line breaks were changed"));
  CHECK(has(said(R"({"a":1,"b":2})", R"({"a": 1, "b": 2})"), "its JSON was parsed and written anew"));
  CHECK(has(said("{}", "[]"), "another secret, or webhook-id, webhook-timestamp or the body (2 bytes came)"));
}

TEST_CASE("what is shown of a difference is short and harmless") {
  CHECK(difference("ab\x1b[2J" + std::string(100, 'x'), "ab") ==
        "106 bytes came, 2 were sent, and the first difference is at byte 2: came \"\\x1b[2Jxxxxxxxx\", sent "
        "its end");
}
