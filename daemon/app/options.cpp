#include "app/options.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <thread>

#include "common/secret_file.h"
#include "outbound/name_servers.h"
#include "runtime/secret_file_reader.h"
#include "telemetry/log.h"
#include "version.h"

namespace outboxd {
namespace {

// An IPv4 network may be written as IPv6 (RFC 4291 2.5.5.2); it is to be denied however it is written.
void add_as_ipv4(std::vector<Network>& networks) {
  constexpr int kMappedBits = 96;
  const Network mapped = Network::parse("::ffff:0:0/96").value();
  for (std::size_t i = 0, n = networks.size(); i < n; ++i) {
    if (networks[i].prefix < kMappedBits || !mapped.contains(networks[i].base)) continue;
    Network v4;
    std::copy_n(networks[i].base.bytes.begin() + kMappedBits / 8, 4, v4.base.bytes.begin());
    v4.prefix = networks[i].prefix - kMappedBits;
    networks.push_back(v4);
  }
}

std::vector<Network> networks(const std::vector<std::string>& texts) {
  std::vector<Network> parsed;
  for (const auto& text : texts) {
    if (const auto network = Network::parse(text))
      parsed.push_back(*network);  // the configuration has checked them
  }
  return parsed;
}

// Database, log, sockets, timers and epoll instances: 93 were counted. Then 80 connections beyond limits.connections: for
// callers who are told that there is no place, and for operators (api/http_server.h).
constexpr std::int64_t kOwnDescriptors = 208;
constexpr std::int64_t kOfSource = 8;  // database, log, its index, journal, folder
constexpr std::int64_t kMinDescriptors = 32;
// A limit too low for everything leaves this part of what attempts may have to idle connections and second sockets
// (outbound/connection_pool.h): without any, each attempt would open a new one.
constexpr std::int64_t kIdlePart = 4;
constexpr std::int64_t kConnectionsPart = 3;  // and the API's connections get this part of it at most

std::int64_t own_descriptors(const config::Config& config) {
  return kOwnDescriptors + kOfSource * static_cast<std::int64_t>(config.sources.size());
}

// Of as many as may be under way, all can stay open; fewer if the limit leaves less. With fewer, connections are closed
// and opened again whenever the number of attempts under way goes up and down.
std::size_t idle_connections(const config::Config& config, std::int64_t descriptor_limit) {
  const std::int64_t in_flight = config.delivery.max_in_flight;
  const std::int64_t left = descriptor_limit - own_descriptors(config) - config.limits.connections;
  return static_cast<std::size_t>(std::clamp<std::int64_t>(left - in_flight, 1, in_flight));
}

}  // namespace

api::HttpServer::Options http_server_options(const config::Config& config,
                                             std::shared_ptr<api::AuditLog> audit) {
  api::HttpServer::Options options;
  options.audit = std::move(audit);
  // Workers wait for no commit, so more of them than cores would only cost wake-ups.
  options.workers = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 4u));
  options.max_connections = static_cast<std::size_t>(config.limits.connections);
  options.max_connections_per_peer = static_cast<std::size_t>(config.limits.connections_per_peer);
  options.max_body_bytes = static_cast<std::size_t>(config.limits.request_bytes);
  options.max_buffered_bytes = std::max(options.max_buffered_bytes, 4 * options.max_body_bytes);
  options.allowed_hosts = config.listen.allowed_hosts;
  return options;
}

DeliveryLoops::Options delivery_options(const config::Config& config, std::int64_t descriptor_limit) {
  const auto& delivery = config.delivery;
  DeliveryLoops::Options all;
  all.threads = static_cast<int>(delivery.threads);
  DeliveryLoop::Options& options = all.loop;
  Scheduler::Options& scheduler = options.engine.scheduler;
  scheduler.max_in_flight = static_cast<int>(delivery.max_in_flight);
  scheduler.max_in_flight_per_endpoint = static_cast<int>(delivery.max_in_flight_per_endpoint);
  scheduler.window = std::max(scheduler.window, 2 * scheduler.max_in_flight_per_endpoint);
  scheduler.retry_schedule = delivery.retry_schedule;
  scheduler.seed = std::random_device{}();
  options.engine.request.timeout = delivery.timeout;
  options.engine.request.connect_timeout = delivery.connect_timeout;
  options.engine.request.user_agent =
      delivery.user_agent.empty() ? "outboxd/" OUTBOXD_VERSION : delivery.user_agent;
  options.sender.max_idle_connections = idle_connections(config, descriptor_limit);
  options.sender.proxy = delivery.proxy;
  options.sender.dns_servers = delivery.dns_servers;
  options.engine.store_responses = delivery.store_responses;
  return all;
}

FanOut::Options fan_out_options(const config::Config& config) {
  FanOut::Options options;
  options.first_wait = config.delivery.retry_schedule.front();
  return options;
}

Ingest::Options ingest_options(const config::Config& config) {
  Ingest::Options options;
  options.limits.event_bytes = static_cast<std::size_t>(config.limits.event_bytes);
  if (!config.ingest.event_types.empty())
    options.limits.types = std::make_shared<const std::vector<std::string>>(config.ingest.event_types);
  options.idempotency_window = config.limits.idempotency_window;
  options.first_wait = config.delivery.retry_schedule.front();
  return options;
}

