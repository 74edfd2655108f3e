#include "common/signature.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <thread>
#include <vector>

#include "common/text.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {
// The example of the Standard Webhooks specification; `openssl dgst -mac HMAC` gives the same.
constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr const char* kId = "msg_p5jXN8AQM9LWM0D4loKWxJek";
constexpr std::int64_t kSeconds = 1'614'265'330;
constexpr const char* kBody = R"({"test": 2432232314})";
constexpr const char* kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

// The first key of RFC 8032 section 7.1; the signature is that of `openssl pkeyutl -sign -rawin`.
constexpr const char* kPrivate =
    "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
constexpr const char* kPublic = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
constexpr const char* kSignatureA =
    "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw==";

const Time kNow{std::chrono::seconds(kSeconds)};

SignedMessage message_with(std::string_view signature) {
  return {kId, "1614265330", signature, kBody};
}

std::string why(const Result<void>& result) {
  return result ? "" : result.error().detail;
}
std::string why_not(std::string_view secret) {
  const auto key = SigningKey::parse(secret);
  return key ? "" : key.error().detail;
}
}  // namespace

TEST_CASE("v1 and v1a sign as the specification and OpenSSL's command line do") {
  CHECK(SigningKey::parse(kSecret)->sign(kId, kSeconds, kBody) == kSignature);
  CHECK(SigningKey::parse(kPrivate)->sign(kId, kSeconds, kBody) == kSignatureA);
  CHECK(SigningKey::parse(kPrivate)->public_key() == kPublic);
  CHECK(SigningKey::parse(kPrivate)->asymmetric());
  CHECK(SigningKey::parse(kSecret)->public_key().empty());
  CHECK_FALSE(SigningKey::parse(kSecret)->asymmetric());
}

TEST_CASE("each live secret adds a signature") {
  std::string value;
  append_signature(value, *SigningKey::parse(kSecret), kId, kSeconds, kBody);
  CHECK(value == kSignature);
  append_signature(value, *SigningKey::parse(kPrivate), kId, kSeconds, kBody);
  CHECK(value == std::string(kSignature) + " " + kSignatureA);
}

TEST_CASE("secrets are refused with what is wrong, never with the secret itself") {
  const auto sized = [](std::size_t n) { return "whsec_" + base64_encode(std::string(n, 'k')); };
  CHECK(why_not(sized(24)).empty());
  CHECK(why_not(sized(64)).empty());
  CHECK(why_not(sized(23)) == "a whsec_ secret holds 24 to 64 bytes, this one 23");
  CHECK(why_not(sized(65)) == "a whsec_ secret holds 24 to 64 bytes, this one 65");
  CHECK(why_not("whsec_") == "a whsec_ secret holds 24 to 64 bytes, this one 0");
  for (const std::string& bad : {std::string(), std::string("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                                 std::string("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), std::string(kPublic),
                                 std::string(kSecret) + "\n", std::string(kSecret) + "=",
                                 std::string("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_"),
                                 std::string("whsk_") + base64_encode(std::string(63, 'k')),
                                 std::string("whsk_") + base64_encode(std::string(32, 'k'))}) {
    CAPTURE(bad);
    CHECK_FALSE(why_not(bad).empty());
    CHECK(why_not(bad).find("MfKQ") == std::string::npos);
  }
}

TEST_CASE("an ed25519 secret whose public key belongs to another seed is refused") {
  const std::string halves = *base64_decode(std::string_view(kPrivate).substr(5));
  std::string wrong = halves;
  wrong[63] = static_cast<char>(wrong[63] ^ 1);
  CHECK(why_not("whsk_" + base64_encode(halves)).empty());
  CHECK(why_not("whsk_" + base64_encode(wrong)) ==
        "the public key in this whsk_ secret does not belong to its seed");
}

TEST_CASE("an unpadded secret is the same secret") {
  const std::string padded = "whsec_" + base64_encode(std::string(25, 'k'));
  const std::string unpadded = padded.substr(0, padded.find('='));
  CHECK(SigningKey::parse(padded)->sign("i", 1, "b") == SigningKey::parse(unpadded)->sign("i", 1, "b"));
}

TEST_CASE("a generated secret is 32 random bytes") {
  const std::string a = SigningKey::generate(), b = SigningKey::generate();
  CHECK(a != b);
  CHECK(why_not(a).empty());
  CHECK(base64_decode(std::string_view(a).substr(6))->size() == 32);
}

TEST_CASE("a good signature verifies with the secret, the private and the public key") {
  CHECK(why(verify(kSecret, message_with(kSignature), kNow)).empty());
  CHECK(why(verify(kPrivate, message_with(kSignatureA), kNow)).empty());
  CHECK(why(verify(kPublic, message_with(kSignatureA), kNow)).empty());
}

