#include "outbound/proxy.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "common/endpoint_url.h"
#include "common/text.h"

namespace outboxd {
namespace {

std::invalid_argument malformed() {
  return std::invalid_argument("the proxy must be a URL like http://proxy.example:3128");
}

// What follows no percent sign as two hex digits stays as it is.
std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' ? hex_decode(text.substr(i + 1, 2)) : std::nullopt;
    if (byte && byte->size() == 1) {
      decoded += *byte;
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; });
}

}  // namespace

Proxy Proxy::parse(const std::string& text) {
  if (text.empty()) return {};
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string::npos) throw malformed();
  const std::string_view rest = std::string_view(text).substr(scheme_end + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t at = authority.find('@');
  const std::string_view host_port = at == std::string_view::npos ? authority : authority.substr(at + 1);
  const std::string scheme = ascii_lower(text.substr(0, scheme_end));
  const auto url = parse_endpoint_url(scheme + "://" + std::string(host_port));
  if (!url) throw malformed();

  Proxy proxy;
  proxy.https = url->https;
  proxy.host = url->host;
  proxy.port = url->port;
  proxy.url = scheme + "://" + url->host_port();
  if (at == std::string_view::npos) return proxy;
  const std::string_view user_info = authority.substr(0, at);
  const std::size_t colon = user_info.find(':');
  const std::string user = percent_decode(user_info.substr(0, colon));
  if (user.empty()) return proxy;
  proxy.credentials = user + ":";
  if (colon != std::string_view::npos) proxy.credentials += percent_decode(user_info.substr(colon + 1));
  if (has_control(proxy.credentials)) throw malformed();
  return proxy;
}

std::string Proxy::authorization() const {
  return credentials.empty() ? "" : "Basic " + base64_encode(credentials);
}

std::string why_no_tunnel(int status) {
  if (status >= 200 && status < 300) return "";
  return "the proxy refused the tunnel with status " + std::to_string(status);
}

}  // namespace outboxd
