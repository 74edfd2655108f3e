#include "ctl/doctor_findings.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "ctl/output.h"
#include "ctl/shell.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kFailsForLong = std::chrono::hours(1);
constexpr Millis kExpiresSoon = std::chrono::days(14);
constexpr Millis kRecent = std::chrono::days(1);      // of a step of the clock
constexpr Millis kInFull = std::chrono::seconds(10);  // longer ones are told without milliseconds
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

std::optional<Time> certificate_expiry(const Json& endpoint) {
  if (!endpoint.is_object()) return std::nullopt;
  return parse_time(member_text(endpoint.value("stats", Json::object()), "certificate_expires_at"));
}

void name_only_some(std::vector<Finding>& findings, const char* what, const char* more) {
  if (findings.size() <= kMaxNamed) return;
  const std::size_t left = findings.size() - kMaxNamed;
  findings.resize(kMaxNamed);
  findings.push_back({false, what, std::to_string(left) + more, "outboxctl endpoint list"});
}

}  // namespace

std::vector<Finding> findings_of_endpoints(const std::vector<Json>& endpoints, Time now) {
  std::vector<Finding> findings;
  for (const Json& endpoint : endpoints) {
    auto found = endpoint.is_object() ? finding_of(endpoint, now) : std::nullopt;
    if (found) findings.push_back(std::move(*found));
  }
  name_only_some(findings, "endpoint", " more are in trouble");
  if (findings.empty())
    findings.push_back(
        {true, "endpoints", std::to_string(endpoints.size()) + ", none has failed for an hour", ""});
  return findings;
}

std::vector<Finding> findings_of_certificates(const std::vector<Json>& endpoints, Time now) {
  std::vector<Finding> findings;
  std::optional<Time> first;
  for (const Json& endpoint : endpoints) {
    const auto expires_at = certificate_expiry(endpoint);
    if (!expires_at) continue;
    first = std::min(first.value_or(*expires_at), *expires_at);
    if (*expires_at - now > kExpiresSoon) continue;
    const std::string name = name_of_endpoint(endpoint);
    findings.push_back(
        {false, "certificate",
         "the one of " + name + (*expires_at > now ? " expires on " : " expired on ") +
             format_time(*expires_at) + " (" + age_text(*expires_at, now) + ')',
         "whoever runs it renews it in time, or deliveries fail (tls); outboxctl endpoint test " +
             shell_quoted(name) + " looks at it again"});
  }
  name_only_some(findings, "certificate", " more expire soon");
  if (findings.empty() && first)
    findings.push_back(
        {true, "certificates", "the first of the endpoints' expires " + age_text(*first, now), ""});
  return findings;
}

std::vector<Finding> findings_of_clock(bool synchronised, const Json& status, Time now) {
  std::vector<Finding> findings;
  if (!synchronised)
    findings.push_back(
        {false, "clock", "the kernel's clock is not synchronised",
         "timedatectl set-ntp true, or run chrony: subscribers refuse signatures whose timestamp "
         "is minutes off"});
  const Json clock = status.is_object() ? status.value("clock", Json::object()) : Json::object();
  const auto at = parse_time(member_text(clock, "last_step_at"));
  const Json by = clock.is_object() ? clock.value("last_step_ms", Json()) : Json();
  if (at && by.is_number() && now - *at < kRecent) {
    const Millis step(by.get<std::int64_t>());
    const bool back = step < Millis(0);
    const Millis size = std::chrono::abs(step);
    const std::string count = member_text(clock, "steps");
    findings.push_back(
        {false, "clock",
         std::string("it was set ") + (back ? "back" : "forward") + " by " +
             format_duration(size < kInFull ? size : std::chrono::round<std::chrono::seconds>(size)) + ", " +
             age_text(std::min(*at, now), now) + (back ? "" : ", or this machine slept") +
             (count == "1" ? "" : " (" + count + " times since outboxd started)"),
         "timedatectl says what keeps the time: let one service do it, all the time (timedatectl "
         "set-ntp true, or chrony)"});
  }
  if (findings.empty()) findings.push_back({true, "clock", "synchronised", ""});
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

Finding finding_of_secrets(const Json& secrets) {
  const bool has_key = !secrets.value("key", Json()).is_null();
  const std::string key = member_text(secrets, "key");
  std::int64_t others = 0;
  for (const Json& one : secrets.value("encrypted", Json::array()))
    if (member_text(one, "id") != key) others += one.value("secrets", std::int64_t{0});
  const auto plain = secrets.value("plain", std::int64_t{0});
  if (!has_key) {
    return {false, "secrets",
            std::to_string(plain) + " signing secrets are stored in plain, and no key is configured",
            "set [store] secrets_key_file, restart, outboxctl db encrypt (docs/security.md)"};
  }
  if (plain + others == 0) return {true, "secrets", "encrypted with " + key, ""};
  return {false, "secrets",
          std::to_string(plain) + " are in plain, " + std::to_string(others) + " have an earlier key",
          "outboxctl db encrypt"};
}

}  // namespace outboxd::ctl
