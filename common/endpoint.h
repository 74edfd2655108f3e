// An endpoint: where a subscriber listens, and how it wants its requests.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/body_template.h"
#include "common/endpoint_auth.h"
#include "common/event.h"
#include "common/id.h"
#include "common/legacy_signature.h"
#include "common/payload_filter.h"
#include "common/time.h"

namespace outboxd {

enum class EndpointState { kActive, kPaused, kDisabled };
enum class PayloadFormat { kRaw, kStandard, kCloudEvents };
enum class Ordering { kNone, kKey, kEndpoint };  // which deliveries go one at a time, in the order accepted
enum class OnFailureInOrder { kBlock, kSkip };   // what a failure does to the deliveries behind it

std::string_view to_string(EndpointState);
std::string_view to_string(PayloadFormat);
std::string_view to_string(Ordering);          // "none", "key", "endpoint"
std::string_view to_string(OnFailureInOrder);  // "block", "skip"
std::optional<EndpointState> parse_endpoint_state(std::string_view);
std::optional<PayloadFormat> parse_payload_format(std::string_view);
std::optional<Ordering> parse_ordering(std::string_view);
std::optional<OnFailureInOrder> parse_on_failure_in_order(std::string_view);

// At most `count` requests in each `per`: "100/s", "30/m", "5/h", "1/d".
struct RateLimit {
  int count = 1;  // 1 to kMaxRate
  Millis per = std::chrono::seconds(1);
  bool operator==(const RateLimit&) const = default;
};
inline constexpr int kMaxRate = 1'000'000;
std::string to_string(const RateLimit&);
std::optional<RateLimit> parse_rate_limit(std::string_view);

// A signing secret: "whsec_" + base64 of 24 to 64 bytes (HMAC-SHA256, v1), or "whsk_" + base64 of an
// ed25519 seed and public key, 64 bytes (v1a). Standard Webhooks.
struct EndpointSecret {
  std::string text;
  Time created_at{};
  std::optional<Time> expires_at;  // after a rotation the old secret also signs until then
  bool operator==(const EndpointSecret&) const = default;
};

// Whose certificates outboxd trusts, and the client certificate it presents: names of PEM files (common/secret_file.h),
// "" for none. Certificate and key are given together.
struct EndpointTls {
  std::string ca_file = {};      // trusted instead of the system's authorities
  std::string client_cert = {};  // with its chain
  std::string client_key = {};
  bool empty() const { return ca_file.empty() && client_cert.empty(); }
  bool operator==(const EndpointTls&) const = default;
};

inline constexpr std::size_t kMaxEndpointTypes = 64;
inline constexpr std::size_t kMaxRetrySchedule = 64;
inline constexpr std::size_t kMaxEndpointSecrets = 8;
inline constexpr std::size_t kMaxUrlLength = 2048;
// An endpoint whose every attempt has failed for this long is disabled.
inline constexpr Millis kDefaultDisableAfter = std::chrono::hours(24 * 5);

struct Endpoint {
  EndpointSeq seq = 0;  // 0 until the store has given one
  EndpointId id;
  std::string url;
  std::string name;
  std::string tenant;
  std::vector<std::string> types = {"**"};
  std::optional<PayloadFilter> filter;  // absent: whatever is in the event
  std::vector<EndpointSecret> secrets;  // newest first
  std::vector<HeaderField> headers;
  std::optional<EndpointAuth> auth;
  std::vector<LegacySignature> signatures;  // beside those of `secrets`
  PayloadFormat format = PayloadFormat::kRaw;
  std::optional<BodyTemplate> body_template;          // with kRaw: the body instead of the payload
  std::optional<std::string> content_type;            // instead of the one that the body has
  std::optional<Millis> timeout;                      // absent: [delivery] timeout
  std::optional<std::vector<Millis>> retry_schedule;  // absent: [delivery] retry_schedule
  std::optional<int> max_in_flight;                   // absent: [delivery] max_in_flight_per_endpoint
  std::optional<RateLimit> rate_limit;
  Ordering ordering = Ordering::kNone;
  OnFailureInOrder on_failure_in_order = OnFailureInOrder::kBlock;
  std::optional<Millis> disable_after = kDefaultDisableAfter;  // absent: never
  EndpointState state = EndpointState::kActive;
  std::string disabled_reason;  // with kDisabled: "gone", "failing", "operator"
  EndpointTls tls;
  std::string metadata = "{}";  // a JSON object, as given
  Time created_at{};
  Time updated_at{};
  std::optional<Time> failing_since;  // every attempt since then has failed; as stored when this was read
  bool operator==(const Endpoint&) const = default;
};

// Do requests for both go to the same place and look the same to it? If not, an answer from one says nothing about the
// other.
bool same_receiver(const Endpoint& a, const Endpoint& b);

using EndpointPtr = std::shared_ptr<const Endpoint>;  // shared between threads: never modified, only replaced

// The key that puts an event in order at this endpoint: deliveries of one endpoint with the same sequence key go one at
// a time, in the order accepted. Absent: no order. "" is the single key of Ordering::kEndpoint; it cannot clash,
// because no event's ordering key is empty.
std::optional<std::string> sequence_key_of(Ordering ordering, const std::optional<std::string>& ordering_key);

// Does this endpoint want events of that tenant and type? What is in them is its filter's business.
bool wants(const Endpoint& endpoint, std::string_view tenant, std::string_view type);

}  // namespace outboxd
