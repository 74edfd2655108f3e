#include <doctest/doctest.h>

#include <algorithm>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE("the status counts deliveries, events and endpoints, and names the worst") {
  Api api;
  const auto endpoint = api.add_endpoint(R"(,"name":"shop")");
  api.call("POST", "/v1/endpoints/" + api.add_endpoint() + "/pause");
  api.add_event();
  api.record(api.call("GET", "/v1/deliveries").json["data"][0]["id"], DeliveryState::kDelivered);
  api.context.ask_delivery_status = [&](const std::optional<std::string>&,
                                        const api::Context::Asked<api::DeliveryStatus>& done) {
    api::DeliveryStatus status;
    status.in_flight = 3;
    status.oldest_due_age = Millis(1500);
    status.worst_endpoints = {{.endpoint = EndpointId::parse(endpoint).value(),
                               .oldest_due_age = Millis(1500),
                               .backlog = 12,
                               .holds = Waiting{WaitingFor::kBreaker, from_unix_millis(1'785'000'000'000)},
                               .in_flight = 2,
                               .consecutive_failures = 7,
                               .last_error = "timeout",
                               .last_status = 504,
                               .failing_since = from_unix_millis(1'784'000'000'000)}};
    status.waiting.at(static_cast<std::size_t>(WaitingFor::kBreaker)) = 12;
    status.waiting_complete = false;
    done([status] { return status; });
  };
  const auto status = api.call("GET", "/v1/status");
  CHECK(status.status == 200);
  CHECK(status.json["deliveries"] == Json{{"pending", 1}, {"delivered", 1}, {"dead", 0}, {"discarded", 0}});
  CHECK(status.json["events"] == 1);
  CHECK(status.json["outbox_rejected"] == 0);
  CHECK(status.json["in_flight"] == 3);
  CHECK(status.json["oldest_due_age_seconds"] == 1.5);
  CHECK(status.json["endpoints"] == Json{{"active", 1}, {"paused", 1}, {"disabled", 0}});
  CHECK(status.json["worst_endpoints"] == Json::array({{{"endpoint", endpoint},
                                                        {"name", "shop"},
                                                        {"state", "active"},
                                                        {"oldest_due_age_seconds", 1.5},
                                                        {"backlog", 12},
                                                        {"waiting_for", "breaker"},
                                                        {"until", "2026-07-25T17:20:00.000Z"},
                                                        {"in_flight", 2},
                                                        {"consecutive_failures", 7},
                                                        {"failing_since", "2026-07-14T03:33:20.000Z"},
                                                        {"last_error", "timeout"},
                                                        {"last_status", 504}}}));
  CHECK(status.json["failing_endpoints"] == Json::array());
  CHECK(status.json["waiting"]["breaker"] == 12);
  CHECK(status.json["waiting"]["due"] == 0);
  CHECK(status.json["waiting"].size() == kWaitingFors);
  CHECK(status.json["waiting_complete"] == false);
  CHECK(status.json["tenant"].is_null());
  CHECK(status.json["store"]["url"] == "sqlite:///somewhere/outbox.db");
  CHECK(status.json["store"]["database_bytes"].get<std::int64_t>() > 0);
  CHECK(status.json["store"]["schema_version"].get<int>() >= 1);
  CHECK(status.json["listeners"] == Json::array({"127.0.0.1:8877"}));
  CHECK(status.json["started_at"] == format_time(api.context.started_at));
}

