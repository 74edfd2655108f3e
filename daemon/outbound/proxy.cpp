#include "outbound/proxy.h"

#include <curl/curl.h>

#include <memory>
#include <stdexcept>

#include "common/text.h"

namespace outboxd {
namespace {

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

Proxy Proxy::parse(const std::string& text) {
  if (text.empty()) return {};
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  const bool read = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK;
  const std::string scheme = url_part(url.get(), CURLUPART_SCHEME);
  Proxy proxy;
  proxy.host = url_part(url.get(), CURLUPART_HOST);
  const std::string port = url_part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (!read || (scheme != "http" && scheme != "https") || proxy.host.empty() || port.empty()) {
    throw std::invalid_argument("the proxy must be a URL like http://proxy.example:3128");
  }
  proxy.port = static_cast<std::uint16_t>(*parse_int(port));
  proxy.url = scheme + "://" + proxy.host + ":" + port;
  if (proxy.host.starts_with('[')) proxy.host = proxy.host.substr(1, proxy.host.size() - 2);
  const std::string user = url_part(url.get(), CURLUPART_USER, CURLU_URLDECODE);
  if (!user.empty())
    proxy.credentials = user + ":" + url_part(url.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  return proxy;
}

}  // namespace outboxd
