// An HttpSender on an event loop of its own thread, for tests that just want to send.
#pragma once

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "outbound/http_sender.h"
#include "support/raw_receiver.h"

namespace outboxd::test {

inline AddressPolicy::Options loopback_allowed() {
  AddressPolicy::Options options;
  options.allow_http = true;
  options.ports = {};
  options.allow_networks = {*Network::parse("127.0.0.0/8"), *Network::parse("::1")};
  return options;
}

inline std::shared_ptr<const AddressPolicy> policy_of(AddressPolicy::Options options) {
  return std::make_shared<const AddressPolicy>(std::move(options));
}

inline SendRequest request_to(const std::string& url, std::string body = "{\"id\":42}") {
  auto parsed = parse_endpoint_url(url);
  if (!parsed) throw std::invalid_argument(url + ": " + parsed.error().detail);
  SendRequest request;
  request.to = std::make_shared<const Destination>(*parsed);
  request.headers.add("content-type", "application/json");
  request.headers.add("webhook-id", "evt_1");
  request.body = std::make_shared<const std::string>(std::move(body));
  request.timeout = Millis(8'000);
  return request;
}

class SenderRig {
 public:
  explicit SenderRig(HttpSender::Options options = {}, AddressPolicy::Options policy = loopback_allowed())
      : sender_(std::make_unique<HttpSender>(loop_, policy_of(std::move(policy)), std::move(options))),
        thread_([this] { loop_.run(); }) {}
  ~SenderRig() {
    loop_.post([this] {
      sender_->abort_all();
      sender_.reset();
      loop_.stop();
    });
    thread_.join();
  }
  SenderRig(const SenderRig&) = delete;

  std::future<SendResult> start(SendRequest request) {
    auto promise = std::make_shared<std::promise<SendResult>>();
    auto future = promise->get_future();
    on_loop([&] {
      sender_->send(std::move(request),
                    [promise](SendResult result) { promise->set_value(std::move(result)); });
    });
    return future;
  }
  SendResult send(SendRequest request) { return get(start(std::move(request))); }
  SendResult send(const std::string& url) { return send(request_to(url)); }
  static SendResult get(std::future<SendResult> future) {
    if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready)
      throw std::runtime_error("no result");
    return future.get();
  }

  // Runs it on the loop's thread and waits for it.
  template <class Task>
  void on_loop(Task task) {
    std::promise<void> ran;
    loop_.post([&] {
      task();
      ran.set_value();
    });
    ran.get_future().get();
  }
  HttpSender& sender() { return *sender_; }  // on_loop() only
  void set_policy(AddressPolicy::Options policy) {
    on_loop([&] { sender_->set_policy(policy_of(std::move(policy))); });
  }
  // How often the loop comes round before a timer of so long fires.
  int rounds_in(Millis time) {
    std::promise<int> counted;
    int rounds = 0;
    on_loop([&] {
      loop_.after_each_round([&rounds] { ++rounds; });
      loop_.call_at(std::chrono::steady_clock::now() + time, [&] {
        loop_.after_each_round([] {});
        counted.set_value(rounds);
      });
    });
    return counted.get_future().get();
  }
  std::size_t in_flight() {
    std::size_t count = 0;
    on_loop([&] { count = sender_->in_flight(); });
    return count;
  }

 private:
  EventLoop loop_;
  std::unique_ptr<HttpSender> sender_;
  std::thread thread_;
};

}  // namespace outboxd::test

namespace doctest {
template <>
struct StringMaker<outboxd::Outcome> {
  static String convert(outboxd::Outcome outcome) { return std::string(outboxd::to_string(outcome)).c_str(); }
};
}  // namespace doctest
