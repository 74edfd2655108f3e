#include "common/legacy_signature.h"

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <rapidcheck.h>

#include "common/text.h"

using namespace outboxd;

namespace {

constexpr const char* kSecret = "It's a Secret to Everybody";
constexpr const char* kId = "evt_0190";
constexpr std::int64_t kSeconds = 1'614'265'330;
constexpr const char* kBody = "Hello, World!";

LegacySignature with_secret(LegacySignature how, std::string secret = kSecret) {
  how.secret = std::move(secret);
  return how;
}

LegacySignature hmac(SignatureDigest digest, SignatureEncoding encoding = SignatureEncoding::kHex,
                     SignatureOver over = SignatureOver::kBody) {
  LegacySignature how;
  how.scheme = SignatureScheme::kHmac;
  how.secret = kSecret;
  how.header = "X-Signature";
  how.algorithm = digest;
  how.encoding = encoding;
  how.over = over;
  return how;
}

std::string signed_as(const LegacySignature& how) {
  return LegacySigner(how).sign(kId, kSeconds, kBody).value;
}

// RFC 2104, from the digest alone.
std::string digest_of(const EVP_MD* digest, const std::string& text) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), bytes, &size, digest, nullptr);
  return {reinterpret_cast<const char*>(bytes), size};
}

std::string hmac_by_hand(const EVP_MD* digest, std::string key, const std::string& text) {
  const auto block = static_cast<std::size_t>(EVP_MD_block_size(digest));
  if (key.size() > block) key = digest_of(digest, key);
  key.resize(block, '\0');
  std::string inner = key, outer = key;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  return digest_of(digest, outer + digest_of(digest, inner + text));
}

}  // namespace

