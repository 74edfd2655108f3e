#include "ctl/doctor_findings.h"

#include <chrono>
#include <optional>

#include "ctl/output.h"
#include "ctl/shell.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kFailsForLong = std::chrono::hours(1);
constexpr std::int64_t kLargeLog = 256 << 20;
constexpr std::size_t kMaxNamed = 20;  // of endpoints

std::optional<Finding> finding_of(const Json& endpoint, Time now) {
  const std::string name = name_of_endpoint(endpoint);
  const std::string state = member_text(endpoint, "state"), reason = member_text(endpoint, "disabled_reason");
  const Json stats = endpoint.value("stats", Json::object());
  const std::string pending = member_text(stats, "pending");
  const std::string waits = pending == "0" || pending == "-" ? "" : ", " + pending + " deliveries wait";
  if (state == "disabled")
    return Finding{false, "endpoint",
                   name + " is disabled" + (reason == "-" ? "" : " (" + reason + ')') + waits,
                   "outboxctl endpoint enable " + shell_quoted(name)};
  if (state == "paused" && !waits.empty())
    return Finding{false, "endpoint", name + " is paused" + waits,
                   "outboxctl endpoint resume " + shell_quoted(name)};
  const auto since = parse_time(member_text(endpoint, "failing_since"));
  if (!since || now - *since < kFailsForLong) return std::nullopt;
  return Finding{false, "endpoint", name + " has had no success for " + coarse_duration(now - *since) + waits,
                 "outboxctl why " + shell_quoted(name)};
}

}  // namespace

std::vector<Finding> findings_of_endpoints(const std::vector<Json>& endpoints, Time now) {
  std::vector<Finding> findings;
  std::size_t more = 0;
  for (const Json& endpoint : endpoints) {
    auto found = endpoint.is_object() ? finding_of(endpoint, now) : std::nullopt;
    if (!found) continue;
    if (findings.size() < kMaxNamed) {
      findings.push_back(std::move(*found));
    } else {
      ++more;
    }
  }
  if (more > 0)
    findings.push_back(
        {false, "endpoint", std::to_string(more) + " more are in trouble", "outboxctl endpoint list"});
  if (findings.empty())
    findings.push_back(
        {true, "endpoints", std::to_string(endpoints.size()) + ", none has failed for an hour", ""});
  return findings;
}

Finding finding_of_log(const Json& status) {
  const Json bytes = status.value("store", Json::object()).value("wal_bytes", Json(0));
  const std::int64_t size = bytes.is_number() ? bytes.get<std::int64_t>() : 0;
  const std::string found = "write-ahead log of " + bytes_text(size);
  if (size < kLargeLog) return {true, "store", found, ""};
  return {false, "store", found + ": something reads the database and does not let go of it",
          "end the program that reads it (lsof on the database), or see [store] checkpoint"};
}

}  // namespace outboxd::ctl
