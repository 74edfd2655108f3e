// Endpoints to and from the columns of their table, for every store; rows.h says how such conversions behave.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "common/secret_box.h"
#include "store/column_values.h"
#include "store/endpoint_secrets.h"
#include "store/rows.h"

namespace outboxd {

// An endpoint's fields as the columns hold them; statements bind views into this object. Without a `box` the secrets
// are stored in plain text.
struct EndpointColumns {
  EndpointColumns(const Endpoint& endpoint, const SecretBox* box);
  std::string types, secrets, headers;
  std::optional<std::string> retry_schedule, tls, filter, body_template, auth, signatures;
  std::optional<std::int64_t> timeout, max_in_flight, rate_limit_count, rate_limit_per, disable_after;
};

// Single columns.
std::vector<std::string> read_types(std::string_view stored);
std::vector<Millis> read_schedule(std::string_view stored);
RateLimit read_rate_limit(std::int64_t count, std::int64_t per);
Ordering read_ordering(std::string_view word);
EndpointTls read_tls(std::string_view stored);
PayloadFilter read_filter(std::string_view stored);
BodyTemplate read_body_template(std::string_view stored);
EndpointAuth read_auth(std::string_view stored);                        // without its secret
std::vector<LegacySignature> read_signatures(std::string_view stored);  // without their secrets

// seq, id, url, name, tenant, types, secrets, headers, format, timeout, retry_schedule, max_in_flight, state,
// disabled_reason, metadata, created_at, updated_at, rate_limit_count, rate_limit_per, ordering, on_failure_in_order,
// failing_since, tls, filter, body_template, content_type, auth, signatures, disable_after.
template <class Row>
Endpoint read_endpoint(const Row& row, const SecretBox* box) {
  Endpoint e;
  e.seq = row.integer(0);
  e.id = EndpointId{read_uuid(row.view(1))};
  e.url = row.text(2);
  e.name = row.text(3);
  e.tenant = row.text(4);
  e.types = read_types(row.view(5));
  e.headers = decode_headers(row.view(7));
  e.format = word(parse_payload_format(row.view(8)), "endpoint.format");
  if (!row.is_null(9)) e.timeout = bounded(Millis(row.integer(9)), "endpoint.timeout");
  if (!row.is_null(10)) e.retry_schedule = read_schedule(row.view(10));
  if (!row.is_null(11))
    e.max_in_flight = int_between(row.integer(11), 1, kMaxCount, "endpoint.max_in_flight");
  e.state = word(parse_endpoint_state(row.view(12)), "endpoint.state");
  e.disabled_reason = row.text(13);
  e.metadata = row.text(14);
  e.created_at = row.time(15);
  e.updated_at = row.time(16);
  if (!row.is_null(17)) e.rate_limit = read_rate_limit(row.integer(17), row.integer(18));
  e.ordering = read_ordering(row.view(19));
  e.on_failure_in_order = word(parse_on_failure_in_order(row.view(20)), "endpoint.on_failure_in_order");
  e.failing_since = row.optional_time(21);
  if (!row.is_null(22)) e.tls = read_tls(row.view(22));
  if (!row.is_null(23)) e.filter = read_filter(row.view(23));
  if (!row.is_null(24)) e.body_template = read_body_template(row.view(24));
  e.content_type = row.optional_text(25);
  if (!row.is_null(26)) e.auth = read_auth(row.view(26));
  if (!row.is_null(27)) e.signatures = read_signatures(row.view(27));
  e.disable_after.reset();
  if (!row.is_null(28)) e.disable_after = bounded(Millis(row.integer(28)), "endpoint.disable_after");
  decode_secrets(row.view(6), box, e);
  return e;
}

}  // namespace outboxd
