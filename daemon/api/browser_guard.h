// Protects against requests that a web page tricks a browser into sending. Applies to TCP only: no browser speaks to a
// Unix socket. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/exchange.h"

namespace outboxd::api {

// Against DNS rebinding: when the name evil.example is made to point to 127.0.0.1, its page reaches us, but sends its
// own name as Host. So Host must be a loopback name or address, the address that the client connected to
// (`local_address`, without brackets or port), or one of `allowed` (names without port, any case). An absent Host
// (HTTP/1.0) passes: browsers always send one.
bool host_allowed(std::string_view host, std::string_view local_address,
                  std::span<const std::string> allowed);

// Against cross-site requests: a page may POST anywhere, but only with the content types of forms unless it asks first
// (CORS), which is never granted here. So a write that a browser marks as coming from another site (Sec-Fetch-Site,
// which pages cannot set) is kForbidden; and a write with an Origin must have a JSON content type (application/json,
// application/x-ndjson or application/…+json), else it is kUnsupportedMediaType. Without either header the caller is
// not a web page, and the handler alone checks the type.
Result<void> check_write(const Request& request);

// kForbidden for a read that a browser marks as coming from another origin. For what a cookie lets in: a page of another
// port of this host is of the same site, so its requests carry the cookie. It cannot read the answer, but what is asked
// for may be recorded as an operator's act, or make work.
Result<void> check_read(const Request& request);

}  // namespace outboxd::api
