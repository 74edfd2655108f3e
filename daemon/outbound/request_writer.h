// Writes the head of an HTTP/1.1 request (RFC 9112). Pure. It trusts what it is given: a parsed URL, and headers that
// were not refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/endpoint_url.h"
#include "outbound/request_headers.h"

namespace outboxd {

enum class TargetForm {
  kOrigin,    // "/hook?a=1": to the receiver itself, or through a tunnel
  kAbsolute,  // "http://example.com/hook?a=1": to a proxy that forwards (RFC 9112 section 3.2.2)
};

// The value of Proxy-Authorization for "user:password", or "" if there are no credentials.
std::string basic_authorization(std::string_view credentials);

// What all POST requests to one URL begin with: the request line, Host and, unless it is empty, Proxy-Authorization.
// Independent of the event, so a Destination keeps it.
std::string request_opening(const EndpointUrl& url, TargetForm form = TargetForm::kOrigin,
                            std::string_view proxy_authorization = {});

// Appends the whole head: `opening`, Accept (*/*, unless a field says otherwise), the fields that all requests to the
// destination have in `common`, then those of this one, the length of the body, the blank line. `out` grows at most once.
void append_request_head(std::string& out, std::string_view opening, const RequestHeaders& common,
                         const RequestHeaders& headers, std::size_t body_bytes);

// Appends a head that asks a proxy for a tunnel to "example.com:443" (RFC 9110 section 9.3.6).
void append_connect_head(std::string& out, std::string_view host_port,
                         std::string_view proxy_authorization = {});

}  // namespace outboxd
