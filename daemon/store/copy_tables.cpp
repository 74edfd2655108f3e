// The rows that stores of both kinds give and take. An event comes before what belongs to it.
#include <array>

#include "store/copy.h"

namespace outboxd {
namespace {

constexpr CopyType kNumber = CopyType::kNumber, kText = CopyType::kText, kBytes = CopyType::kBytes;

constexpr std::array<CopyColumn, 31> kEndpoint{{{"seq", kNumber},
                                                {"id", kBytes},
                                                {"url", kText},
                                                {"name", kText},
                                                {"tenant", kText},
                                                {"types", kText},
                                                {"secrets", kText},
                                                {"headers", kText},
                                                {"format", kText},
                                                {"timeout", kNumber},
                                                {"retry_schedule", kText},
                                                {"max_in_flight", kNumber},
                                                {"state", kText},
                                                {"disabled_reason", kText},
                                                {"metadata", kText},
                                                {"created_at", kNumber},
                                                {"updated_at", kNumber},
                                                {"rate_limit_count", kNumber},
                                                {"rate_limit_per", kNumber},
                                                {"ordering", kText},
                                                {"on_failure_in_order", kText},
                                                {"failing_since", kNumber},
                                                {"tls", kText},
                                                {"filter", kText},
                                                {"body_template", kText},
                                                {"content_type", kText},
                                                {"auth", kText},
                                                {"signatures", kText},
                                                {"disable_after", kNumber},
                                                {"removed_at", kNumber},
                                                {"discarding", kNumber}}};
constexpr std::array<CopyColumn, 17> kEvent{{{"seq", kNumber},
                                             {"id", kBytes},
                                             {"tenant", kText},
                                             {"type", kText},
                                             {"payload", kBytes},
                                             {"content_type", kText},
                                             {"ordering_key", kText},
                                             {"priority", kNumber},
                                             {"headers", kText},
                                             {"traceparent", kText},
                                             {"cloud_event", kText},
                                             {"created_at", kNumber},
                                             {"deliver_at", kNumber},
                                             {"expires_at", kNumber},
                                             {"deliveries", kNumber},
                                             {"checksum", kNumber},
                                             {"payload_erased_at", kNumber}}};
// `due_at` by the wall clock. What is of no use to a delivery that has ended is null then.
constexpr std::array<CopyColumn, 15> kDelivery{{{"event", kNumber},
                                                {"endpoint", kNumber},
                                                {"state", kText},
                                                {"reason", kText},
                                                {"attempts", kNumber},
                                                {"attempts_ever", kNumber},
                                                {"due_at", kNumber},
                                                {"priority", kNumber},
                                                {"blocked", kNumber},
                                                {"sequence_key", kText},
                                                {"error", kText},
                                                {"created_at", kNumber},
                                                {"finished_at", kNumber},
                                                {"expires_at", kNumber},
                                                {"after_batch", kNumber}}};
constexpr std::array<CopyColumn, 19> kAttempt{{{"event", kNumber},
                                               {"endpoint", kNumber},
                                               {"number", kNumber},
                                               {"id", kBytes},
                                               {"started_at", kNumber},
                                               {"dns", kNumber},
                                               {"connect", kNumber},
                                               {"tls", kNumber},
                                               {"first_byte", kNumber},
                                               {"total", kNumber},
                                               {"outcome", kText},
                                               {"status", kNumber},
                                               {"error", kText},
                                               {"request_line", kText},
                                               {"response_headers", kText},
                                               {"response_body", kBytes},
                                               {"remote_address", kText},
                                               {"resent", kNumber},
                                               {"after_batch", kNumber}}};
constexpr std::array<CopyColumn, 5> kIdempotency{
    {{"tenant", kText}, {"key", kText}, {"event", kNumber}, {"digest", kBytes}, {"expires_at", kNumber}}};
constexpr std::array<CopyColumn, 3> kFanOut{{{"event", kNumber}, {"after", kNumber}, {"last", kNumber}}};
constexpr std::array<CopyColumn, 17> kBatch{{{"number", kNumber},
                                             {"id", kBytes},
                                             {"action", kText},
                                             {"filter", kText},
                                             {"rate", kText},
                                             {"reason", kText},
                                             {"who", kText},
                                             {"state", kText},
                                             {"matched", kNumber},
                                             {"counted", kNumber},
                                             {"done", kNumber},
                                             {"skipped", kNumber},
                                             {"last_event", kNumber},
                                             {"last_endpoint", kNumber},
                                             {"place", kText},
                                             {"created_at", kNumber},
                                             {"finished_at", kNumber}}};
constexpr std::array<CopyColumn, 4> kEventType{
    {{"tenant", kText}, {"type", kText}, {"events", kNumber}, {"last_at", kNumber}}};
constexpr std::array<CopyColumn, 17> kRollup{{{"span", kNumber},
                                              {"at", kNumber},
                                              {"endpoint", kNumber},
                                              {"type", kText},
                                              {"outcome", kText},
                                              {"status", kNumber},
                                              {"reason", kText},
                                              {"accepted", kNumber},
                                              {"attempts", kNumber},
                                              {"failed", kNumber},
                                              {"delivered", kNumber},
                                              {"dead", kNumber},
                                              {"latency", kBytes},
                                              {"duration", kBytes},
                                              {"first_at", kNumber},
                                              {"last_at", kNumber},
                                              {"last_error", kText}}};
constexpr std::array<CopyColumn, 4> kSource{
    {{"name", kText}, {"database", kText}, {"relayed", kNumber}, {"cleared", kNumber}}};
// `payload` as bytes, whatever it is; times as they were written, as text.
constexpr std::array<CopyColumn, 14> kOutbox{{{"seq", kNumber},
                                              {"type", kText},
                                              {"payload", kBytes},
                                              {"tenant", kText},
                                              {"content_type", kText},
                                              {"ordering_key", kText},
                                              {"idempotency_key", kText},
                                              {"deliver_at", kText},
                                              {"expires_at", kText},
                                              {"priority", kNumber},
                                              {"headers", kText},
                                              {"traceparent", kText},
                                              {"rejected", kText},
                                              {"rejected_at", kNumber}}};

constexpr std::array kTables{
    CopyTable{"endpoint", 1, kEndpoint},
    CopyTable{"event", 1, kEvent},
    CopyTable{"delivery", 2, kDelivery},
    CopyTable{"attempt", 3, kAttempt},
    CopyTable{"idempotency", 2, kIdempotency},
    CopyTable{"fan_out", 1, kFanOut},
    CopyTable{"batch", 1, kBatch},
    CopyTable{"event_type", 2, kEventType},
    CopyTable{"rollup", 7, kRollup},
    CopyTable{"source", 1, kSource},
    CopyTable{"outbox", 1, kOutbox},
};

}  // namespace

std::span<const CopyTable> copied_tables() {
  return kTables;
}

}  // namespace outboxd