TEST_CASE(
    "what a paused endpoint's deliveries wait for is somebody to resume it, whatever its lane was held by") {
  Api api;
  const std::string endpoint = api.add_endpoint();
  REQUIRE(api.call("POST", "/v1/endpoints/" + endpoint + "/pause").status == 200);
  api.context.ask_delivery_status = [&](const std::optional<std::string>&,
                                        const api::Context::Asked<api::DeliveryStatus>& done) {
    api::DeliveryStatus status;
    status.worst_endpoints = {{.endpoint = EndpointId::parse(endpoint).value(),
                               .oldest_due_age = Millis(1500),
                               .backlog = 12,
                               .holds = Waiting{WaitingFor::kBreaker, api.clock.wall()},
                               .consecutive_failures = 7,
                               .last_error = "timeout"}};
    done([status] { return status; });
  };
  const Json worst = api.call("GET", "/v1/status").json["worst_endpoints"].at(0);
  CHECK(worst["waiting_for"] == "paused");
  CHECK(worst["until"].is_null());
}

TEST_CASE("a status says how often the clock was set, when last, and by how much") {
  Api api;
  CHECK(api.call("GET", "/v1/status").json["clock"] ==
        Json{{"steps", 0}, {"last_step_at", nullptr}, {"last_step_ms", nullptr}});
  api.context.clock_steps = [&] { return ClockSteps::Seen{2, api.clock.wall(), Millis(-5000)}; };
  CHECK(api.call("GET", "/v1/status").json["clock"] ==
        Json{{"steps", 2}, {"last_step_at", format_time(api.clock.wall())}, {"last_step_ms", -5000}});
}

TEST_CASE("the status of one tenant is of its endpoints, and has nothing that is not kept by tenant") {
  Api api;
  api.add_endpoint(R"(,"tenant":"acme")");
  api.add_endpoint();
  std::vector<std::optional<std::string>> asked;
  api.context.ask_delivery_status = [&](const std::optional<std::string>& tenant,
                                        const api::Context::Asked<api::DeliveryStatus>& done) {
    asked.push_back(tenant);
    api::DeliveryStatus status;
    status.deliveries.pending = 5;
    done([status] { return status; });
  };
  const auto chosen = api.call("GET", "/v1/status?tenant=acme");
  api.tenant = "acme";
  api.scope = api::Scope::kView;
  const auto own = api.call("GET", "/v1/status");
  CHECK(asked == std::vector<std::optional<std::string>>{"acme", "acme"});
  CHECK(own.body == chosen.body);
  CHECK(own.json["tenant"] == "acme");
  CHECK(own.json["endpoints"] == Json{{"active", 1}, {"paused", 0}, {"disabled", 0}});
  CHECK(own.json["deliveries"]["pending"] == 5);
  for (const char* whole : {"clock", "store", "events", "outbox_rejected", "listeners"}) {
    CAPTURE(whole);
    CHECK(own.json.at(whole).is_null());
  }
}

TEST_CASE("a status with nothing due has no age") {
  Api api;
  CHECK(api.call("GET", "/v1/status").json["oldest_due_age_seconds"].is_null());
}

TEST_CASE("a status whose loops do not answer in time says that it does not know") {
  Api api;
  api.context.ask_delivery_status = [](const std::optional<std::string>&,
                                       const api::Context::Asked<api::DeliveryStatus>& done) {
    done([] { return api::DeliveryStatus{}; });
  };
  const auto status = api.call("GET", "/v1/status");
  CHECK(status.status == 200);
  CHECK(status.json["in_flight"].is_null());
  CHECK(status.json["oldest_due_age_seconds"].is_null());
  CHECK(api.call("GET", "/metrics").body.find("outbox_in_flight") == std::string::npos);
}

TEST_CASE("who asks for the status or the metrics returns at once, however long the delivery loops take") {
  Api api;
  std::vector<std::function<void()>> answers;
  api.context.ask_delivery_status = [&](const std::optional<std::string>&,
                                        const api::Context::Asked<api::DeliveryStatus>& done) {
    answers.push_back([done] { done([] { return api::DeliveryStatus{}; }); });
  };
  api.context.ask_snapshot = [&](const api::Context::Asked<telemetry::Snapshot>& done) {
    answers.push_back([done] { done([] { return telemetry::Snapshot{}; }); });
  };
  for (const char* path : {"/v1/status", "/metrics"}) {
    CAPTURE(path);
    api::Request request;
    request.method = "GET";
    request.path = path;
    const auto exchange = std::make_shared<FakeExchange>(request);
    const auto route = std::ranges::find(api.routes, path, &api::Route::path);
    route->handler(exchange);
    CHECK_FALSE(exchange->answered());
    answers.back()();
    CHECK(exchange->wait().status == 200);
  }
}

