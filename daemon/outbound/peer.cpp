#include "outbound/peer.h"

#include <netinet/in.h>
#include <openssl/ssl.h>

namespace outboxd {

std::string address_text(const IpAddress& address, std::uint16_t port) {
  const std::string text = address.to_string();
  return (address.v6 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

std::string address_text(const sockaddr* address) {
  const auto ip = IpAddress::from_sockaddr(address);
  if (!ip) return "";
  // The port is at the same place in both families.
  return address_text(*ip, ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port));
}

std::optional<Time> certificate_expiry(const ssl_st* connection) {
  const X509* leaf = SSL_get0_peer_certificate(connection);
  tm expires{};
  if (leaf == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &expires) != 1) return std::nullopt;
  return from_unix_millis(std::int64_t{timegm(&expires)} * 1000);
}

}  // namespace outboxd
