// A server with a TCP and two Unix listeners on a loop of its own thread, and a few routes that say what they
// saw.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "api/auth.h"
#include "api/http_server.h"
#include "raw_client.h"

namespace outboxd::api::test {

inline std::string temporary_directory() {
  std::string path = (std::filesystem::temp_directory_path() / "outboxd-api-XXXXXX").string();
  REQUIRE(mkdtemp(path.data()) != nullptr);
  return path;
}

// The pieces that a test gives to every stream of a server; a stream that has none yet is quiet.
struct Pieces {
  std::mutex mutex;
  std::vector<std::string> given;  // guarded by mutex
  std::string endless;             // what follows them, again and again; guarded by mutex
  bool fails = false;              // guarded by mutex
  std::atomic<int> asked{0}, streams{0};

  void give(std::string piece) {
    const std::lock_guard lock(mutex);
    given.push_back(std::move(piece));
  }
};

class TestStream final : public AnswerStream {
 public:
  explicit TestStream(Pieces& pieces) : pieces_(pieces) { ++pieces_.streams; }
  ~TestStream() override { --pieces_.streams; }
  std::string next() override {
    ++pieces_.asked;
    const std::lock_guard lock(pieces_.mutex);
    if (pieces_.fails) throw std::runtime_error("secret text");
    return next_ < pieces_.given.size() ? pieces_.given[next_++] : pieces_.endless;
  }

