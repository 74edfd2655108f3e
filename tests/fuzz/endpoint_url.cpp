// Endpoint URLs: what is accepted has one reading, and libcurl, which sends to it, has the same.
#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "common/endpoint.h"
#include "common/endpoint_url.h"
#include "common/text.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

struct Cleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

void check_libcurl_agrees(const EndpointUrl& ours) {
  const std::unique_ptr<CURLU, Cleanup> url(curl_url());
  HOLDS(curl_url_set(url.get(), CURLUPART_URL, ours.text.c_str(), CURLU_PATH_AS_IS) == CURLUE_OK);
  HOLDS(part_of(url.get(), CURLUPART_SCHEME) == (ours.https ? "https" : "http"));
  const auto host = part_of(url.get(), CURLUPART_HOST);
  HOLDS(host == (ours.host.find(':') == std::string::npos ? ours.host : "[" + ours.host + "]"));
  HOLDS(part_of(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT) == std::to_string(ours.port));
  HOLDS(part_of(url.get(), CURLUPART_USER).empty() && part_of(url.get(), CURLUPART_FRAGMENT).empty());
  const auto query = part_of(url.get(), CURLUPART_QUERY);
  const auto path = part_of(url.get(), CURLUPART_PATH);
  HOLDS(ours.target == (query.empty() ? path : path + "?" + query));
}

}  // namespace

FUZZ_TARGET(input) {
  const auto url = parse_endpoint_url(input);
  if (!url) {
    HOLDS(!url.error().detail.empty());
    return;
  }
  HOLDS(
      std::ranges::all_of(url->text, [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '#'; }));
  HOLDS(!url->host.empty() && url->host.size() <= 253 && url->port > 0 && url->target.starts_with('/'));
  HOLDS(url->host == ascii_lower(url->host) && url->host.find_first_of("@%/?[]") == std::string::npos);
  const auto again = parse_endpoint_url(url->text);
  HOLDS(url->text.size() > kMaxUrlLength || (again && again->text == url->text && again->host == url->host &&
                                             again->port == url->port && again->target == url->target));
  check_libcurl_agrees(*url);
}
