// Standard Webhooks signatures (https://www.standardwebhooks.com): `id.timestamp.body` signed with
// HMAC-SHA256 (v1) or ed25519 (v1a).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/problem.h"
#include "common/time.h"

namespace outboxd {

// A parsed secret, ready to sign. Holds key material: never log it. Cheap to copy; safe to share between
// threads.
class SigningKey {
 public:
  // "whsec_…" or "whsk_…"; the error says what is wrong without quoting the secret.
  static Result<SigningKey> parse(std::string_view secret);
  // A new v1 secret: "whsec_" + base64 of 32 random bytes.
  static std::string generate();

  // "v1,<base64>" or "v1a,<base64>" for one secret.
  std::string sign(std::string_view id, std::int64_t unix_seconds, std::string_view body) const;
  bool asymmetric() const;
  // "whpk_" + base64 of the ed25519 public key, for the subscriber; empty for v1.
  std::string public_key() const;

 private:
  struct Material;
  std::shared_ptr<const Material> material_;
};

// Adds the key's signature to a value of `webhook-signature`, which has one for each key, separated by spaces.
void append_signature(std::string& value, const SigningKey& key, std::string_view id,
                      std::int64_t unix_seconds, std::string_view body);

// A received message: the values of its webhook-id, webhook-timestamp and webhook-signature headers, and its body.
struct SignedMessage {
  std::string_view id, timestamp, signature, body;
};
// Does any of the signatures verify with this secret (whsec_, whsk_ or, for v1a, whpk_)? `now` and `tolerance` bound
// the timestamp (Standard Webhooks: 5 minutes). MACs are compared in constant time. The error says which check failed.
Result<void> verify(std::string_view secret, const SignedMessage& message, Time now,
                    Millis tolerance = std::chrono::minutes(5));

}  // namespace outboxd
