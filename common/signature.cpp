#include "common/signature.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "common/hmac.h"
#include "common/openssl.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::string_view kSymmetricPrefix = "whsec_";
constexpr std::string_view kPrivatePrefix = "whsk_";
constexpr std::string_view kPublicPrefix = "whpk_";
constexpr std::size_t kMinSymmetricKey = 24;
constexpr std::size_t kMaxSymmetricKey = 64;
constexpr std::size_t kGeneratedKey = 32;
constexpr std::size_t kEd25519Key = 32;  // of a seed, and of a public key
constexpr std::size_t kEd25519Signature = 64;
constexpr std::size_t kMaxSignatures = 64;                 // examined in one header
constexpr std::int64_t kLastUnixSecond = 253'402'300'799;  // 9999-12-31T23:59:59Z

using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

tl::unexpected<Problem> refused(std::string why) {
  return problem(ProblemCode::kInvalidParameter, std::move(why));
}

tl::unexpected<Problem> check_failed(std::string header, std::string why) {
  return problem(ProblemCode::kInvalidParameter, why, {{std::move(header), why}});
}

std::string raw_public_key(const EVP_PKEY* key) {
  std::string raw(kEd25519Key, '\0');
  std::size_t length = raw.size();
  check_openssl(EVP_PKEY_get_raw_public_key(key, bytes_of(raw), &length) == 1 && length == kEd25519Key);
  return raw;
}

// What is signed: the message id, the time and the body, joined by dots.
struct Signed {
  std::string_view id, timestamp, body;

  std::string joined() const {
    std::string text;
    text.reserve(id.size() + timestamp.size() + body.size() + 2);
    text.append(id).append(1, '.').append(timestamp).append(1, '.').append(body);
    return text;
  }
};

std::string ed25519_sign(EVP_PKEY* key, const Signed& content) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  check_openssl(context != nullptr && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) == 1);
  const std::string text = content.joined();  // ed25519 reads its input twice, so it cannot be fed in parts
  std::string signature(kEd25519Signature, '\0');
  std::size_t length = signature.size();
  check_openssl(EVP_DigestSign(context.get(), bytes_of(signature), &length, bytes_of(text), text.size()) ==
                1);
  return signature;
}

bool ed25519_verify(EVP_PKEY* key, std::string_view signature, const std::string& text) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  check_openssl(context != nullptr &&
                EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1);
  return EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(text),
                          text.size()) == 1;
}

// The signatures of one version in a header such as "v1,AAAA v1a,BBBB", decoded. One that cannot be decoded is left
// out, for it cannot verify.
std::vector<std::string> signatures_of(std::string_view header, std::string_view version) {
  std::vector<std::string> found;
  for (std::size_t seen = 0; !header.empty() && seen < kMaxSignatures; ++seen) {
    const std::string_view entry = header.substr(0, header.find(' '));
    header.remove_prefix(std::min(entry.size() + 1, header.size()));
    const std::size_t comma = entry.find(',');
    if (comma == std::string_view::npos || entry.substr(0, comma) != version) continue;
    if (auto bytes = base64_decode(entry.substr(comma + 1))) found.push_back(std::move(*bytes));
  }
  return found;
}

Result<std::int64_t> read_timestamp(std::string_view text, Time now, Millis tolerance) {
  const auto seconds = parse_int(text);
  if (!seconds || *seconds < 0 || *seconds > kLastUnixSecond || std::to_string(*seconds) != text) {
    return check_failed("webhook-timestamp", "webhook-timestamp is not a number of seconds since 1970");
  }
  const Millis age = now - Time(std::chrono::seconds(*seconds));
  if (age <= tolerance && age >= -tolerance) return *seconds;
  return check_failed("webhook-timestamp",
                      "webhook-timestamp is " + format_duration(age < Millis(0) ? -age : age) +
                          (age < Millis(0) ? " ahead of" : " behind") + " this clock, more than the " +
                          format_duration(tolerance) + " allowed");
}

Result<KeyPtr> parse_public_key(std::string_view text) {
  const auto raw = base64_decode(text.substr(kPublicPrefix.size()));
  if (!raw || raw->size() != kEd25519Key) return refused("a whpk_ key is base64 of 32 bytes");
  KeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(*raw), raw->size()));
  check_openssl(key != nullptr);
  return key;
}

}  // namespace

// Exactly one is set: the kind of the secret.
struct SigningKey::Material {
  std::optional<Hmac> mac;
  KeyPtr ed25519;
};

