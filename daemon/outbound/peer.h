// Who is at the other end of a connection: its address, and until when its certificate is good.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

#include "common/time.h"
#include "outbound/address_policy.h"

struct ssl_st;

namespace outboxd {

// "203.0.113.7:443", "[2001:db8::1]:443".
std::string address_text(const IpAddress& address, std::uint16_t port);
std::string address_text(const sockaddr* address);  // "" for what is no IP address

// When the certificate expires that the other side showed in the handshake of this connection, or of the one whose
// session it resumed. Costs less than a microsecond. Absent: it showed none yet.
std::optional<Time> certificate_expiry(const ssl_st* connection);

}  // namespace outboxd
