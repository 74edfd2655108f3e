// `outboxctl listen`, the demo subscriber, over real connections.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/json.h"
#include "common/signature.h"
#include "common/text.h"
#include "ctl/fake_api.h"
#include "ctl/http_client.h"
#include "ctl/program.h"

using namespace outboxd;
using namespace outboxd::test;
using ctl::HttpClient;
using ctl::HttpRequest;

namespace {

const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Listener {
  explicit Listener(Arguments options)
      : program(with(std::move(options))), url(Json::parse(program.read_line())["listening"]) {}
  static Arguments with(Arguments options) {
    options.insert(options.begin(), {"-o", "jsonl", "listen"});
    return options;
  }
  RunningOutboxctl program;
  std::string url;
};

HttpRequest delivery_of(const std::string& url, const std::string& body,
                        const std::string& type = "order.paid") {
  HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.body = body;
  const std::int64_t now = unix_millis(SystemClock().wall()) / 1000;
  const auto key = SigningKey::parse(kSecret);
  request.headers = {{"Content-Type", "application/json"},
                     {"webhook-id", "evt_1"},
                     {"webhook-timestamp", std::to_string(now)},
                     {"webhook-signature", key->sign("evt_1", now, body)},
                     {"outboxd-event-type", type},
                     {"outboxd-attempt", "2"}};
  return request;
}

}  // namespace

TEST_CASE("a delivery is verified and told with its exact bytes") {
  Listener listener({"--verify", kSecret});
  HttpClient client;
  const std::string body("{\"a\":1.10}\x00\xff\r\n", 14);
  CHECK(client.send(delivery_of(listener.url, body))->status == 200);
  const Json line = Json::parse(listener.program.read_line());
  CHECK(line["type"] == "order.paid");
  CHECK(line["id"] == "evt_1");
  CHECK(line["attempt"] == 2);
  CHECK(line["verified"] == true);
  CHECK(line["status"] == 200);
  CHECK(base64_decode(line["body_base64"].get<std::string>()) == body);
  CHECK(listener.program.interrupt() == 0);
}

TEST_CASE("a request without what verifying needs is told which header is missing, in line and answer") {
  Listener listener({"--verify", kSecret});
  HttpClient client;
  const auto without = [&](const std::vector<std::string>& names) {
    const std::string body = "{}";  // which the request only points to
    HttpRequest request = delivery_of(listener.url, body);
    std::erase_if(request.headers, [&names](const auto& header) {
      return std::find(names.begin(), names.end(), header.name) != names.end();
    });
    return client.send(request)->body;
  };
  const auto told = [&] {
    return Json::parse(listener.program.read_line())["verify_error"].get<std::string>();
  };
  CHECK(without({"webhook-signature"}) == "not verified: the header webhook-signature is missing or empty\n");
  CHECK(told() == "the header webhook-signature is missing or empty");
  without({"webhook-id"});
  CHECK(told() == "the header webhook-id is missing or empty");
  without({"webhook-id", "webhook-timestamp", "webhook-signature"});
  CHECK(told() == "the headers webhook-id, webhook-timestamp, webhook-signature are missing or empty");
}

TEST_CASE("a delivery whose signature does not verify is answered 401") {
  Listener listener({"--verify", kSecret});
  HttpClient client;
  const std::string body = "{}";
  HttpRequest request = delivery_of(listener.url, body);
  request.body = "{ }";
  CHECK(client.send(request)->status == 401);
  const Json line = Json::parse(listener.program.read_line());
  CHECK(line["verified"] == false);
  CHECK_FALSE(line["verify_error"].get<std::string>().empty());
}

TEST_CASE("without a secret nothing is verified") {
  Listener listener({});
  HttpClient client;
  CHECK(client.send(delivery_of(listener.url, "{}"))->status == 200);
  CHECK(Json::parse(listener.program.read_line())["verified"].is_null());
}

TEST_CASE("failures come as asked, by share and by type") {
  Listener listener({"--fail", "503:50%", "--fail-type", "order.bad:410"});
  HttpClient client;
  int failed = 0;
  for (int i = 0; i < 10; ++i) failed += client.send(delivery_of(listener.url, "{}"))->status == 503;
  CHECK(failed == 5);
  CHECK(client.send(delivery_of(listener.url, "{}", "order.bad"))->status == 410);
}

TEST_CASE("the answer is delayed as asked") {
  Listener listener({"--delay", "200ms"});
  HttpClient client;
  const auto start = std::chrono::steady_clock::now();
  CHECK(client.send(delivery_of(listener.url, "{}"))->status == 200);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(200));
}

TEST_CASE("a request is forwarded with its signature, and the answer passed on") {
  FakeApi target;
  target.answer("POST /hook", 418, {{"short", "stout"}});
  Listener listener({"--forward-to", target.url() + "/hook"});
  HttpClient client;
  const auto answer = client.send(delivery_of(listener.url, "{\"a\":1.10}"));
  CHECK(answer->status == 418);
  CHECK(answer->body == "{\"short\":\"stout\"}");
  CHECK(target.last().body == "{\"a\":1.10}");
  CHECK(Json::parse(listener.program.read_line())["status"] == 418);
}

TEST_CASE("a target that cannot be reached is answered 502") {
  Listener listener({"--forward-to", "http://127.0.0.1:1/"});
  HttpClient client;
  CHECK(client.send(delivery_of(listener.url, "{}"))->status == 502);
}

TEST_CASE("a port that is taken is a failure that says so") {
  Listener listener({});
  const std::string port = listener.url.substr(listener.url.rfind(':') + 1);
  const Ended outcome = outboxctl({"listen", "--port", port.substr(0, port.size() - 1)});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.err.find("--port") != std::string::npos);
}

TEST_CASE("a hundred kept-alive connections at once are all served, without a second's wait for any") {
  Listener listener({});
  std::vector<std::thread> threads;
  std::atomic<int> served{0};
  std::atomic<std::int64_t> slowest_ms{0};
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&] {
      HttpClient client;
      for (int n = 0; n < 5; ++n) {
        const auto start = std::chrono::steady_clock::now();
        const auto answer = client.send(delivery_of(listener.url, "{}"));
        served += answer && answer->status == 200;
        const auto took =
            std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - start).count();
        for (auto seen = slowest_ms.load(); took > seen && !slowest_ms.compare_exchange_weak(seen, took);) {
        }
      }
    });
  }
  for (int i = 0; i < 500; ++i) CHECK_NOTHROW(listener.program.read_line());
  for (std::thread& thread : threads) thread.join();
  CHECK(served == 500);
  MESSAGE("slowest answer: " << slowest_ms.load() << " ms");
}
