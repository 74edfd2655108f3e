// Where requests go, and what all requests to there have in common. Prepared once and shared by them, never modified.
#pragma once

#include <memory>
#include <string>

#include "common/endpoint.h"
#include "common/endpoint_url.h"
#include "outbound/request_headers.h"

namespace outboxd {

struct Destination {
  explicit Destination(EndpointUrl its_url, RequestHeaders its_headers = {},
                       std::shared_ptr<const EndpointTls> its_tls = nullptr);

  const EndpointUrl url;
  const std::string opening;                     // of a request that no proxy forwards: see request_opening()
  const RequestHeaders headers;                  // of each request
  const std::shared_ptr<const EndpointTls> tls;  // null: the system's authorities, no client certificate
};

}  // namespace outboxd
