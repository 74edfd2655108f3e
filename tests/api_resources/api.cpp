#include "api_resources/api.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <algorithm>

#include "api/auth.h"
#include "api/query_string.h"
#include "store/sqlite/sqlite_store.h"

namespace outboxd::test {
namespace {

std::unique_ptr<Store> open_store(const TemporaryFolder& folder, const Clock& clock) {
  SqliteOptions options;
  options.path = folder / "outbox.db";
  options.clock = &clock;
  return open_sqlite_store(options);
}

Attempt answered(const EndpointPtr&) {
  Attempt attempt;
  attempt.outcome = Outcome::kSuccess;
  attempt.status = 204;
  return attempt;
}

}  // namespace

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
    : store(open_store(folder, clock)),
      commits(store->writer(), store->ownership().token, clock, {},
              [](const std::string& what) { FAIL(what); }),
      ingest(commits, directory, clock, ids, metrics, {}),
      readers([this] { return store->new_reader(); }),
      context{ingest, directory, commits, clock, ids, metrics, readers, attempts},
      routes(api::all_routes(context)),
      router(routes) {
  fill_context();
  commits.tell([this](Facts committed) {
    for (Fact& fact : committed) {
      if (const auto* changed = std::get_if<EndpointChanged>(&fact)) directory.hear(*changed);
      facts.push_back(std::move(fact));
    }
  });
}

void Api::fill_context() {
  context.store_url = "sqlite:///somewhere/outbox.db";
  context.listeners = {"127.0.0.1:8877"};
  context.started_at = clock.wall();
  context.batch_targets = &batch_targets;
  context.ask_delivery_status = [](const std::optional<std::string>&,
                                   const api::Context::Asked<api::DeliveryStatus>& done) {
    done([] { return api::DeliveryStatus{.in_flight = 0, .oldest_due_age = {}, .worst_endpoints = {}}; });
  };
  context.ask_lanes = [](std::optional<EndpointSeq>, const api::Context::Asked<api::Lanes>& done) {
    done([] { return api::Lanes(std::in_place); });
  };
  context.ask_snapshot = [](const api::Context::Asked<telemetry::Snapshot>& done) {
    done([] { return telemetry::Snapshot{}; });
  };
  context.setup = [] {
    return api::DaemonSetup{
        .pid = 4711,
        .config_file = "/etc/outboxd/outboxd.toml",
        .database = "/somewhere/outbox.db",
        .free_disk = 1 << 20,
        .open_files = 1024,
        .open_files_wanted = 20000,
        .tcp = "127.0.0.1:8877",
        .asks_for_tokens = true,
        .private_files = {{"listen.tokens_file", "/etc/outboxd/tokens"}},
        .name_servers = {"127.0.0.53:53"},
        .settings = {{"store.url", "sqlite:///somewhere/outbox.db", "/etc/outboxd/outboxd.toml:3:7"}},
        .partitions = 256};
  };
  context.audit = audit;
  context.prepare = [](const EndpointPtr& endpoint, const std::shared_ptr<const Event>& event, int number) {
    return api::PreparedRequest{.url = endpoint->url,
                                .headers = {{"content-type", event->content_type},
                                            {"webhook-id", event->id.to_string()},
                                            {"webhook-signature", "v1,c2lnbmVk"},
                                            {"outboxd-attempt", std::to_string(number)},
                                            {"X-Api-Key", "hush"},
                                            {"X-Region", "eu"}},
                                .body = event->payload};
  };
  context.authenticator = [] { return api::Authenticator::without_tokens(); };
  context.note_refusal = [this](const api::Request&, const Problem& refusal) {
    refusals.push_back(refusal.detail);
  };
  context.why_not_ready = [] { return std::nullopt; };
  context.preflight = [](const EndpointUrl& url, const EndpointTls&, const api::Context::Preflighted& done) {
    const bool denied = url.host == "127.0.0.1";
    done(denied ? Outcome::kBlocked : Outcome::kSuccess, denied ? std::string(kUrlNotAllowed) : "",
         denied ? "loopback; set [policy] allow_networks" : "");
  };
  context.send_test = [this](EndpointPtr endpoint, Event event, const std::function<void(Attempt)>& done) {
    done(answered(endpoint));
    tests_sent.emplace_back(std::move(endpoint), std::move(event));
  };
}

void Api::run() {
  while (commits.step()) {
  }
}

Sent Api::call(const std::string& method, const std::string& target, const std::string& body,
               Headers headers) {
  return answer(*begin(method, target, body, std::move(headers)));
}

std::shared_ptr<FakeExchange> Api::begin(const std::string& method, const std::string& target,
                                         const std::string& body, Headers headers) {
  const std::string path = target.substr(0, target.find('?'));
  auto found = router.find(method, path);
  if (!found) throw std::runtime_error("no route takes " + method + ' ' + path);
  api::Request request;
  request.method = method;
  request.path = path;
  request.path_parameters = std::move(found->path_parameters);
  request.body = body;
  request.peer = "unix:uid=0,pid=1";
  request.scope = scope;
  request.who = "uid 0";
  request.tenant = tenant;
  request.transport = transport;
  request.from_browser = from_browser;
  if (!body.empty() &&
      std::none_of(headers.begin(), headers.end(), [](const auto& h) { return h.name == "Content-Type"; })) {
    headers.push_back({"Content-Type", "application/json"});
  }
  request.headers = std::move(headers);
  const auto query = api::parse_query(target.substr(std::min(path.size() + 1, target.size())));
  if (!query) throw std::runtime_error("the server refuses the query of " + target);
  request.query = *query;
  auto exchange = std::make_shared<FakeExchange>(std::move(request), on_loop);
  found->route->handler(exchange);
  return exchange;
}

Sent Api::answer(FakeExchange& exchange) {
  run();
  const api::Answer answer = exchange.wait();
  return {answer.status, answer.body, Json::parse(answer.body, nullptr, false), answer.headers,
          answer.content_type};
}

bool Api::produce(const std::string& sql) const {
  sqlite3* db = nullptr;
  bool good = sqlite3_open((folder / "outbox.db").c_str(), &db) == SQLITE_OK;
  good = good && sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
  sqlite3_close(db);
  return good;
}

std::vector<DeliveryKey> Api::withdrawn() const {
  std::vector<DeliveryKey> keys;
  for (const auto& fact : told<DeliveryWithdrawn>()) keys.push_back(fact.key);
  return keys;
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
  if (state == DeliveryState::kDelivered && !attempt) {
    attempt = answered({});
    attempt->id = AttemptId{ids.next()};
    attempt->number = 1;
  }
  if (attempt) outcome.attempt = std::make_shared<const Attempt>(std::move(*attempt));
  outcome.state = state;
  if (state == DeliveryState::kDead) outcome.reason = DeadReason::kExhausted;
  outcome.at = clock.wall();
  commit(std::move(outcome));
}

void Api::require_committed(bool done) {
  REQUIRE(done);
}

}  // namespace outboxd::test