TEST_CASE("github: the example of its documentation") {
  const HeaderField field = LegacySigner(with_secret(github_signature())).sign(kId, kSeconds, kBody);
  CHECK(field.name == "X-Hub-Signature-256");
  CHECK(field.value == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}

// The values below are those of `openssl dgst -hmac`.
TEST_CASE("stripe: the time and the body are signed") {
  const HeaderField field = LegacySigner(with_secret(stripe_signature())).sign(kId, kSeconds, kBody);
  CHECK(field.name == "Stripe-Signature");
  CHECK(field.value == "t=1614265330,v1=f37376a318b83773050e9e3ac8c6d599d2254e4f69edd75a1419cb54dc7264f3");
  LegacySignature other = with_secret(stripe_signature());
  other.header = "X-Shop-Signature";
  CHECK(LegacySigner(other).sign(kId, kSeconds, kBody) == HeaderField{"X-Shop-Signature", field.value});
}

TEST_CASE("hmac: digest, encoding, prefix and what is signed are of choice") {
  CHECK(signed_as(hmac(SignatureDigest::kSha1)) == "01dc10d0c83e72ed246219cdd91669667fe2ca59");
  CHECK(signed_as(hmac(SignatureDigest::kSha256)) ==
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
  CHECK(signed_as(hmac(SignatureDigest::kSha512)) ==
        "11ed355a617e98134e842012a7944ccf59c10256cb182357bd7e3a42013ff07c"
        "376f8c14cf5cc1923da20b51d64256b2fb8ebbf100aa67a61326f61fea8111bc");
  CHECK(signed_as(hmac(SignatureDigest::kSha256, SignatureEncoding::kBase64)) ==
        "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=");
  CHECK(signed_as(hmac(SignatureDigest::kSha256, SignatureEncoding::kHex, SignatureOver::kTimestampBody)) ==
        "f37376a318b83773050e9e3ac8c6d599d2254e4f69edd75a1419cb54dc7264f3");
  CHECK(signed_as(hmac(SignatureDigest::kSha256, SignatureEncoding::kHex, SignatureOver::kIdTimestampBody)) ==
        "7df62d5c64f96b00347c67c46b84a8049dff933023a022ee548abd131d110b3c");
  LegacySignature prefixed = hmac(SignatureDigest::kSha1);
  prefixed.prefix = "sha1=";
  CHECK(LegacySigner(prefixed).sign(kId, kSeconds, kBody) ==
        HeaderField{"X-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"});
}

TEST_CASE("the body is signed to its last byte, an empty one and zeros, too") {
  const LegacySignature how = hmac(SignatureDigest::kSha256);
  CHECK(LegacySigner(how).sign(kId, kSeconds, "").value ==
        hex_encode(hmac_by_hand(EVP_sha256(), kSecret, "")));
  const std::string zeros("a\0b\0", 4);
  CHECK(LegacySigner(how).sign(kId, kSeconds, zeros).value ==
        hex_encode(hmac_by_hand(EVP_sha256(), kSecret, zeros)));
}

TEST_CASE("what a scheme fixes is set with it") {
  CHECK(github_signature().scheme == SignatureScheme::kGithub);
  CHECK(github_signature().secret.empty());
  CHECK(stripe_signature().scheme == SignatureScheme::kStripe);
  CHECK(stripe_signature().secret.empty());
}

TEST_CASE("the words of a signature are read as they are written") {
  for (const auto word : {SignatureScheme::kGithub, SignatureScheme::kStripe, SignatureScheme::kHmac})
    CHECK(parse_signature_scheme(to_string(word)) == word);
  for (const auto word : {SignatureDigest::kSha1, SignatureDigest::kSha256, SignatureDigest::kSha512})
    CHECK(parse_signature_digest(to_string(word)) == word);
  for (const auto word : {SignatureEncoding::kHex, SignatureEncoding::kBase64})
    CHECK(parse_signature_encoding(to_string(word)) == word);
  for (const auto word :
       {SignatureOver::kBody, SignatureOver::kTimestampBody, SignatureOver::kIdTimestampBody})
    CHECK(parse_signature_over(to_string(word)) == word);
  CHECK(to_string(SignatureOver::kIdTimestampBody) == "id.timestamp.body");
  CHECK_FALSE(parse_signature_scheme("GitHub"));
  CHECK_FALSE(parse_signature_digest("md5"));
  CHECK_FALSE(parse_signature_encoding(""));
  CHECK_FALSE(parse_signature_over("body.timestamp"));
}

TEST_CASE("whatever the secret and the body, it is the HMAC of RFC 2104") {
  CHECK(rc::check([](const std::string& secret, const std::string& id, const std::string& body) {
    RC_PRE(!secret.empty());
    LegacySignature how =
        hmac(*rc::gen::element(SignatureDigest::kSha1, SignatureDigest::kSha256, SignatureDigest::kSha512),
             *rc::gen::element(SignatureEncoding::kHex, SignatureEncoding::kBase64),
             *rc::gen::element(SignatureOver::kBody, SignatureOver::kTimestampBody,
                               SignatureOver::kIdTimestampBody));
    how.secret = *rc::gen::element(secret, secret + std::string(200, 'x'));  // longer than a block, too
    how.prefix = *rc::gen::element(std::string(), std::string("v0="));
    const auto seconds = *rc::gen::inRange<std::int64_t>(0, 4'000'000'000);
    const std::string time = std::to_string(seconds);
    const std::string text = how.over == SignatureOver::kBody            ? body
                             : how.over == SignatureOver::kTimestampBody ? time + "." + body
                                                                         : id + "." + time + "." + body;
    const EVP_MD* const digest = how.algorithm == SignatureDigest::kSha1     ? EVP_sha1()
                                 : how.algorithm == SignatureDigest::kSha256 ? EVP_sha256()
                                                                             : EVP_sha512();
    const std::string mac = hmac_by_hand(digest, how.secret, text);
    RC_ASSERT(LegacySigner(how).sign(id, seconds, body).value ==
              how.prefix + (how.encoding == SignatureEncoding::kHex ? hex_encode(mac) : base64_encode(mac)));
  }));
}
