// GET /v1/setup: how the running daemon is set up, and whether it can resolve the names of its endpoints. For
// `outboxctl doctor`, which could only guess at both from outside, and for the dashboard.
#include <mutex>
#include <set>

#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxHosts = 20;  // looked up for one answer

Json json_of(const std::vector<DaemonSetup::Setting>& settings) {
  Json list = Json::array();
  for (const auto& one : settings)
    list.push_back({{"key", one.key}, {"value", one.value}, {"origin", one.origin}});
  return list;
}

Json json_of(const DaemonSetup& setup) {
  Json files = Json::array();
  for (const auto& [key, path] : setup.private_files) files.push_back({{"key", key}, {"path", path}});
  return {{"pid", setup.pid},
          {"config_file", setup.config_file},
          {"database", setup.database},
          {"free_disk_bytes", setup.free_disk},
          {"open_files", {{"limit", setup.open_files}, {"wanted", setup.open_files_wanted}}},
          {"tcp", setup.tcp},
          {"asks_for_tokens", setup.asks_for_tokens},
          {"private_files", std::move(files)},
          {"name_servers", setup.name_servers},
          {"partitions", {{"owned", setup.partitions}, {"of", kPartitions}}},
          {"members", setup.members},
          {"settings", json_of(setup.settings)},
          {"hosts", nullptr}};
}

// One endpoint of each host that has a name.
std::vector<std::pair<EndpointPtr, EndpointUrl>> endpoints_with_names(const EndpointDirectory& directory) {
  std::vector<std::pair<EndpointPtr, EndpointUrl>> chosen;
  std::set<std::string> hosts;
  for (const auto& endpoint : directory.all()) {
    auto url = parse_endpoint_url(endpoint->url);
    if (!url || url->host_is_address || chosen.size() == kMaxHosts || !hosts.insert(url->host).second)
      continue;
    chosen.emplace_back(endpoint, std::move(*url));
  }
  return chosen;
}

// Answers when the last host has been looked at.
class Lookups {
 public:
  Lookups(ExchangePtr exchange, Json answer, std::size_t count)
      : exchange_(std::move(exchange)), answer_(std::move(answer)), left_(count) {
    answer_["hosts"] = Json::array();
  }
  void add(const Json& host) {
    const std::lock_guard lock(mutex_);
    answer_["hosts"].push_back(host);
    if (--left_ == 0) exchange_->respond(json_answer(200, answer_));
  }
  void respond_at_once() { exchange_->respond(json_answer(200, answer_)); }

 private:
  std::mutex mutex_;
  const ExchangePtr exchange_;
  Json answer_;
  std::size_t left_;
};

// Whoever only reads is not told what the policy denies, nor does he make the daemon ask name servers.
void show_setup(Context& context, const ExchangePtr& exchange) {
  Query query(exchange->request(), context.clock.wall());
  const bool hosts = query.flag("hosts", true) && exchange->request().from_operator();
  if (const auto refused = query.refusal()) return exchange->respond(*refused);
  const Json setup = json_of(context.setup());
  if (!hosts) return exchange->respond(json_answer(200, setup));
  auto endpoints = endpoints_with_names(context.directory);
  const auto lookups = std::make_shared<Lookups>(exchange, setup, endpoints.size());
  if (endpoints.empty()) return lookups->respond_at_once();
  for (auto& [endpoint, url] : endpoints) {
    const Json named = {{"host", url.host}, {"endpoint", endpoint->id.to_string()}};
    context.preflight(std::move(url), endpoint->tls,
                      [lookups, named](Outcome outcome, const std::string& error, const std::string& denial) {
                        Json host = named;
                        host["outcome"] = to_string(outcome);
                        std::string why = error;
                        if (!denial.empty()) why.append(": ").append(denial);
                        host["error"] = why.empty() ? Json(nullptr) : Json(why);
                        lookups->add(host);
                      });
  }
}

}  // namespace

std::vector<Route> setup_routes(Context& context) {
  return {{"GET", "/v1/setup", Access::kViewAll, deferring(context, show_setup, {"hosts"})}};
}

}  // namespace outboxd::api