 private:
  Pieces& pieces_;
  std::size_t next_ = 0;
};

class TestServer {
 public:
  explicit TestServer(HttpServer::Options options = {},
                      std::shared_ptr<const Authenticator> auth = Authenticator::without_tokens(),
                      std::shared_ptr<TlsServer> tls = nullptr)
      : directory_(temporary_directory()) {
    auto listener = listen_tcp("127.0.0.1:0", Scope::kNone);
    REQUIRE(listener);
    tcp = listener->name;
    listener->tls = std::move(tls);
    ingest = directory_ + "/ingest.sock";
    admin = directory_ + "/admin.sock";
    std::vector<Listener> listeners{*listener, listen_unix(ingest, 0660, "", Scope::kIngest).value(),
                                    listen_unix(admin, 0600, "", Scope::kAdmin).value()};
    options.workers = 2;
    server_ = std::make_unique<HttpServer>(loop_, std::move(listeners), routes(), std::move(auth), metrics,
                                           std::move(options));
    server_->start();
    thread_ = std::thread([this] {
      loop_thread_ = std::this_thread::get_id();
      loop_.run();
    });
  }
  ~TestServer() {
    loop_.stop();
    thread_.join();
    release_all();
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  TestServer(const TestServer&) = delete;

  std::vector<std::string> everywhere() const { return {tcp, ingest, admin}; }
  void set_authenticator(std::shared_ptr<const Authenticator> auth) {
    server_->set_authenticator(std::move(auth));
  }
  void stop_accepting(Millis limit) {
    server_->stop_accepting(limit, [this] { stopped = true; });
  }
  // The loop ends with its next round, and does only what was posted until then.
  void stop_loop() { loop_.stop(); }
  // Waits until `n` exchanges are held by the route /hold.
  void wait_for_held(std::size_t n) {
    std::unique_lock lock(mutex_);
    REQUIRE(held_changed_.wait_for(lock, kDeadline, [&] { return held_.size() >= n; }));
  }
  // Answers them from this thread.
  void release_all(const std::string& body = "held") {
    const std::lock_guard lock(mutex_);
    for (const auto& exchange : held_) exchange->respond(json_answer(200, body));
    held_.clear();
  }
  void drop_all() {
    const std::lock_guard lock(mutex_);
    held_.clear();
  }

  // A quick request with the body "hold the loop" does so until let_loop_go(), and so does the answer of /made/held.
  void wait_for_held_loop() {
    std::unique_lock lock(mutex_);
    REQUIRE(held_changed_.wait_for(lock, kDeadline, [&] { return loop_held_; }));
  }
  void let_loop_go() {
    const std::lock_guard lock(mutex_);
    loop_held_ = false;
    held_changed_.notify_all();
  }

  std::string tcp, ingest, admin;
  std::atomic<int> work_of_quick{0};  // us of a request to /quick
  Pieces pieces;
  std::atomic<int> handled{0};
  std::atomic<bool> stopped{false};
  telemetry::Metrics metrics;

 private:
  void hold_loop() {
    std::unique_lock lock(mutex_);
    loop_held_ = true;
    held_changed_.notify_all();
    held_changed_.wait(lock, [this] { return !loop_held_; });
  }

  std::vector<Route> routes() {
    const auto echo = [this](const ExchangePtr& exchange) {
      ++handled;
      const auto& r = exchange->request();
      std::string seen = r.method + " " + r.path;
      for (const auto& p : r.path_parameters) seen.append(" {").append(p).append("}");
      for (const auto& [name, value] : r.query) seen.append(" ").append(name).append("=").append(value);
      if (const auto probe = r.header("x-probe")) seen += " probe=" + std::string(*probe);
      exchange->respond(json_answer(200, seen + "\n" + r.body));
    };
    const auto hold = [this](const ExchangePtr& exchange) {
      ++handled;
      const std::lock_guard lock(mutex_);
      held_.push_back(exchange);
      held_changed_.notify_all();
    };
    return {
        {"GET", "/open", Access::kOpen, echo},
        {"POST", "/v1/events", Access::kSend, echo},
        {"GET", "/v1/events", Access::kAdmin, echo},
        {"DELETE", "/v1/events", Access::kAdmin, echo},
        {"GET", "/v1/events/{id}", Access::kAdmin, echo},
        {"POST", "/v1/events/{id}/replay", Access::kAdmin, echo},
        {"GET", "/hold", Access::kOpen, hold},
        {"POST", "/hold", Access::kOpen, hold},
        {"GET", "/page", Access::kOpen,
         [](const ExchangePtr& e) {
           e->respond({200,
                       "text/html",
                       "<p>",
                       {{"Cache-Control", "max-age=5"}, {"Content-Security-Policy", "default-src 'self'"}}});
         }},
        {"GET", "/stream", Access::kOpen,
         [this](const ExchangePtr& e) {
           e->respond({200, "text/event-stream", "first\n", {}, std::make_shared<TestStream>(pieces)});
         }},
        {"GET", "/peer", Access::kOpen,
         [](const ExchangePtr& e) { e->respond(json_answer(200, e->request().peer)); }},
        {"GET", "/tenant", Access::kView,
         [](const ExchangePtr& exchange) {
           const Request& request = exchange->request();
           exchange->respond(
               Answer{200,
                      "text/plain",
                      std::string(to_string(request.scope)) + ' ' + request.tenant.value_or("-"),
                      {}});
         }},
        {"GET", "/everybody", Access::kViewAll, echo},
        {"GET", "/caller", Access::kOpen,
         [](const ExchangePtr& exchange) {
           const Request& request = exchange->request();
           const std::string_view via = request.transport == Transport::kUnixSocket ? "unix"
                                        : request.transport == Transport::kTls      ? "tls"
                                                                                    : "tcp";
           exchange->respond(Answer{200,
                                    "text/plain",
                                    std::string(to_string(request.scope)) + ' ' + std::string(via) +
                                        (request.from_browser ? " browser" : ""),
                                    {}});
         }},
        {"POST", "/v1/session", Access::kOpen, echo},
        {"DELETE", "/v1/session", Access::kOpen, echo},
        {"GET", "/throw", Access::kOpen, [](const ExchangePtr&) { throw std::runtime_error("secret text"); }},
        {"GET", "/forget", Access::kOpen, [](const ExchangePtr&) {}},
        {"GET", "/large", Access::kOpen,
         [](const ExchangePtr& e) { e->respond(json_answer(200, std::string(8u << 20, 'x'))); }},
        {"POST", "/quick", Access::kSend,
         [this](const ExchangePtr& exchange) {
           if (exchange->request().body == "hold the loop") hold_loop();
           const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(work_of_quick);
           while (std::chrono::steady_clock::now() < end) {
           }
           exchange->respond(json_answer(200, exchange->on_loop() ? "on the loop" : "on a worker"));
         },
         true},
        {"POST", "/quick/resumed", Access::kSend,
         [](const ExchangePtr& exchange) {
           exchange->resume([first = exchange->on_loop()](const ExchangePtr& resumed) {
             const bool left = first && !resumed->on_loop();
             resumed->respond(json_answer(200, left ? "left the loop" : "did not leave the loop"));
           });
         },
         true},
        {"POST", "/quick/throw", Access::kOpen,
         [](const ExchangePtr&) { throw std::runtime_error("secret text"); }, true},
        {"GET", "/made", Access::kOpen,
         [this](const ExchangePtr& e) {
           std::thread([this, e] {
             e->respond_with([this](const Request& request) {
               const bool on_loop = std::this_thread::get_id() == loop_thread_;
               return json_answer(200, request.path + (on_loop ? " on the loop" : " elsewhere"));
             });
           }).detach();
         }},
        {"GET", "/made/held", Access::kOpen,
         [this](const ExchangePtr& e) {
           e->respond_with([this](const Request&) -> Result<Answer> {
             hold_loop();
             return json_answer(200, "held the loop");
           });
         }},
        {"GET", "/made/problem", Access::kOpen,
         [](const ExchangePtr& e) {
           e->respond_with([](const Request&) -> Result<Answer> {
             return problem(ProblemCode::kConflict, "the state does not allow it");
           });
         }},
        {"GET", "/made/throw", Access::kOpen,
         [](const ExchangePtr& e) {
           e->respond_with([](const Request&) -> Result<Answer> { throw std::runtime_error("secret text"); });
         }},
        {"GET", "/resumed", Access::kOpen,
         [](const ExchangePtr& e) {
           std::thread([e] {
             e->resume([asked_on = std::this_thread::get_id()](const ExchangePtr& resumed) {
               const bool elsewhere = std::this_thread::get_id() != asked_on;
               resumed->respond(json_answer(200, elsewhere ? "on a worker" : "on the thread that was asked"));
             });
           }).detach();
         }},
        {"GET", "/resumed/throw", Access::kOpen,
         [](const ExchangePtr& e) {
           e->resume([](const ExchangePtr&) { throw std::runtime_error("secret text"); });
         }},
        {"GET", "/thread", Access::kOpen,
         [](const ExchangePtr& e) {
           std::thread([e] { e->respond(json_answer(200, "from a thread")); }).detach();
         }},
    };
  }

  std::string directory_;
  EventLoop loop_;
  std::mutex mutex_;
  std::condition_variable held_changed_;
  std::vector<ExchangePtr> held_;  // guarded by mutex_
  bool loop_held_ = false;         // guarded by mutex_
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::atomic<std::thread::id> loop_thread_{};
};

inline std::string post(std::string_view body, std::string_view more_headers = "") {
  return "POST /v1/events HTTP/1.1\r\nHost: localhost\r\n" + std::string(more_headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

inline std::string get(std::string_view target, std::string_view more_headers = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(more_headers) +
         "\r\n";
}

}  // namespace outboxd::api::test
