// The options of `endpoint add` and `endpoint set` that name an endpoint's fields.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/commands.h"

namespace outboxd::ctl {

// What `add` and `set` can set of an endpoint.
struct EndpointFields {
  std::optional<std::string> url, name, types, tenant, secret_file, format, timeout, retry_schedule, metadata,
      filter, body_template, content_type, disable_after, auth_file, signatures_file;
  std::optional<std::string> rate_limit, ordering, on_failure_in_order;
  std::optional<std::string> ca_file, client_cert, client_key;
  bool no_tls = false;
  std::optional<int> max_in_flight;
  std::vector<std::string> headers;
};

// All of them but url, tenant and no_tls.
void add_field_options(CLI::App* command, EndpointFields& fields);
// What is to be sent: only what was named; "" if that is nothing.
std::string endpoint_body(const EndpointFields& fields);

}  // namespace outboxd::ctl
