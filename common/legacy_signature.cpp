#include "common/legacy_signature.h"

#include <utility>

#include "common/enum_names.h"
#include "common/text.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, 3> kSchemes = {"github", "stripe", "hmac"};
constexpr std::array<std::string_view, 3> kDigests = {"sha1", "sha256", "sha512"};
constexpr std::array<std::string_view, 2> kEncodings = {"hex", "base64"};
constexpr std::array<std::string_view, 3> kOvers = {"body", "timestamp.body", "id.timestamp.body"};
static_assert(kSchemes.size() == static_cast<std::size_t>(SignatureScheme::kHmac) + 1);
static_assert(kDigests.size() == static_cast<std::size_t>(SignatureDigest::kSha512) + 1);
static_assert(kEncodings.size() == static_cast<std::size_t>(SignatureEncoding::kBase64) + 1);
static_assert(kOvers.size() == static_cast<std::size_t>(SignatureOver::kIdTimestampBody) + 1);

}  // namespace

std::string_view to_string(SignatureScheme scheme) {
  return name_of(kSchemes, scheme);
}
std::string_view to_string(SignatureDigest digest) {
  return name_of(kDigests, digest);
}
std::string_view to_string(SignatureEncoding encoding) {
  return name_of(kEncodings, encoding);
}
std::string_view to_string(SignatureOver over) {
  return name_of(kOvers, over);
}
std::optional<SignatureScheme> parse_signature_scheme(std::string_view text) {
  return enum_of<SignatureScheme>(kSchemes, text);
}
std::optional<SignatureDigest> parse_signature_digest(std::string_view text) {
  return enum_of<SignatureDigest>(kDigests, text);
}
std::optional<SignatureEncoding> parse_signature_encoding(std::string_view text) {
  return enum_of<SignatureEncoding>(kEncodings, text);
}
std::optional<SignatureOver> parse_signature_over(std::string_view text) {
  return enum_of<SignatureOver>(kOvers, text);
}

LegacySignature github_signature() {
  return {
      .scheme = SignatureScheme::kGithub, .secret = {}, .header = "X-Hub-Signature-256", .prefix = "sha256="};
}

LegacySignature stripe_signature() {
  return {.scheme = SignatureScheme::kStripe,
          .secret = {},
          .header = "Stripe-Signature",
          .over = SignatureOver::kTimestampBody};
}

// OpenSSL takes the digest's name in either case.
LegacySigner::LegacySigner(LegacySignature how)
    : how_(std::move(how)), hmac_(name_of(kDigests, how_.algorithm), how_.secret) {}

std::string LegacySigner::mac_of(std::string_view id, std::string_view time, std::string_view body) const {
  switch (how_.over) {
    case SignatureOver::kTimestampBody:
      return hmac_.of({time, ".", body});
    case SignatureOver::kIdTimestampBody:
      return hmac_.of({id, ".", time, ".", body});
    case SignatureOver::kBody:
      break;
  }
  return hmac_.of({body});
}

HeaderField LegacySigner::sign(std::string_view id, std::int64_t unix_seconds, std::string_view body) const {
  const std::string time = std::to_string(unix_seconds);
  const std::string mac = mac_of(id, time, body);
  const std::string text = how_.encoding == SignatureEncoding::kHex ? hex_encode(mac) : base64_encode(mac);
  if (how_.scheme == SignatureScheme::kStripe) return {how_.header, "t=" + time + ",v1=" + text};
  return {how_.header, how_.prefix + text};
}

}  // namespace outboxd