TEST_CASE("healthz answers while the process lives, readyz says why it is not ready") {
  Api api;
  CHECK(api.call("GET", "/healthz").body == R"({"status":"ok"})");
  CHECK(api.call("GET", "/readyz").body == R"({"status":"ready"})");
  api.context.why_not_ready = [] {
    return std::optional(
        api::NotReady{"the store's server cannot be reached", "10.0.0.7 refuses the password"});
  };
  const auto answer = api.call("GET", "/readyz");
  CHECK(answer.status == 503);
  CHECK(answer.json["detail"] == "the store's server cannot be reached: 10.0.0.7 refuses the password");
  api.scope = api::Scope::kNone;
  CHECK(api.call("GET", "/readyz").json["detail"] == "the store's server cannot be reached");
  CHECK(api.call("GET", "/healthz").status == 200);
}

TEST_CASE("metrics are text in Prometheus' format") {
  Api api;
  api.add_event();
  const auto metrics = api.call("GET", "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body.find("outbox_events_accepted_total{source=\"http\"} 1") != std::string::npos);
}

TEST_CASE("what the store throws becomes a problem that says nothing of its inside") {
  Api api;
  const auto answer_to = [&](std::function<std::optional<api::NotReady>()> broken) {
    api.context.why_not_ready = std::move(broken);
    return api.call("GET", "/readyz");
  };
  CHECK(answer_to([]() -> std::optional<api::NotReady> {
          throw StoreError(StoreError::Kind::kBusy, "locked by pid 7");
        }).status == 503);
  CHECK(answer_to([]() -> std::optional<api::NotReady> {
          throw StoreError(StoreError::Kind::kFull, "disk");
        }).status == 507);
  const auto broken = answer_to([]() -> std::optional<api::NotReady> {
    throw StoreError(StoreError::Kind::kFailed, "disk I/O error in /secret/path");
  });
  CHECK(broken.status == 500);
  CHECK(broken.body.find("secret") == std::string::npos);
}

TEST_CASE("the setup tells with what the daemon runs, and which hosts of endpoints it finds") {
  Api api;
  const auto first = api.add_endpoint();
  const auto second = api.add_endpoint();  // the same host: one of them stands for it
  const auto setup = api.call("GET", "/v1/setup");
  CHECK(setup.status == 200);
  CHECK(setup.json["database"] == "/somewhere/outbox.db");
  CHECK(setup.json["open_files"] == Json{{"limit", 1024}, {"wanted", 20000}});
  CHECK(setup.json["name_servers"] == Json::array({"127.0.0.53:53"}));
  CHECK(setup.json["private_files"] ==
        Json::array({{{"key", "listen.tokens_file"}, {"path", "/etc/outboxd/tokens"}}}));
  REQUIRE(setup.json["hosts"].size() == 1);
  const Json named = setup.json["hosts"][0]["endpoint"];
  CHECK((named == first || named == second));
  CHECK(setup.json["hosts"][0]["outcome"] == "success");
}

TEST_CASE("the setup has the configuration with origins, and hosts only for operators who want them") {
  Api api;
  api.add_endpoint();
  const auto setup = api.call("GET", "/v1/setup?hosts=false");
  CHECK(setup.json["hosts"].is_null());
  CHECK(setup.json["settings"] == Json::array({{{"key", "store.url"},
                                                {"value", "sqlite:///somewhere/outbox.db"},
                                                {"origin", "/etc/outboxd/outboxd.toml:3:7"}}}));
  CHECK(setup.json["partitions"] == Json{{"owned", 256}, {"of", 256}});
  CHECK(setup.json["members"] == 1);
  CHECK(api.call("GET", "/v1/setup?hosts=maybe").status == 422);
  api.scope = api::Scope::kView;
  CHECK(api.call("GET", "/v1/setup").body == setup.body);
}

