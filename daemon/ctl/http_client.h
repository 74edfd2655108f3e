// One HTTP exchange at a time over TCP or a Unix socket, on a kept-alive connection. outboxctl's API client and `listen
// --forward-to` are built on it. Takes no proxy from the environment and follows no redirect. Each client is used by
// one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "common/event.h"
#include "common/time.h"

namespace outboxd::ctl {

inline constexpr Millis kConnectTimeout = std::chrono::seconds(5);
inline constexpr Millis kRequestTimeout = std::chrono::seconds(30);
inline constexpr std::size_t kMaxAnswerBytes = 64u << 20;

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string unix_socket;  // empty: TCP
  std::string ca_file;      // certificates to trust instead of the system's; empty: the system's
  std::vector<HeaderField> headers;
  std::string_view body;
  Millis timeout = kRequestTimeout;
  bool path_as_is = false;  // keeps "/./" and "/../" in the URL's path
};

struct HttpResponse {
  int status = 0;
  std::string content_type;
  std::int64_t retry_after = 0;      // seconds; 0: the server named none
  std::vector<HeaderField> headers;  // all of them, with names as the server wrote them
  std::string body;
};

// Takes an answer that goes on, as it comes.
struct AnswerReceiver {
  std::function<void(std::string_view bytes)> take;  // of a 2xx only
  int stop_fd = -1;                                  // ends the exchange when it can be read
  Millis silence = std::chrono::seconds(60);  // after this long without a byte the server is taken to be gone
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  // Returns an answer of any status. The error says why there was none: refused, timed out, cut off, too large.
  tl::expected<HttpResponse, std::string> send(const HttpRequest& request);
  // The same for an answer that goes on; `timeout` does not count. Returns when it has ended or is stopped; the body is
  // that of any answer but a 2xx.
  tl::expected<HttpResponse, std::string> receive(const HttpRequest& request, const AnswerReceiver& receiver);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

// Why nothing can be sent to `url`, or nullopt: it must be http or https with a host, without user info, query and
// fragment.
std::optional<std::string> why_base_url_refused(const std::string& url);
// Does the URL stay on this machine?
bool is_loopback_url(const std::string& url);

}  // namespace outboxd::ctl
