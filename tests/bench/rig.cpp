#include "bench/rig.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <thread>

namespace outboxd::bench {

ScenarioFolder::ScenarioFolder(const Settings& settings, const std::string& name)
    : path_(std::filesystem::absolute(settings.folder) / name), exceptions_(std::uncaught_exceptions()) {
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

ScenarioFolder::~ScenarioFolder() {
  if (std::uncaught_exceptions() > exceptions_) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void create_endpoints(const test::DaemonProcess& daemon, std::span<const EndpointSpec> endpoints) {
  Load load{.socket = daemon.admin_socket(),
            .connections = static_cast<int>(std::min<std::size_t>(32, endpoints.size())),
            .requests = static_cast<std::int64_t>(endpoints.size())};
  load.status = 201;
  load.request = [&](std::int64_t number, std::int64_t) {
    const EndpointSpec& endpoint = endpoints[static_cast<std::size_t>(number)];
    return post("/v1/endpoints", "application/json",
                R"({"url":")" + endpoint.url + R"(","tenant":")" + endpoint.tenant + R"(","secret":")" +
                    Sink::secret() + "\"" + endpoint.more + "}");
  };
  const LoadResult made = produce(load);
  if (made.refused != 0) throw std::runtime_error("an endpoint was refused: " + made.first_refusal);
}

Json status_of(const test::DaemonProcess& daemon) {
  const std::string answer = test::http_over_unix(daemon.admin_socket(), "GET /v1/status HTTP/1.1", "");
  const auto body = answer.find("\r\n\r\n");
  if (answer.find(" 200 ") == std::string::npos || body == std::string::npos)
    throw std::runtime_error("no status: " + answer);
  return Json::parse(answer.substr(body + 4));
}

std::int64_t pending_in(const test::DaemonProcess& daemon) {
  return status_of(daemon).at("deliveries").at("pending");
}

bool wait_for(const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

void check_accepted(Result& result, const LoadResult& load, const std::string& what) {
  if (load.refused == 0) return;
  result.failures.push_back(std::to_string(load.refused) + " of " + std::to_string(load.sent) +
                            " requests (" + what + ") were refused, the first with " + load.first_refusal);
}

void check_arrived(Result& result, const Sink& sink, int stream, const LoadResult* load) {
  const std::vector<bool> arrived = sink.arrived(stream);
  const auto to_arrive = [&](std::size_t i) {
    return load == nullptr || (i < load->accepted.size() && load->accepted[i]);
  };
  std::int64_t expected = 0, lost = 0;
  std::size_t first_lost = 0;
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    if (!to_arrive(i)) continue;
    ++expected;
    if (!arrived[i] && lost++ == 0) first_lost = i;
  }
  if (lost == 0) return;
  result.failures.push_back(std::to_string(lost) + " of " + std::to_string(expected) + " events of stream " +
                            std::to_string(stream) + " did not arrive in time, the first of them number " +
                            std::to_string(first_lost));
}

void check_sink(Result& result, const Sink& sink) {
  const Sink::Checks checks = sink.checks();
  result.figures["connections_opened"] = sink.connections_opened();
  result.figures["signatures_verified"] = checks.verified;
  result.figures["signatures_bad"] = checks.badly_signed;
  if (checks.badly_signed + checks.not_understood == 0) return;
  result.failures.push_back(std::to_string(checks.badly_signed) + " requests were badly signed and " +
                            std::to_string(checks.not_understood) +
                            " not understood; the first: " + checks.first_complaint);
}

CpuMeter::CpuMeter(const test::DaemonProcess& daemon)
    : daemon_(daemon), before_(daemon.cpu()), by_thread_before_(daemon.cpu_by_thread()) {}

void CpuMeter::add_to(Json& figures, std::int64_t events) const {
  figures["cpu_us_per_event"] = per_event_us(daemon_.cpu() - before_, events);
  Json by_thread = Json::object();
  for (const auto& [name, cpu] : daemon_.cpu_by_thread()) {
    const auto before = by_thread_before_.find(name);
    const auto used = before == by_thread_before_.end() ? cpu : cpu - before->second;
    const double us = std::round(per_event_us(used, events) * 10) / 10;
    if (us > 0) by_thread[name] = us;
  }
  figures["cpu_us_by_thread"] = std::move(by_thread);
}

double per_event_us(std::chrono::nanoseconds cpu, std::int64_t events) {
  return static_cast<double>(cpu.count()) / 1e3 / static_cast<double>(std::max<std::int64_t>(events, 1));
}

double mib(long kib) {
  return static_cast<double>(kib) / 1024;
}

double seconds_between(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 1e9;
}

}  // namespace outboxd::bench