TEST_CASE("what operators changed is listed, the newest first") {
  Api api;
  CHECK(api.call("GET", "/v1/audit").json ==
        Json{{"since", format_time(api.context.started_at)}, {"data", Json::array()}});
  api::Request request;
  request.method = "POST";
  request.who = "token deploy";
  for (const char* path : {"/v1/endpoints/a/pause", "/v1/endpoints/b/pause"}) {
    request.path = path;
    api.audit->add(request, 200);
    api.clock.advance(Millis(1000));
  }
  const auto one = api.call("GET", "/v1/audit?limit=1");
  CHECK(one.json["data"] == Json::array({{{"at", format_time(api.clock.wall() - Millis(1000))},
                                          {"who", "token deploy"},
                                          {"method", "POST"},
                                          {"path", "/v1/endpoints/b/pause"},
                                          {"status", 200}}}));
  CHECK(api.call("GET", "/v1/audit").json["data"].size() == 2);
  for (int i = 2; i <= 1'000; ++i) api.audit->add(request, 200);
  const auto all = api.call("GET", "/v1/audit?limit=1000");
  REQUIRE(all.json["data"].size() == 1'000);
  CHECK(all.json["data"].back()["path"] == "/v1/endpoints/b/pause");  // the first is forgotten
  for (const char* limit : {"0", "1001", "x"})
    CHECK(api.call("GET", std::string("/v1/audit?limit=") + limit).pointers() ==
          std::vector<std::string>{"limit"});
}

TEST_CASE("a host that cannot be reached is told with its reason, and without endpoints there are none") {
  Api api;
  CHECK(api.call("GET", "/v1/setup").json["hosts"] == Json::array());
  api.add_endpoint();
  api.context.preflight = [](const EndpointUrl&, const EndpointTls&, const api::Context::Preflighted& done) {
    done(Outcome::kDns, "could not resolve host: no such name", "");
  };
  const Json host = api.call("GET", "/v1/setup").json["hosts"][0];
  CHECK(host["outcome"] == "dns");
  CHECK(host["error"] == "could not resolve host: no such name");
}

TEST_CASE("sources are listed with what keeps them from being relayed") {
  const Time kThen = from_unix_millis(1'767'225'600'000);
  Api api;
  CHECK(api.call("GET", "/v1/sources").json == Json{{"data", Json::array()}, {"next_cursor", nullptr}});
  api.context.sources = [kThen] {
    SourceStatus good{.name = "shop", .url = "sqlite:///srv/shop.db", .relayed = 7, .counts = {}};
    good.last_relayed_at = kThen;
    SourceStatus bad{
        .name = "crm", .url = "sqlite:///srv/crm.db", .state = SourceState::kFailing, .counts = {2, 1}};
    bad.error = "it is missing";
    bad.since = kThen;
    bad.behind_since = kThen;
    return std::vector{good, bad};
  };
  const Json rows = api.call("GET", "/v1/sources").json["data"];
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["state"] == "waiting");
  CHECK(rows[0]["error"].is_null());
  CHECK(rows[0]["relayed"] == 7);
  CHECK(rows[0]["last_relayed_at"] == format_time(kThen));
  CHECK(rows[0]["waiting_since"].is_null());
  CHECK(rows[1]["state"] == "failing");
  CHECK(rows[1]["error"] == "it is missing");
  CHECK(rows[1]["waiting"] == 2);
  CHECK(rows[1]["rejected"] == 1);
  CHECK(rows[1]["waiting_since"] == format_time(kThen));
  CHECK(api.call("GET", "/v1/sources?x=1").status == 422);
}
