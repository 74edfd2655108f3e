#include "ctl/doctor_findings.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "common/event.h"
#include "common/words.h"
#include "ctl/output.h"
#include "ctl/shell.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kFailsForLong = std::chrono::hours(1);
constexpr Millis kExpiresSoon = std::chrono::days(14);
constexpr Millis kRecent = std::chrono::days(1);      // of a step of the clock
constexpr Millis kInFull = std::chrono::seconds(10);  // longer ones are told without milliseconds
constexpr Millis kRelayedSoon = std::chrono::minutes(1);
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

void name_only_some(std::vector<Finding>& findings, const char* what, const char* more,
                    const char* mend = "outboxctl endpoint list") {
  if (findings.size() <= kMaxNamed) return;
  const std::size_t left = findings.size() - kMaxNamed;
  findings.resize(kMaxNamed);
  findings.push_back({false, what, std::to_string(left) + more, mend});
}

// The type that a pattern would mean if it were written for this one: "order.paid" for "order.*" and "ordr.paid".
std::string as_type(std::string_view pattern, std::string_view type) {
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos) return std::string(pattern);
  const std::string_view prefix = pattern.substr(0, star);  // with its dot
  std::string_view rest = type;
  for (auto dots = std::ranges::count(prefix, '.'); dots > 0; --dots) {
    const std::size_t dot = rest.find('.');
    rest.remove_prefix(dot == rest.npos ? rest.size() : dot + 1);
  }
  return std::string(prefix) + std::string(rest);
}

// Which endpoints of a tenant want a type, and what they want instead.
struct Subscribers {
  std::vector<std::string> patterns;
  bool matches = false;   // by type
  bool filtered = false;  // whoever matches also asks what is in the payload
};

Subscribers subscribers_of(const std::vector<Json>& endpoints, const std::string& tenant,
                           const std::string& type) {
  Subscribers found{.patterns = {}, .filtered = true};
  for (const Json& endpoint : endpoints) {
    if (!endpoint.is_object() || endpoint.value("tenant", Json("")) != tenant) continue;
    for (const Json& pattern : endpoint.value("types", Json::array())) {
      if (!pattern.is_string()) continue;
      found.patterns.push_back(pattern.get<std::string>());
      if (!type_matches(found.patterns.back(), type)) continue;
      found.matches = true;
      found.filtered = found.filtered && !endpoint.value("filter", Json()).is_null();
    }
  }
  return found;
}

Finding finding_of_type(const std::string& type, const std::string& count, const Subscribers& subscribers) {
  const std::string quoted = shell_quoted(type);
  Finding finding{false, "events", count + " of type " + type + " in the last hour matched no endpoint", ""};
  if (subscribers.matches) {
    finding.found += " then, and would match one now";
    finding.mend = "outboxctl event replay --type " + quoted + " --since 1h";
    return finding;
  }
  if (const std::string near = nearest_pattern(type, subscribers.patterns); !near.empty())
    finding.found += "; the nearest that one wants is " + near;
  finding.mend =
      "correct the type where it is sent, or outboxctl endpoint set NAME --types …; then outboxctl event "
      "replay --type " +
      quoted + " --since 1h";
  return finding;
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

std::string nearest_pattern(std::string_view type, const std::vector<std::string>& patterns) {
  std::vector<std::string> types;
  types.reserve(patterns.size());
  for (const std::string& pattern : patterns) types.push_back(as_type(pattern, type));
  const std::vector<std::string_view> known(types.begin(), types.end());
  const std::string_view meant = nearest(type, known);
  const auto found = std::ranges::find(known, meant);
  if (meant.empty() || meant == type || found == known.end()) return "";
  return patterns[static_cast<std::size_t>(found - known.begin())];
}

std::vector<Finding> findings_of_unmatched(const std::vector<Json>& events, bool more,
                                           const std::vector<Json>& endpoints) {
  std::map<std::pair<std::string, std::string>, std::int64_t> by_type;
  for (const Json& event : events) {
    if (event.is_object()) ++by_type[{event.value("tenant", ""), member_text(event, "type")}];
  }
  std::vector<Finding> findings;
  for (const auto& [type, count] : by_type) {
    const Subscribers subscribers = subscribers_of(endpoints, type.first, type.second);
    if (subscribers.matches && subscribers.filtered) continue;  // filters are there to leave events out
    const std::string events_text =
        std::string(more ? "at least " : "") + std::to_string(count) + (count == 1 ? " event" : " events");
    findings.push_back(finding_of_type(type.second, events_text, subscribers));
  }
  name_only_some(findings, "events", " more types match no endpoint", "outboxctl event types");
  if (findings.empty())
    findings.push_back({true, "events", "all of the last hour were of types that endpoints want", ""});
  return findings;
}

std::vector<Finding> findings_of_sources(const std::vector<Json>& sources, Time now) {
  std::vector<Finding> findings;
  for (const Json& source : sources) {
    if (!source.is_object()) continue;
    const std::string name = member_text(source, "name");
    const std::string check = "outboxctl source check " + shell_quoted(name);
    const auto since = parse_time(member_text(source, "since"));
    const auto waiting_since = parse_time(member_text(source, "waiting_since"));
    if (member_text(source, "state") == "failing") {
      findings.push_back({false, "source",
                          name + " cannot be relayed" + (since ? ", since " + age_text(*since, now) : "") +
                              ": " + member_text(source, "error"),
                          check});
    } else if (waiting_since && now - *waiting_since > kRelayedSoon) {
      findings.push_back({false, "source",
                          name + " has had rows waiting since " + age_text(*waiting_since, now),
                          "outboxctl source list shows whether they get fewer"});
    }
    if (const Json rejected = source.value("rejected", Json(0)); rejected.is_number() && rejected > 0)
      findings.push_back(
          {false, "source", name + " has " + member_text(source, "rejected") + " rejected rows", check});
  }
  if (findings.empty() && !sources.empty())
    findings.push_back({true, "sources", std::to_string(sources.size()) + ", all relayed", ""});
  return findings;
}

Finding finding_of_log(const Json& status) {
  const Json store = status.value("store", Json::object());
  const Json bytes = store.is_object() ? store.value("wal_bytes", Json(0)) : Json(0);
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