GroupCommit::Options commit_options(const config::Config& config, telemetry::Metrics& metrics) {
  GroupCommit::Options options;
  options.queue = static_cast<std::size_t>(config.limits.queue);
  if (const auto delay = config.store.longest_commit_delay()) options.commit_delay = *delay;
  options.on_commit = [&metrics](std::size_t commands, std::chrono::nanoseconds duration) {
    metrics.db_transaction("commit", duration, commands);
  };
  return options;
}

SqliteOptions sqlite_options(const config::Config& config, std::shared_ptr<const SecretBox> secrets,
                             telemetry::Metrics& metrics, ClockSteps& clock_steps) {
  SqliteOptions options;
  options.path = config.store.path();
  options.ballast_bytes = config.retention.ballast;
  options.checkpoints = config.store.checkpoint == "auto";
  options.secrets = std::move(secrets);
  options.on_clock_step = [&clock_steps](Time at, Millis by) { clock_steps.add(at, by); };
  options.on_error = [&metrics](std::string_view op) { metrics.db_error(op); };
  return options;
}

#ifdef OUTBOXD_POSTGRESQL
PostgresOptions postgres_options(const config::Config& config, std::shared_ptr<const SecretBox> secrets,
                                 telemetry::Metrics& metrics) {
  PostgresOptions options;
  options.url = config.store.url;
  options.secrets = std::move(secrets);
  options.on_error = [&metrics](std::string_view op) { metrics.db_error(op); };
  return options;
}
#endif

std::int64_t descriptors_needed(const config::Config& config) {
  const std::int64_t connections = config.limits.connections;
  const std::int64_t of_idle = kIdlePart - 1, of_attempts = kIdlePart * config.delivery.max_in_flight;
  return own_descriptors(config) +
         std::max(connections + (of_attempts + of_idle - 1) / of_idle, kConnectionsPart * connections);
}

void fit_to_descriptors(config::Config& config, std::int64_t limit) {
  const std::int64_t left = limit - own_descriptors(config);
  if (left < kMinDescriptors) {
    throw std::runtime_error("a limit of " + std::to_string(limit) + " open files is too low: at least " +
                             std::to_string(own_descriptors(config) + kMinDescriptors) +
                             " are needed (ulimit -n, or LimitNOFILE= in the unit)");
  }
  if (descriptors_needed(config) <= limit) return;
  const std::int64_t connections = std::min(config.limits.connections, left / kConnectionsPart);
  const std::int64_t of_attempts = left - connections;
  const std::int64_t in_flight =
      std::min(config.delivery.max_in_flight, of_attempts - of_attempts / kIdlePart);
  log::warn(
      "the limit of open files is too low for the configuration: raise LimitNOFILE= in the unit, or ulimit "
      "-n",
      {{"open_files", limit}, {"delivery.max_in_flight", in_flight}, {"limits.connections", connections}});
  config.limits.connections = connections;
  config.delivery.max_in_flight = in_flight;
}

RetentionPeriods retention_periods(const config::Config& config) {
  RetentionPeriods periods{.delivered = config.retention.delivered,
                           .dead = config.retention.dead,
                           .at_least = config.limits.idempotency_window};
  if (config.retention.payload != Millis(0)) periods.payload = config.retention.payload;
  return periods;
}

api::DaemonSetup daemon_setup(const config::Config& config) {
  api::DaemonSetup setup{.pid = getpid(),
                         .config_file = {},
                         .database = config.store.path(),
                         .tcp = config.listen.tcp,
                         .asks_for_tokens = !config.listen.tokens_file.empty(),
                         .private_files = {},
                         .name_servers = name_servers_in_use(config.delivery.dns_servers)};
  const auto add_file = [&setup](const char* key, const std::string& name) {
    if (!name.empty()) setup.private_files.emplace_back(key, secret_file_path(name));
  };
  add_file("listen.tokens_file", config.listen.tokens_file);
  add_file("listen.tls_key", config.listen.tls_key);
  add_file("store.secrets_key_file", config.store.secrets_key_file);
  return setup;
}

std::shared_ptr<const SecretBox> secret_box(const config::Config& config) {
  if (config.store.secrets_key_file.empty()) return nullptr;
  const std::string path = secret_file_path(config.store.secrets_key_file);
  auto box =
      read_secret_file(path).and_then([&](const std::string& text) { return SecretBox::parse(text, path); });
  if (!box) throw std::runtime_error("[store] secrets_key_file: " + box.error().detail);
  return std::make_shared<const SecretBox>(std::move(*box));
}

std::shared_ptr<const AddressPolicy> address_policy(const config::Config& config,
                                                    std::vector<AddressPolicy::OwnListener> own_listeners) {
  std::vector<Network> denied = networks(config.policy.deny_networks);
  add_as_ipv4(denied);
  return std::make_shared<const AddressPolicy>(AddressPolicy::Options{
      .allow_http = config.policy.allow_http,
      .allow_networks = networks(config.policy.allow_networks),
      .deny_networks = std::move(denied),
      .ports = config.policy.ports,
      .allow_hosts = config.policy.allow_hosts,
      .own_listeners = std::move(own_listeners),
  });
}

}  // namespace outboxd
