#include "ctl/dashboard_proxy.h"

#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "common/json.h"
#include "common/problem.h"
#include "common/text.h"
#include "ctl/bounded_server.h"
#include "ctl/dashboard_gate.h"
#include "ctl/dashboard_stream.h"
#include "ctl/peer_user.h"

namespace outboxd::ctl {
namespace {

constexpr int kMaxRequestsAtOnce = 32;
constexpr std::size_t kThreads = 64;  // browsers open connections ahead of need, and each takes one
constexpr std::size_t kMaxBodyBytes = 16u << 20;
constexpr Millis kStreamSilence = std::chrono::seconds(2);
constexpr std::string_view kOnward = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><title>outboxd</title><meta http-equiv="refresh" content="0; url=/">
<a href="/">outboxd</a></html>
)";
constexpr std::string_view kEnter = "/enter/", kSessionPath = "/v1/session",
                           kStreamPath = "/v1/attempts/stream";
constexpr const char* kTooOld =
    "this outboxd is older than its outboxctl and has no dashboard yet: install the same version, and "
    "restart it";

// The headers that go on, to the daemon and back. The others belong to the connection, or are not for the other side:
// above all no cookie reaches the daemon.
constexpr std::array<const char*, 4> kRequestHeaders = {"Content-Type", "Accept", "Last-Event-ID",
                                                        "If-None-Match"};
constexpr std::array<std::string_view, 11> kAnswerHeaders = {"content-security-policy",
                                                             "etag",
                                                             "cache-control",
                                                             "location",
                                                             "retry-after",
                                                             "x-frame-options",
                                                             "referrer-policy",
                                                             "cross-origin-opener-policy",
                                                             "x-content-type-options",
                                                             "content-encoding",
                                                             "content-disposition"};

// Counts the requests that are under way.
class Slots {
 public:
  // Held until its last copy goes; nullptr: all are taken.
  std::shared_ptr<const Slots> take() {
    if (++taken_ <= kMaxRequestsAtOnce) return {this, [](const Slots* slots) { --slots->taken_; }};
    --taken_;
    return nullptr;
  }

