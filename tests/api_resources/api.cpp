#include "api_resources/api.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <future>

#include "store/sqlite/sqlite_store.h"
#include "support/fake_exchange.h"

namespace outboxd::test {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// The path's parameters if this route takes it.
std::optional<std::vector<std::string>> match(const std::string& pattern, const std::string& path) {
  const auto want = split(pattern, '/'), have = split(path, '/');
  if (want.size() != have.size()) return std::nullopt;
  std::vector<std::string> parameters;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (want[i].starts_with('{')) {
      parameters.push_back(have[i]);
    } else if (want[i] != have[i]) {
      return std::nullopt;
    }
  }
  return parameters;
}

std::unique_ptr<Store> open_store(const std::filesystem::path& folder) {
  SqliteOptions options;
  options.path = (folder / "outbox.db").string();
  return open_sqlite_store(options);
}

Attempt answered(const EndpointPtr&) {
  Attempt attempt;
  attempt.outcome = Outcome::kSuccess;
  attempt.status = 204;
  return attempt;
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "outboxd-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Sent::header(const std::string& name) const {
  for (const auto& h : headers) {
    if (h.name == name) return h.value;
  }
  return "";
}

std::vector<std::string> Sent::pointers() const {
  std::vector<std::string> all;
  if (!json.is_object() || !json.contains("errors")) return all;
  for (const auto& error : json.at("errors")) all.push_back(error.at("pointer").get<std::string>());
  return all;
}

std::string Sent::problem() const {
  if (content_type != "application/problem+json") return "";
  return json.at("type").get<std::string>().substr(std::string("/problems/").size());
}

Api::Api()
    : store(open_store(folder.path())),
      commits(store->writer(), {}, [](const std::string& what) { FAIL(what); }),
      fan_out(*store, commits, directory, {},
              [this](std::vector<DueDelivery> deliveries) { take(std::move(deliveries)); }),
      ingest(commits, directory, fan_out, clock, ids, metrics, {},
             [this](std::vector<DueDelivery> deliveries) { take(std::move(deliveries)); }),
      readers([this] { return store->new_reader(); }),
      context{ingest, directory, commits, clock, ids, metrics, readers, attempts} {
  context.store_url = "sqlite:///somewhere/outbox.db";
  context.listeners = {"127.0.0.1:8877"};
  context.started_at = clock.wall();
  context.ask_delivery_status = [](const api::Context::Asked<api::DeliveryStatus>& done) {
    done([] { return api::DeliveryStatus{.in_flight = 0, .oldest_due_age = {}, .worst_endpoints = {}}; });
  };
  context.ask_snapshot = [](const api::Context::Asked<telemetry::Snapshot>& done) {
    done([] { return telemetry::Snapshot{}; });
  };
  context.setup = [] {
    return api::DaemonSetup{.pid = 4711,
                            .config_file = "/etc/outboxd/outboxd.toml",
                            .database = "/somewhere/outbox.db",
                            .free_disk = 1 << 20,
                            .open_files = 1024,
                            .open_files_wanted = 20000,
                            .tcp = "127.0.0.1:8877",
                            .asks_for_tokens = true,
                            .private_files = {{"listen.tokens_file", "/etc/outboxd/tokens"}},
                            .name_servers = {"127.0.0.53:53"}};
  };
  context.why_not_ready = [] { return std::nullopt; };
  context.judge = [](const EndpointUrl& url, const EndpointTls&, const api::Context::Judged& done) {
    const bool denied = url.host == "127.0.0.1";
    done(denied ? Outcome::kBlocked : Outcome::kSuccess, denied ? std::string(kUrlNotAllowed) : "",
         denied ? "loopback; set [policy] allow_networks" : "");
  };
  context.wake = [this](EndpointSeq endpoint, Time due) {
    const std::lock_guard lock(mutex);
    woken.emplace_back(endpoint, due);
  };
  context.forget = [this](DeliveryKey key) {
    const std::lock_guard lock(mutex);
    forgotten.push_back(key);
  };
  context.send_test = [this](EndpointPtr endpoint, Event event, std::function<void(Attempt)> done) {
    const std::lock_guard lock(mutex);
    done(answered(endpoint));
    tests_sent.emplace_back(std::move(endpoint), std::move(event));
  };
  routes = api::all_routes(context);
  commits.start();
  fan_out.start();
}

Api::~Api() {
  fan_out.stop();
  commits.drain();
}

void Api::take(std::vector<DueDelivery> deliveries) {
  const std::lock_guard lock(mutex);
  for (auto& d : deliveries) fresh.push_back(std::move(d));
}

Sent Api::call(const std::string& method, const std::string& target, const std::string& body,
               Headers headers) {
  api::Request request;
  request.method = method;
  request.path = target.substr(0, target.find('?'));
  request.body = body;
  request.peer = "unix:uid=0,pid=1";
  request.scope = scope;
  if (!body.empty() &&
      std::none_of(headers.begin(), headers.end(), [](const auto& h) { return h.name == "Content-Type"; })) {
    headers.push_back({"Content-Type", "application/json"});
  }
  request.headers = std::move(headers);
  if (target.find('?') != std::string::npos) {
    for (const auto& parameter : split(target.substr(target.find('?') + 1), '&')) {
      const auto equals = parameter.find('=');
      request.query.emplace(parameter.substr(0, equals),
                            equals == std::string::npos ? "" : parameter.substr(equals + 1));
    }
  }
  for (const auto& route : routes) {
    const auto parameters = match(route.path, request.path);
    if (route.method != method || !parameters) continue;
    request.path_parameters = *parameters;
    const auto exchange = std::make_shared<FakeExchange>(std::move(request));
    route.handler(exchange);
    const api::Answer answer = exchange->wait();
    return {answer.status, answer.body, Json::parse(answer.body, nullptr, false), answer.headers,
            answer.content_type};
  }
  throw std::runtime_error("no route takes " + method + ' ' + request.path);
}

std::string Api::add_endpoint(const std::string& members) {
  const auto made = call("POST", "/v1/endpoints", R"({"url":"https://example.com/hook")" + members + "}");
  REQUIRE_MESSAGE(made.status == 201, made.body);
  return made.json.at("id").get<std::string>();
}

std::string Api::add_event(const std::string& members) {
  const auto made =
      call("POST", "/v1/events", R"({"type":"order.paid","payload":{"n":1.10})" + members + "}");
  REQUIRE_MESSAGE(made.status == 202, made.body);
  return made.json.at("id").get<std::string>();
}

std::string Api::only_delivery(const std::string& event) {
  const auto list = call("GET", "/v1/deliveries?event=" + event);
  REQUIRE_MESSAGE(list.json.at("data").size() == 1, list.body);
  return list.json.at("data")[0].at("id").get<std::string>();
}

void Api::record(const std::string& delivery, DeliveryState state, std::optional<Attempt> attempt) {
  RecordOutcome outcome;
  outcome.key = delivery_key(DeliveryId::parse(delivery).value());
  outcome.attempt = std::move(attempt);
  outcome.state = state;
  if (state == DeliveryState::kDead) outcome.reason = DeadReason::kExhausted;
  outcome.due_at = outcome.at = clock.wall();
  const auto done =
      std::make_shared<std::promise<bool>>();  // shared: it may be waited for before set_value() returns
  commits.submit(std::move(outcome), [done](Write& write) { done->set_value(!write.refused); });
  REQUIRE(done->get_future().get());
}

}  // namespace outboxd::test
