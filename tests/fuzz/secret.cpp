// Signing secrets and signatures: what a key signs verifies with it and with nothing else changed.
//   secret, id, timestamp, signature, body
#include "common/signature.h"

#include <algorithm>

#include "common/text.h"
#include "fuzz/target.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  const auto secret = parts.next();
  const SignedMessage message{
      .id = parts.next(), .timestamp = parts.next(), .signature = parts.next(), .body = parts.next()};
  const Time now = from_unix_millis(parse_int(message.timestamp).value_or(0) % 200'000'000'000 * 1000);

  const auto verified = verify(secret, message, now);
  const auto key = SigningKey::parse(secret);
  if (!key) {
    HOLDS(!key.error().detail.empty() && !(verified && secret.starts_with("whsec_")));
    // The refusal does not quote the secret. (One with blanks may be words of the refusal itself: libFuzzer found that.)
    const auto hidden = secret.substr(std::min<std::size_t>(secret.size(), 6));
    HOLDS(hidden.size() < 32 || !secret.starts_with("whsec_") || hidden.find(' ') != hidden.npos ||
          key.error().detail.find(hidden) == std::string::npos);
    return;
  }
  HOLDS(key->asymmetric() == secret.starts_with("whsk_"));
  const std::int64_t seconds = unix_millis(now) / 1000;
  const std::string signature = key->sign(message.id, seconds, message.body),
                    timestamp = std::to_string(seconds);
  if (seconds >= 0) {
    const auto decoy = "v1,AAAA v2,x " + signature;
    HOLDS(verify(secret, {message.id, timestamp, signature, message.body}, now));
    HOLDS(verify(secret, {message.id, timestamp, decoy, message.body}, now));
    if (key->asymmetric())
      HOLDS(verify(key->public_key(), {message.id, timestamp, signature, message.body}, now));
    const std::string changed = std::string(message.body) + ' ';
    HOLDS(!verify(secret, {message.id, timestamp, signature, changed}, now));
    HOLDS(!verify(secret, {message.id, timestamp, signature, message.body}, now + std::chrono::minutes(6)));
  }
  // Whatever verifies carries the signature that this key makes.
  if (verified && !key->asymmetric()) {
    const auto bytes = signature.substr(3, signature.find('=') - 3);  // padding may be left out
    HOLDS(message.signature.find(bytes) != std::string_view::npos);
  }
}
