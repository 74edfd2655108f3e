// Who is at the other end of a transfer's connection: its address, and until when its certificate is good.
#pragma once

#include <curl/curl.h>

#include <optional>
#include <string>

#include "common/time.h"

namespace outboxd {

// "203.0.113.7:443", "[2001:db8::1]:443"; "" for what is no address.
std::string address_text(const char* ip, int port);

// When the certificate expires that the receiver showed in the handshake of this connection. To be called while the
// transfer has its connection; costs less than a microsecond. Absent: no TLS, or libcurl was built with another library
// than OpenSSL.
std::optional<Time> certificate_expiry(CURL* easy);

}  // namespace outboxd
