#include "outbound/request_writer.h"

#include <array>
#include <charconv>
#include <limits>

#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kVersion = " HTTP/1.1\r\nHost: ";
constexpr std::string_view kAcceptAll = "Accept: */*\r\n";
constexpr std::string_view kContentLength = "Content-Length: ";
constexpr std::string_view kProxyAuthorization = "Proxy-Authorization: ";

// The host as it stands in a URL: RFC 9110 section 7.2 wants it the same in Host. The scheme's own port is left out.
void append_authority(std::string& out, const EndpointUrl& url) {
  const bool ipv6 = url.host.find(':') != std::string::npos;
  if (ipv6) out += '[';
  out += url.host;
  if (ipv6) out += ']';
  if (url.port != (url.https ? 443 : 80)) out.append(":").append(std::to_string(url.port));
}

void append_proxy_authorization(std::string& out, std::string_view value) {
  if (!value.empty()) out.append(kProxyAuthorization).append(value).append(kLineEnd);
}

}  // namespace

std::string basic_authorization(std::string_view credentials) {
  return credentials.empty() ? "" : "Basic " + base64_encode(credentials);
}

std::string request_opening(const EndpointUrl& url, TargetForm form, std::string_view proxy_authorization) {
  std::string out;
  out.reserve(2 * (url.host.size() + 8) + url.target.size() + proxy_authorization.size() + 64);
  out = "POST ";
  if (form == TargetForm::kAbsolute) {
    out += url.https ? "https://" : "http://";
    append_authority(out, url);
  }
  out.append(url.target).append(kVersion);
  append_authority(out, url);
  out += kLineEnd;
  append_proxy_authorization(out, proxy_authorization);
  return out;
}

void append_request_head(std::string& out, std::string_view opening, const RequestHeaders& common,
                         const RequestHeaders& headers, std::size_t body_bytes) {
  std::array<char, std::numeric_limits<std::size_t>::digits10 + 1> digits{};
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), body_bytes).ptr;
  const std::string_view length(digits.data(), static_cast<std::size_t>(end - digits.data()));

  out.reserve(out.size() + opening.size() + kAcceptAll.size() + common.lines().size() +
              headers.lines().size() + kContentLength.size() + length.size() + 2 * kLineEnd.size());
  out += opening;
  if (!common.has_accept() && !headers.has_accept()) out += kAcceptAll;
  out.append(common.lines()).append(headers.lines());
  out.append(kContentLength).append(length).append(kLineEnd).append(kLineEnd);
}

void append_connect_head(std::string& out, std::string_view host_port, std::string_view proxy_authorization) {
  out.append("CONNECT ").append(host_port).append(kVersion).append(host_port).append(kLineEnd);
  append_proxy_authorization(out, proxy_authorization);
  out += kLineEnd;
}

}  // namespace outboxd
