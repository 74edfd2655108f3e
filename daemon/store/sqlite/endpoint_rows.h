// Endpoints to and from the columns of their table; see rows.h for how such conversions behave.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/endpoint.h"
#include "common/secret_box.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

// An endpoint's fields as the columns hold them; statements bind views into this object. Without a `box` the secrets
// are stored in plain text.
struct EndpointColumns {
  EndpointColumns(const Endpoint& endpoint, const SecretBox* box);
  std::string types, secrets, headers;
  std::optional<std::string> retry_schedule, tls, filter, body_template, auth, signatures;
  std::optional<std::int64_t> timeout, max_in_flight, rate_limit_count, rate_limit_per, disable_after;
};

Endpoint read_endpoint(const Cursor& row, const SecretBox* box);  // sql::kEndpoint*
Ordering read_ordering(std::string_view word);

}  // namespace outboxd::sqlite
