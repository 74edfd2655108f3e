#include "api/browser_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "common/text.h"

namespace outboxd::api {
namespace {

bool is_port(std::string_view text) {
  return text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// The host of `host[:port]`, without the brackets of an IPv6 address; "" when it is not of that form.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return {};
    const auto rest = host.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return {};
    return host.substr(1, end - 1);
  }
  const auto colon = host.find(':');
  if (colon == std::string_view::npos) return host;
  return is_port(host.substr(colon + 1)) ? host.substr(0, colon) : std::string_view{};
}

bool is_loopback(const std::string& name) {
  in_addr v4{};
  if (inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, name.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return ascii_iequals(name, "localhost");
}

bool from_other_origin(const Request& request) {
  const auto site = request.header("sec-fetch-site");
  return site && *site != "same-origin" && *site != "none";
}

bool is_json_type(std::string_view content_type) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  constexpr std::string_view kApplication = "application/";
  constexpr std::string_view kSuffix = "+json";
  if (type.size() < kApplication.size() || !ascii_iequals(type.substr(0, kApplication.size()), kApplication))
    return false;
  type.remove_prefix(kApplication.size());
  if (ascii_iequals(type, "json") || ascii_iequals(type, "x-ndjson")) return true;
  return type.size() > kSuffix.size() && ascii_iequals(type.substr(type.size() - kSuffix.size()), kSuffix);
}

}  // namespace

bool host_allowed(std::string_view host, std::string_view local_address,
                  std::span<const std::string> allowed) {
  if (host.empty()) return true;
  const auto name = without_port(host);
  if (name.empty()) return false;
  if (name == local_address || is_loopback(std::string(name))) return true;
  return std::ranges::any_of(allowed, [name](const std::string& a) { return ascii_iequals(a, name); });
}

Result<void> check_write(const Request& request) {
  if (only_reads(request.method)) return {};
  if (from_other_origin(request))
    return problem(ProblemCode::kForbidden, "A browser sent this write for a page of another origin.");
  if (request.header("origin") && !is_json_type(request.header("content-type").value_or(""))) {
    return problem(ProblemCode::kUnsupportedMediaType,
                   "A write with an Origin header must have a JSON content type.");
  }
  return {};
}

Result<void> check_read(const Request& request) {
  if (!from_other_origin(request)) return {};
  return problem(ProblemCode::kForbidden, "A browser asked for this for a page of another origin.");
}

}  // namespace outboxd::api
