#include "ctl/fake_api.h"

#include <httplib.h>

#include <array>
#include <cstdio>
#include <thread>

namespace outboxd::test {
namespace {

struct Prepared {
  int status = 200;
  std::string content_type, body;
};

}  // namespace

struct FakeApi::Impl {
  httplib::Server server;
  int port = 0;
  std::thread thread;
  mutable std::mutex mutex;
  std::map<std::string, std::vector<Prepared>> answers;  // guarded by mutex
  std::vector<Asked> asked;                              // guarded by mutex

  void handle(const httplib::Request& request, httplib::Response& response) {
    const std::lock_guard lock(mutex);
    asked.push_back({request.method, request.target, request.body, request.get_header_value("Content-Type"),
                     request.get_header_value("Authorization"), request.get_header_value("Last-Event-ID")});
    const auto it = answers.find(request.method + " " + request.target);
    if (it == answers.end()) {
      response.status = 404;
      response.set_content(dump(refusal(404, "Not found", "no such thing: " + request.target)),
                           "application/problem+json");
      return;
    }
    const Prepared prepared = it->second.front();
    if (it->second.size() > 1) it->second.erase(it->second.begin());
    response.status = prepared.status;
    response.set_content(prepared.body, prepared.content_type);
  }

  void serve() {
    const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
      handle(request, response);
    };
    server.Get(".*", handler);
    server.Post(".*", handler);
    server.Patch(".*", handler);
    server.Delete(".*", handler);
    server.set_keep_alive_max_count(SIZE_MAX);
    thread = std::thread([this] { server.listen_after_bind(); });
    // stop() has no effect before; connections are accepted by the kernel already.
    while (!server.is_running()) std::this_thread::yield();
  }
};

FakeApi::FakeApi() : impl_(std::make_unique<Impl>()) {
  impl_->port = impl_->server.bind_to_any_port("127.0.0.1");
  impl_->serve();
}

FakeApi::FakeApi(const std::string& unix_socket) : impl_(std::make_unique<Impl>()) {
  impl_->server.set_address_family(AF_UNIX).bind_to_port(unix_socket, 80);
  impl_->serve();
}

FakeApi::~FakeApi() {
  impl_->server.stop();
  impl_->thread.join();
}

std::string FakeApi::url() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port);
}

void FakeApi::answer(const std::string& request, int status, const Json& body) {
  answer_bytes(request, status, status < 400 ? "application/json" : "application/problem+json", dump(body));
}

void FakeApi::answer_bytes(const std::string& request, int status, const std::string& content_type,
                           const std::string& body) {
  const std::lock_guard lock(impl_->mutex);
  impl_->answers[request].push_back({status, content_type, body});
}

std::vector<Asked> FakeApi::asked() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->asked;
}

Json refusal(int status, const std::string& title, const std::string& detail, const Json& errors) {
  Json body = {{"type", "/problems/x"}, {"title", title}, {"status", status}, {"detail", detail}};
  if (!errors.is_null()) body["errors"] = errors;
  return body;
}

std::string delivery_id_text(int n) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "dlv_019ab0f40c2b7a3c8d4e5f60%08x", static_cast<unsigned>(n));
  return text.data();
}

Json delivery_row(int n, const std::string& state, const Json& error, int attempts) {
  return {{"id", delivery_id_text(n)},
          {"event", kEvent},
          {"endpoint", kEndpoint},
          {"type", "order.paid"},
          {"state", state},
          {"reason", state == "dead" ? Json("exhausted") : Json()},
          {"attempts", attempts},
          {"due_at", nullptr},
          {"error", error},
          {"created_at", "2026-11-23T15:00:00.000Z"},
          {"finished_at", nullptr}};
}

}  // namespace outboxd::test