TEST_CASE("one good signature among others is enough") {
  const std::string others = "v1,AAAA v2,xyz v1a,???? ,, v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1Og=  ";
  CHECK(why(verify(kSecret, message_with(others + " " + kSignature), kNow)).empty());
  CHECK(why(verify(kPublic, message_with(others + kSignatureA), kNow)).empty());
  CHECK_FALSE(verify(kSecret, message_with(others), kNow));
}

TEST_CASE("a signature of the other version does not count") {
  CHECK(why(verify(kSecret, message_with(kSignatureA), kNow)) == "webhook-signature holds no v1 signature");
  CHECK(why(verify(kPublic, message_with(kSignature), kNow)) == "webhook-signature holds no v1a signature");
  const std::string relabelled = "v1," + std::string(kSignatureA).substr(4);
  CHECK_FALSE(verify(kSecret, message_with(relabelled), kNow));
  CHECK_FALSE(verify(kSecret, message_with(""), kNow));
}

TEST_CASE("a changed id, time or body does not verify") {
  for (const auto& [secret, signature] : {std::pair(kSecret, kSignature), std::pair(kPublic, kSignatureA)}) {
    CHECK_FALSE(verify(secret, {"msg_x", "1614265330", signature, kBody}, kNow));
    CHECK_FALSE(verify(secret, {kId, "1614265331", signature, kBody}, kNow));
    CHECK_FALSE(verify(secret, {kId, "1614265330", signature, R"({"test": 2432232315})"}, kNow));
    CHECK_FALSE(verify(secret, {kId, "1614265330", signature, ""}, kNow));
  }
  const auto refusal = verify(SigningKey::generate(), message_with(kSignature), kNow);
  CHECK(why(refusal) == "no v1 signature matches: another secret, or the body or id was changed");
  CHECK(refusal.error().errors.at(0).pointer == "webhook-signature");
}

TEST_CASE("the timestamp must be within the tolerance on either side") {
  CHECK(verify(kSecret, message_with(kSignature), kNow + 5min));
  CHECK(verify(kSecret, message_with(kSignature), kNow - 5min));
  CHECK(why(verify(kSecret, message_with(kSignature), kNow + 5min + 1ms)) ==
        "webhook-timestamp is 5m1ms behind this clock, more than the 5m allowed");
  CHECK(why(verify(kSecret, message_with(kSignature), kNow - 6min)) ==
        "webhook-timestamp is 6m ahead of this clock, more than the 5m allowed");
  CHECK(verify(kSecret, message_with(kSignature), kNow + 1h, 1h));
  for (const char* text : {"", "x", "-1", "+1614265330", "01614265330", "1614265330.0", " 1614265330",
                           "9223372036854775807", "99999999999999999999", "253402300800"}) {
    CAPTURE(text);
    const auto refusal = verify(kSecret, {kId, text, kSignature, kBody}, kNow);
    CHECK(why(refusal) == "webhook-timestamp is not a number of seconds since 1970");
  }
}

TEST_CASE("keys that cannot verify are refused before anything is checked") {
  CHECK(why(verify("whpk_", message_with(kSignatureA), kNow)) == "a whpk_ key is base64 of 32 bytes");
  CHECK_FALSE(verify("whpk_!!!!", message_with(kSignatureA), kNow));
  CHECK_FALSE(verify("secret", message_with(kSignature), kNow));
}

TEST_CASE("whatever is signed verifies, and no other body does") {
  const std::string secret = SigningKey::generate();
  const SigningKey symmetric = *SigningKey::parse(secret), asymmetric = *SigningKey::parse(kPrivate);
  CHECK(rc::check([&](const std::string& id, const std::string& body, const std::string& other) {
    const auto seconds = *rc::gen::inRange<std::int64_t>(0, 253'402'300'800);
    const std::string timestamp = std::to_string(seconds);
    const Time now{std::chrono::seconds(seconds)};
    std::string header;
    for (const SigningKey& key : {symmetric, asymmetric}) append_signature(header, key, id, seconds, body);
    for (const std::string_view key : {std::string_view(secret), std::string_view(kPublic)}) {
      RC_ASSERT(verify(key, {id, timestamp, header, body}, now).has_value());
      RC_ASSERT(verify(key, {id, timestamp, header, other}, now).has_value() == (other == body));
    }
  }));
}

TEST_CASE("one key signs on several threads at once") {
  const SigningKey symmetric = *SigningKey::parse(kSecret), asymmetric = *SigningKey::parse(kPrivate);
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (int& mine : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        mine += symmetric.sign(kId, kSeconds, kBody) != kSignature;
        mine += asymmetric.sign(kId, kSeconds, kBody) != kSignatureA;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}
