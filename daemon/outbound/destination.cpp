#include "outbound/destination.h"

#include <utility>

#include "outbound/request_writer.h"

namespace outboxd {

Destination::Destination(EndpointUrl its_url, RequestHeaders its_headers,
                         std::shared_ptr<const EndpointTls> its_tls)
    : url(std::move(its_url)),
      opening(request_opening(url)),
      headers(std::move(its_headers)),
      tls(std::move(its_tls)) {}

}  // namespace outboxd
