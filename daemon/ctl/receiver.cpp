#include "ctl/receiver.h"

#include <httplib.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "common/clock.h"
#include "common/text.h"
#include "ctl/failure.h"
#include "ctl/http_client.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kThreads = 256;  // one connection each: several endpoints at full width
constexpr int kBacklog = 1024;
constexpr time_t kKeepAliveSeconds = 60;
constexpr Millis kForwardTimeout = std::chrono::seconds(20);

class Server final : public httplib::Server {
 public:
  // The library asks the kernel for a backlog of 5; in a burst of connections, the others would wait a second for the
  // SYN to be sent again.
  void widen_backlog() { ::listen(svr_sock_, kBacklog); }
};

// Whether a header is forwarded: all others belong to this connection, or libcurl writes its own.
bool goes_onward(const std::string& name) {
  const std::string lower = ascii_lower(name);
  return lower.starts_with("webhook-") || lower.starts_with("outboxd-") || lower.starts_with("ce-") ||
         lower == "content-type" || lower == "user-agent" || lower == "traceparent" ||
         lower.starts_with("x-");
}

std::optional<std::string> verify_any(const Receiver::Options& options, const Received& r,
                                      const httplib::Request& request) {
  if (options.secrets.empty()) return std::nullopt;
  const std::string signature = request.get_header_value("webhook-signature");
  return why_not_verified(options.secrets, {r.id, r.timestamp, signature, r.body}, SystemClock().wall(),
                          options.sent_body);
}

}  // namespace

struct Receiver::Impl {
  Impl(Options o, OnReceived callback)
      : options(std::move(o)), on_received(std::move(callback)), plan(options.fail, options.fail_types) {}

  void handle(const httplib::Request& request, httplib::Response& response,
              const httplib::ContentReader& read);
  void forward(const httplib::Request& request, const Received& received, httplib::Response& response) const;

  Options options;
  OnReceived on_received;
  FailPlan plan;
  Server server;
  int port = 0;
  std::thread thread;
};

void Receiver::Impl::handle(const httplib::Request& request, httplib::Response& response,
                            const httplib::ContentReader& read) {
  Received received;
  received.at = SystemClock().wall();
  received.path = request.path;
  received.type = request.get_header_value("outboxd-event-type");
  received.id = request.get_header_value("webhook-id");
  received.attempt = request.get_header_value("outboxd-attempt");
  received.timestamp = request.get_header_value("webhook-timestamp");
  received.content_type = request.get_header_value("content-type");
  // Counted here, because the library's own limit does not hold for chunked bodies.
  const bool complete = read([&](const char* data, std::size_t size) {
    if (received.body.size() + size > kMaxReceivedBytes) return false;
    received.body.append(data, size);
    return true;
  });
  if (!complete) {
    response.status = 413;
    response.set_header("Connection", "close");
    return;
  }
  received.verify_error = verify_any(options, received, request);
  if (options.delay > Millis(0)) std::this_thread::sleep_for(options.delay);
  if (received.verify_error.value_or("") != "") {
    response.status = 401;
    response.set_content("not verified: " + *received.verify_error + "\n", "text/plain");
  } else if (const auto status = plan.next(received.type)) {
    response.status = *status;
  } else if (!options.forward_to.empty()) {
    forward(request, received, response);
  } else {
    response.status = 200;
  }
  received.status = response.status;
  on_received(received);
}

void Receiver::Impl::forward(const httplib::Request& request, const Received& received,
                             httplib::Response& response) const {
  thread_local HttpClient client;
  HttpRequest onward;
  onward.method = "POST";
  onward.url = options.forward_to;
  onward.body = received.body;
  onward.timeout = kForwardTimeout;
  for (const auto& [name, value] : request.headers) {
    if (goes_onward(name)) onward.headers.push_back({name, value});
  }
  const auto answer = client.send(onward);
  response.status = answer ? answer->status : 502;
  if (answer) {
    response.set_content(answer->body,
                         answer->content_type.empty() ? "application/octet-stream" : answer->content_type);
  } else {
    response.set_content("cannot forward: " + answer.error() + "\n", "text/plain");
  }
}

Receiver::Receiver(Options options, OnReceived on_received)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(on_received))) {
  Server& server = impl_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(SIZE_MAX);
  server.set_keep_alive_timeout(kKeepAliveSeconds);
  // Replaces the library's SO_REUSEPORT, with which two programs would silently share the port.
  server.set_socket_options([](int socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  Impl* impl = impl_.get();
  server.Post(".*", [impl](const httplib::Request& request, httplib::Response& response,
                           const httplib::ContentReader& read) { impl->handle(request, response, read); });
  errno = 0;
  const int wanted = impl_->options.port;
  impl_->port = wanted == 0                                ? server.bind_to_any_port("127.0.0.1")
                : server.bind_to_port("127.0.0.1", wanted) ? wanted
                                                           : -1;
  if (impl_->port <= 0) {
    throw Failure(kExitFailed, "cannot listen on 127.0.0.1:" + std::to_string(wanted) + ": " +
                                   std::strerror(errno) + "; choose another --port");
  }
  server.widen_backlog();
}

Receiver::~Receiver() {
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

int Receiver::port() const {
  return impl_->port;
}

void Receiver::add_secret(std::string secret) {
  impl_->options.secrets.push_back(std::move(secret));
}

void Receiver::start() {
  impl_->thread = std::thread([this] { impl_->server.listen_after_bind(); });
}

}  // namespace outboxd::ctl