Result<SigningKey> SigningKey::parse(std::string_view secret) {
  const bool symmetric = secret.starts_with(kSymmetricPrefix);
  if (!symmetric && !secret.starts_with(kPrivatePrefix)) {
    return refused("a secret begins with whsec_ (HMAC-SHA256) or whsk_ (ed25519)");
  }
  const std::string_view encoded = secret.substr(symmetric ? kSymmetricPrefix.size() : kPrivatePrefix.size());
  const auto key = base64_decode(encoded);
  if (!key) return refused("what follows the secret's prefix is not base64 in the standard alphabet");

  auto material = std::make_shared<Material>();
  if (symmetric) {
    if (key->size() < kMinSymmetricKey || key->size() > kMaxSymmetricKey) {
      return refused("a whsec_ secret holds 24 to 64 bytes, this one " + std::to_string(key->size()));
    }
    material->mac.emplace("SHA256", *key);
  } else {
    if (key->size() != 2 * kEd25519Key) {
      return refused("a whsk_ secret holds 64 bytes, seed and public key; this one " +
                     std::to_string(key->size()));
    }
    material->ed25519.reset(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(*key), kEd25519Key));
    check_openssl(material->ed25519 != nullptr);
    if (!constant_time_equal(raw_public_key(material->ed25519.get()), key->substr(kEd25519Key))) {
      return refused("the public key in this whsk_ secret does not belong to its seed");
    }
  }
  SigningKey parsed;
  parsed.material_ = std::move(material);
  return parsed;
}

std::string SigningKey::generate() {
  return std::string(kSymmetricPrefix) + base64_encode(random_bytes(kGeneratedKey));
}

std::string SigningKey::sign(std::string_view id, std::int64_t unix_seconds, std::string_view body) const {
  const std::string timestamp = std::to_string(unix_seconds);
  std::string signature = asymmetric() ? "v1a," : "v1,";
  append_base64(signature, asymmetric() ? ed25519_sign(material_->ed25519.get(), Signed{id, timestamp, body})
                                        : material_->mac->of({id, ".", timestamp, ".", body}));
  return signature;
}

bool SigningKey::asymmetric() const {
  return material_->ed25519 != nullptr;
}

std::string SigningKey::public_key() const {
  if (!asymmetric()) return {};
  return std::string(kPublicPrefix) + base64_encode(raw_public_key(material_->ed25519.get()));
}

void append_signature(std::string& value, const SigningKey& key, std::string_view id,
                      std::int64_t unix_seconds, std::string_view body) {
  std::string signature = key.sign(id, unix_seconds, body);
  if (value.empty()) {
    value = std::move(signature);
  } else {
    value.append(" ").append(signature);
  }
}

Result<void> verify(std::string_view secret, const SignedMessage& message, Time now, Millis tolerance) {
  std::optional<SigningKey> symmetric;
  KeyPtr public_key;
  if (secret.starts_with(kPublicPrefix)) {
    auto parsed = parse_public_key(secret);
    if (!parsed) return tl::unexpected(parsed.error());
    public_key = std::move(*parsed);
  } else {
    const auto parsed = SigningKey::parse(secret);
    if (!parsed) return tl::unexpected(parsed.error());
    if (parsed->asymmetric()) return verify(parsed->public_key(), message, now, tolerance);
    symmetric = *parsed;
  }

  const auto seconds = read_timestamp(message.timestamp, now, tolerance);
  if (!seconds) return tl::unexpected(seconds.error());
  const std::string version = symmetric ? "v1" : "v1a";
  const auto signatures = signatures_of(message.signature, version);
  if (signatures.empty()) {
    return check_failed("webhook-signature", "webhook-signature holds no " + version + " signature");
  }
  bool matched = false;
  if (symmetric) {
    const std::string expected =
        symmetric->sign(message.id, *seconds, message.body).substr(version.size() + 1);
    const auto mac = base64_decode(expected);
    matched = std::any_of(signatures.begin(), signatures.end(),
                          [&](const std::string& signature) { return constant_time_equal(signature, *mac); });
  } else {
    const std::string content = Signed{message.id, message.timestamp, message.body}.joined();
    matched = std::any_of(signatures.begin(), signatures.end(), [&](const std::string& signature) {
      return ed25519_verify(public_key.get(), signature, content);
    });
  }
  if (matched) return {};
  return check_failed("webhook-signature",
                      "no " + version + " signature matches: another secret, or the body or id was changed");
}

}  // namespace outboxd
