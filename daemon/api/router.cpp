#include "api/router.h"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace outboxd::api {
namespace {

constexpr std::array kMethods{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

// The request in memory; what cpp-httplib answers goes nowhere. Which of these functions are virtual depends
// on its version (some came with 0.19), hence no `override`.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view text) : text_(text) {}

  bool is_readable() const { return true; }
  bool is_writable() const { return true; }
  bool wait_readable() const { return true; }
  bool wait_writable() const { return true; }
  ssize_t read(char* into, std::size_t size) {
    const auto n = std::min(size, text_.size());
    std::memcpy(into, text_.data(), n);
    text_.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char*, std::size_t size) { return static_cast<ssize_t>(size); }
  void get_remote_ip_and_port(std::string&, int&) const {}
  void get_local_ip_and_port(std::string&, int&) const {}
  socket_t socket() const { return INVALID_SOCKET; }
  time_t duration() const { return 0; }

 private:
  std::string_view text_;
};

// "/v1/events/{id}" to a regular expression with one group a placeholder.
std::string pattern_of(std::string_view path) {
  std::string pattern;
  while (!path.empty()) {
    if (path.front() == '{') {
      const auto end = path.find('}');
      if (end == std::string_view::npos)
        throw std::invalid_argument("a route's placeholder has no closing brace");
      pattern += "([^/]+)";
      path.remove_prefix(end + 1);
      continue;
    }
    if (std::strchr(".*+?()[]^$|\\", path.front()) != nullptr) pattern += '\\';
    pattern += path.front();
    path.remove_prefix(1);
  }
  return pattern;
}

// A question mark within the query is legal (RFC 3986, 3.4), but cpp-httplib refuses it.
void append_target(std::string& out, std::string_view target) {
  const auto query = std::min(target.find('?'), target.size() - 1) + 1;
  out.append(target.substr(0, query));
  for (const char c : target.substr(query)) {
    if (c == '?')
      out += "%3F";
    else
      out += c;
  }
}

// cpp-httplib calls its handlers with its own request; this is where they leave what they found.
thread_local Router::Match* match_in_progress = nullptr;

httplib::Server::Handler leave_match(const Route* route) {
  return [route](const httplib::Request& request, httplib::Response&) {
    auto& match = *match_in_progress;
    match.route = route;
    match.path = request.path;
    for (std::size_t i = 1; i < request.matches.size(); ++i)
      match.path_parameters.push_back(request.matches[i]);
    match.query = request.params;
  };
}

}  // namespace

class Router::Server : public httplib::Server {
 public:
  void add(const Route& route) {
    const std::string pattern = pattern_of(route.path);
    auto handler = leave_match(&route);
    if (route.method == "GET")
      Get(pattern, handler);
    else if (route.method == "POST")
      Post(pattern, handler);
    else if (route.method == "PUT")
      Put(pattern, handler);
    else if (route.method == "PATCH")
      Patch(pattern, handler);
    else if (route.method == "DELETE")
      Delete(pattern, handler);
    else if (route.method == "OPTIONS")
      Options(pattern, handler);
    else
      throw std::invalid_argument("a route for the method " + route.method + " cannot be served");
  }

  void process(MemoryStream& stream) { process_by_version(*this, stream); }

 private:
  // The arguments changed with 0.18, and its version macros cannot be compared by the preprocessor.
  template <class AnyServer>
  static void process_by_version(AnyServer& server, MemoryStream& stream) {
    bool closed = false;
    if constexpr (requires { server.process_request(stream, true, closed, nullptr); }) {
      server.process_request(stream, true, closed, nullptr);
    } else {
      server.process_request(stream, "", 0, "", 0, true, closed, nullptr);
    }
  }
};

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)), server_(std::make_unique<Server>()) {
  for (const auto& route : routes_) server_->add(route);
}

Router::~Router() = default;

std::optional<Router::Match> Router::find(std::string_view method, std::string_view target) const {
  std::string text;
  text.reserve(method.size() + target.size() + 40);
  text.append(method).append(" ");
  append_target(text, target);
  text.append(" HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
  Match match;
  match_in_progress = &match;
  MemoryStream stream(text);
  server_->process(stream);
  match_in_progress = nullptr;
  if (match.route == nullptr) return std::nullopt;
  return match;
}

std::string Router::allowed_methods(std::string_view target) const {
  std::string allowed;
  for (const std::string_view method : kMethods) {
    if (!find(method, target)) continue;
    if (!allowed.empty()) allowed += ", ";
    allowed += method;
    if (method == "GET") allowed += ", HEAD";
  }
  return allowed;
}

}  // namespace outboxd::api
