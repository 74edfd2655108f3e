// Signatures that receivers written for another sender verify, sent beside those of Standard Webhooks. A closed set:
//
//   github   X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the body>
//   stripe   <header>: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">
//   hmac     <header>: <prefix><HMAC in hex or base64, with the digest and over what it says>
//
// The key is the secret's bytes as they are. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"
#include "common/hmac.h"

namespace outboxd {

enum class SignatureScheme { kGithub, kStripe, kHmac };
enum class SignatureDigest { kSha1, kSha256, kSha512 };
enum class SignatureEncoding { kHex, kBase64 };
enum class SignatureOver { kBody, kTimestampBody, kIdTimestampBody };

std::string_view to_string(SignatureScheme);    // "github", "stripe", "hmac"
std::string_view to_string(SignatureDigest);    // "sha1", "sha256", "sha512"
std::string_view to_string(SignatureEncoding);  // "hex", "base64"
std::string_view to_string(SignatureOver);      // "body", "timestamp.body", "id.timestamp.body"
std::optional<SignatureScheme> parse_signature_scheme(std::string_view);
std::optional<SignatureDigest> parse_signature_digest(std::string_view);
std::optional<SignatureEncoding> parse_signature_encoding(std::string_view);
std::optional<SignatureOver> parse_signature_over(std::string_view);

struct LegacySignature {
  static constexpr std::size_t kMaxPerEndpoint = 4, kMaxSecret = 256, kMaxPrefix = 32;

  SignatureScheme scheme = SignatureScheme::kHmac;
  std::string secret;
  std::string header;  // as it is sent
  // What github and stripe fix is set here as well, so that only `scheme` stripe needs a look of its own.
  SignatureDigest algorithm = SignatureDigest::kSha256;
  SignatureEncoding encoding = SignatureEncoding::kHex;
  std::string prefix = {};
  SignatureOver over = SignatureOver::kBody;
  bool operator==(const LegacySignature&) const = default;
};

// Everything but the secret, as the scheme has it.
LegacySignature github_signature();
LegacySignature stripe_signature();

// Ready to sign: the secret is absorbed once. Safe to share between threads.
class LegacySigner {
 public:
  explicit LegacySigner(LegacySignature how);
  const std::string& header() const { return how_.header; }
  HeaderField sign(std::string_view id, std::int64_t unix_seconds, std::string_view body) const;

 private:
  std::string mac_of(std::string_view id, std::string_view time, std::string_view body) const;

  LegacySignature how_;
  Hmac hmac_;
};

}  // namespace outboxd
