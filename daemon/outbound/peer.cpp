#include "outbound/peer.h"

#include <openssl/ssl.h>

#include "outbound/address_policy.h"

namespace outboxd {

std::string address_text(const char* ip, int port) {
  const auto address = ip == nullptr ? std::nullopt : IpAddress::parse(ip);
  if (!address) return "";
  const std::string text = address->to_string();
  return (address->v6 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

std::optional<Time> certificate_expiry(CURL* easy) {
  const curl_tlssessioninfo* tls = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == nullptr) return std::nullopt;
  if (tls->backend != CURLSSLBACKEND_OPENSSL || tls->internals == nullptr) return std::nullopt;
  const X509* leaf = SSL_get0_peer_certificate(static_cast<const SSL*>(tls->internals));
  tm expires{};
  if (leaf == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &expires) != 1) return std::nullopt;
  return from_unix_millis(std::int64_t{timegm(&expires)} * 1000);
}

}  // namespace outboxd