 private:
  mutable std::atomic<int> taken_ = 0;
};

// The library would compress what it is given as a string, at a cost of seconds where nothing is gained: the browser is on
// the same machine.
void set_body(httplib::Response& answer, std::string body, const std::string& content_type) {
  if (body.empty()) {
    if (!content_type.empty()) answer.set_header("Content-Type", content_type);
    return;
  }
  const auto kept = std::make_shared<const std::string>(std::move(body));
  answer.set_content_provider(kept->size(), content_type.empty() ? "application/octet-stream" : content_type,
                              [kept](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                                return sink.write(kept->data() + offset, length);
                              });
}

// An answer of this program rather than the daemon's.
void set_own(httplib::Response& answer, int status, std::string body, const std::string& content_type) {
  answer.status = status;
  answer.set_header("Cache-Control", "no-store");
  answer.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  answer.set_header("X-Content-Type-Options", "nosniff");
  answer.set_header("Referrer-Policy", "no-referrer");
  set_body(answer, std::move(body), content_type);
}

void refuse(httplib::Response& answer, ProblemCode code, const std::string& detail) {
  set_own(answer, kind_of(code).status, dump(to_json(Problem{code, detail})), "application/problem+json");
}

void refuse_unreachable(httplib::Response& answer, const std::string& detail) {
  const Json problem = {{"type", "/problems/bad-gateway"},
                        {"title", "The daemon does not answer"},
                        {"status", 502},
                        {"detail", detail}};
  set_own(answer, 502, dump(problem), "application/problem+json");
}

void refuse_entry(httplib::Response& answer) {
  set_own(answer, 403,
          "You are not let in here: the link works once, for one browser.\n"
          "Run `outboxctl dashboard` again for a new one.\n",
          "text/plain; charset=utf-8");
}

std::string set_cookie(const std::string& name, std::string_view value, std::string_view more = "") {
  return name + "=" + std::string(value) + "; Path=/; HttpOnly; SameSite=Strict" + std::string(more);
}

// Can it be the target of a request as it is? The library takes what is none, such as "http://elsewhere/".
bool is_target(std::string_view target) {
  return target.starts_with('/') &&
         std::ranges::all_of(target, [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

std::string_view path_of(std::string_view target) {
  return target.substr(0, target.find('?'));
}

void pass_back(HttpResponse response, httplib::Response& answer) {
  answer.status = response.status;
  for (const HeaderField& field : response.headers) {
    const std::string name = ascii_lower(field.name);
    if (std::ranges::find(kAnswerHeaders, name) != kAnswerHeaders.end())
      answer.set_header(field.name, field.value);
  }
  set_body(answer, std::move(response.body), response.content_type);
}

}  // namespace

struct DashboardProxy::Impl {
  Impl(ApiClient::Options options, LinkFor link) : daemon(std::move(options)), link_for(link) {}

  using Body = httplib::ContentReader;
  // `body` is nullptr for requests that have none.
  void handle(const httplib::Request& request, httplib::Response& answer, const Body* body);
  void enter(const httplib::Request& request, httplib::Response& answer);
  bool let_in(const httplib::Request& request, httplib::Response& answer) const;
  void answer_session(const httplib::Request& request, httplib::Response& answer);
  void forward(const httplib::Request& request, httplib::Response& answer, const Body* body);
  std::optional<ApiClient::Forwarded> read(const httplib::Request& request, httplib::Response& answer,
                                           const Body* body) const;
  void forward_stream(ApiClient::Forwarded request, httplib::Response& answer,
                      const std::shared_ptr<const Slots>& slot) const;

  const ApiClient::Options daemon;
  const LinkFor link_for;
  const std::string code = random_key();
  std::optional<DashboardGate> gate;
  Slots slots;
  std::atomic<bool> ending = false;
  BoundedServer server;
  int port = 0;
  std::thread thread;
};

void DashboardProxy::Impl::handle(const httplib::Request& request, httplib::Response& answer,
                                  const Body* body) {
  try {
    const bool one_host = request.get_header_value_count("Host") == 1;
    if (!one_host || !gate->is_host(request.get_header_value("Host"))) {
      set_own(answer, 403, "The dashboard is at http://127.0.0.1:" + std::to_string(port) + "/ only.\n",
              "text/plain; charset=utf-8");
    } else if (!is_target(request.target)) {
      refuse(answer, ProblemCode::kMalformed, "the request's target must be a path");
    } else if (request.target.starts_with(kEnter)) {
      enter(request, answer);
    } else if (!let_in(request, answer)) {
      return;
    } else if (path_of(request.target) == kSessionPath) {
      answer_session(request, answer);
    } else {
      forward(request, answer, body);
    }
  } catch (const Failure& failure) {
    refuse_unreachable(answer, failure.what());
  } catch (const std::exception& error) {
    refuse(answer, ProblemCode::kInternal, escape_control(error.what()));
  }
}

// Only by GET: programs that preview links ask by HEAD.
void DashboardProxy::Impl::enter(const httplib::Request& request, httplib::Response& answer) {
  if (link_for == LinkFor::kOwnUser && user_of_peer({request.remote_port, port}) != ::getuid()) {
    return set_own(
        answer, 403,
        "This link is on a command line, where every user of this machine can read it, so it lets in "
        "only a browser of the user who ran `outboxctl dashboard`.\n"
        "Run `outboxctl dashboard --no-open` for one that lets in whoever has it.\n",
        "text/plain; charset=utf-8");
  }
  const std::string_view given = path_of(request.target).substr(kEnter.size());
  const auto cookie = request.method == "GET" ? gate->enter(given) : std::nullopt;
  if (!cookie) return refuse_entry(answer);
  if (request.get_header_value("Sec-Fetch-Site") == "cross-site") {
    // Where the link stood on a page of another site, a redirect is still that page's doing, and browsers keep the cookie
    // from it: one page of ours in between.
    set_own(answer, 200, std::string(kOnward), "text/html; charset=utf-8");
  } else {
    set_own(answer, 303, "", "");
    answer.set_header("Location", "/");
  }
  answer.set_header("Set-Cookie", set_cookie(gate->cookie_name(), *cookie));
}

bool DashboardProxy::Impl::let_in(const httplib::Request& request, httplib::Response& answer) const {
  const std::string cookies = request.get_header_value("Cookie"),
                    csrf = request.get_header_value(kCsrfHeader),
                    site = request.get_header_value("Sec-Fetch-Site");
  const std::string_view path = path_of(request.target);
  const bool open_file = path == "/" || path.starts_with("/dashboard/");
  switch (gate->check({request.method, cookies, csrf, site, open_file})) {
    case DashboardGate::Verdict::kAllowed:
      return true;
    case DashboardGate::Verdict::kNotIn:
      refuse_entry(answer);
      return false;
    case DashboardGate::Verdict::kCrossSite:
      refuse(answer, ProblemCode::kForbidden, "pages of other origins may ask for nothing here");
      return false;
    case DashboardGate::Verdict::kNoCsrf:
      refuse(answer, ProblemCode::kForbidden,
             std::string("a change needs the header ") + kCsrfHeader + " with the csrf of GET /v1/session");
      return false;
  }
  return false;
}

void DashboardProxy::Impl::answer_session(const httplib::Request& request, httplib::Response& answer) {
  if (request.method == "DELETE") {
    gate->sign_out();
    answer.set_header("Set-Cookie", set_cookie(gate->cookie_name(), "", "; Max-Age=0"));
    return set_own(answer, 204, "", "");
  }
  if (request.method != "GET" && request.method != "HEAD") {
    answer.set_header("Allow", "GET, HEAD, DELETE");
    return refuse(answer, ProblemCode::kMethodNotAllowed,
                  "there is nothing to sign in to: outboxctl dashboard has let this browser in");
  }
  HttpResponse response = ApiClient(daemon).forward({"GET", std::string(kSessionPath), {}, {}});
  if (response.status == 404) return refuse(answer, ProblemCode::kNotImplemented, kTooOld);
  if (response.status != 200) return pass_back(std::move(response), answer);
  Json session = parse_answer(response.body);
  if (!session.is_object()) return refuse_unreachable(answer, "what answers there is not outboxd");
  session["csrf"] = gate->csrf();
  set_own(answer, 200, dump(session), "application/json");
}

// The request as the daemon is to get it; nullopt: refused.
std::optional<ApiClient::Forwarded> DashboardProxy::Impl::read(const httplib::Request& request,
                                                               httplib::Response& answer,
                                                               const Body* body) const {
  // The body of a HEAD's answer is left out by the library.
  ApiClient::Forwarded forwarded{request.method == "HEAD" ? "GET" : request.method, request.target, {}, {}};
  for (const char* name : kRequestHeaders) {
    std::string value = request.get_header_value(name);
    if (std::ranges::any_of(value, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; })) {
      refuse(answer, ProblemCode::kMalformed, std::string("header ") + name + " has control bytes");
      return std::nullopt;
    }
    if (!value.empty()) forwarded.headers.push_back({name, std::move(value)});
  }
  // Counted here, because the library's own limit does not hold for chunked bodies. Without a length it would read until
  // the browser closes.
  const bool has_body =
      body && (request.has_header("Content-Length") || request.has_header("Transfer-Encoding"));
  const bool whole = !has_body || (*body)([&forwarded](const char* data, std::size_t size) {
    if (forwarded.body.size() + size > kMaxBodyBytes) return false;
    forwarded.body.append(data, size);
    return true;
  });
  if (whole) return forwarded;
  refuse(answer, ProblemCode::kTooLarge,
         "the body did not come whole, or is larger than " + std::to_string(kMaxBodyBytes >> 20) + " MiB");
  return std::nullopt;
}

void DashboardProxy::Impl::forward(const httplib::Request& request, httplib::Response& answer,
                                   const Body* body) {
  const auto slot = slots.take();
  if (!slot) {
    answer.set_header("Retry-After", "1");
    return refuse(answer, ProblemCode::kUnavailable,
                  std::to_string(kMaxRequestsAtOnce) + " requests are under way already");
  }
  auto forwarded = read(request, answer, body);
  if (!forwarded) return;
  if (path_of(request.target) == kStreamPath && request.method == "GET")
    return forward_stream(std::move(*forwarded), answer, slot);
  pass_back(ApiClient(daemon).forward(*forwarded), answer);
}

void DashboardProxy::Impl::forward_stream(ApiClient::Forwarded request, httplib::Response& answer,
                                          const std::shared_ptr<const Slots>& slot) const {
  const auto stream = std::make_shared<DashboardStream>(daemon, std::move(request), ending);
  if (auto refusal = stream->wait_until_begun()) return pass_back(std::move(*refusal), answer);
  answer.status = 200;
  answer.set_header("Cache-Control", "no-store");
  answer.set_header("X-Content-Type-Options", "nosniff");
  const auto between_events = std::make_shared<bool>(false);
  answer.set_chunked_content_provider(
      "text/event-stream", [this, stream, slot, between_events](std::size_t, httplib::DataSink& sink) {
        auto bytes = stream->next(kStreamSilence);
        if (!bytes || !gate->is_anybody_in()) {
          sink.done();
          return true;
        }
        // A browser that has gone is noticed by writing to it only: a comment does no harm there.
        if (bytes->empty() && *between_events) *bytes = ":\n\n";
        if (bytes->empty()) return true;
        *between_events = bytes->ends_with("\n\n");
        return sink.write(bytes->data(), bytes->size());
      });
}

DashboardProxy::DashboardProxy(ApiClient::Options daemon, int port, LinkFor link_for)
    : impl_(std::make_unique<Impl>(std::move(daemon), link_for)) {
  httplib::Server& server = impl_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_tcp_nodelay(true);
  // Replaces the library's SO_REUSEPORT, with which another program could share the port.
  server.set_socket_options([](int socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  Impl* impl = impl_.get();
  const auto bare = [impl](const httplib::Request& request, httplib::Response& answer) {
    impl->handle(request, answer, nullptr);
  };
  const auto with_body = [impl](const httplib::Request& request, httplib::Response& answer,
                                const httplib::ContentReader& body) { impl->handle(request, answer, &body); };
  const std::string everything = R"([\s\S]*)";
  server.Get(everything, bare)
      .Options(everything, bare)
      .Post(everything, with_body)
      .Put(everything, with_body)
      .Patch(everything, with_body)
      .Delete(everything, with_body);
  errno = 0;
  impl->port = port == 0                                ? server.bind_to_any_port("127.0.0.1")
               : server.bind_to_port("127.0.0.1", port) ? port
                                                        : -1;
  if (impl->port <= 0) {
    throw Failure(kExitFailed, "cannot listen on 127.0.0.1:" + std::to_string(port) + ": " +
                                   std::strerror(errno) + "; choose another --port");
  }
  impl->gate.emplace(impl->port, impl->code, random_key(), random_key());
}

DashboardProxy::~DashboardProxy() {
  impl_->ending = true;
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

std::string DashboardProxy::link() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port) + std::string(kEnter) + impl_->code;
}

void DashboardProxy::start() {
  impl_->thread = std::thread([this] { impl_->server.listen_after_bind(); });
}

void require_dashboard(ApiClient& api) {
  const HttpResponse response = api.send("GET", std::string(kSessionPath), {}, {});
  if (response.status == 404) throw Failure(kExitFailed, kTooOld);
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  const Json session = json_of(response);
  const auto scope = session.is_object() ? session.find("scope") : session.end();
  if (scope == session.end() || !scope->is_string())
    throw Failure(kExitFailed, "the answer names no scope; is it outboxd that listens there?");
  if (*scope != "view" && *scope != "admin") {
    throw Failure(kExitRefused, "the dashboard needs scope view or admin, and here the scope is " +
                                    escape_control(scope->get_ref<const std::string&>()) +
                                    ": use the admin socket, or a token with --token-file");
  }
}

}  // namespace outboxd::ctl
