#include "ctl/why.h"

#include <map>

#include "ctl/output.h"
#include "ctl/shell.h"

namespace outboxd::ctl {
namespace {

Json member(const Json& object, const char* name) {
  return object.is_object() ? object.value(name, Json()) : Json();
}

bool has(const Json& object, const char* name) {
  return !member(object, name).is_null();
}

std::int64_t number(const Json& object, const char* name) {
  const Json value = member(object, name);
  return value.is_number() ? value.get<std::int64_t>() : 0;
}

std::string counted(std::int64_t n, const std::string& one, const std::string& many) {
  return std::to_string(n) + ' ' + (n == 1 ? one : many);
}

// " for 3m", " in 12s", or nothing when the time is missing.
std::string since_text(const Json& object, const char* name, Time now) {
  const auto time = parse_time(member_text(object, name));
  return time ? " for " + coarse_duration(std::max(now - *time, Millis(0))) : std::string();
}
std::string in_text(const std::string& text, Time now) {
  const auto time = parse_time(text);
  if (!time) return {};
  return *time > now ? " in " + coarse_duration(*time - now + Millis(999)) : " at any moment";
}

// What came back last from an endpoint: "the last failure, 2m ago, was 503 Service Unavailable".
std::string last_failure(const Json& stats, Time now) {
  const Json last = member(stats, "last_error");
  if (last.is_null()) return {};
  const auto at = parse_time(member_text(last, "at"));
  std::string text = "The last failure" + (at ? ", " + age_text(*at, now) : std::string()) + ", was ";
  const auto status = number(last, "status");
  const std::string error = member_text(last, "error");
  if (status > 0 && error.find(std::to_string(status)) == error.npos) text += std::to_string(status) + ": ";
  return text + error + '.';
}

std::string last_attempt(const Json& delivery, Time now) {
  const Json attempts = member(delivery, "attempt_list");
  if (!attempts.is_array() || attempts.empty()) return "It was not attempted yet.";
  const Json& last = attempts.back();
  const auto at = parse_time(member_text(last, "started_at"));
  std::string text = counted(number(delivery, "attempts"), "attempt was", "attempts were") +
                     " made; the last one" + (at ? ", " + age_text(*at, now) : std::string());
  const std::string outcome = member_text(last, "outcome");
  const auto status = number(last, "status");
  text += outcome == "success" ? ", was accepted" : ", failed: " + outcome;
  if (status > 0) text += " (" + std::to_string(status) + ')';
  const std::string error = member_text(last, "error");
  if (outcome != "success" && error != "-") text += ", " + error;
  return text + '.';
}

// What holds the deliveries of an endpoint that wait for `what`, as the end of a sentence.
std::string held_by(const std::string& what, const std::string& name, const std::string& until,
                    const Json& stats, Time now) {
  if (what == "due") return "its next attempt is due" + in_text(until, now) + ", by the retry schedule";
  if (what == "slot")
    return "it is due and waits for its turn; " +
           counted(number(stats, "in_flight"), "request to ", "requests to ") + name +
           (number(stats, "in_flight") == 1 ? " is" : " are") + " under way";
  if (what == "breaker")
    return name + " fails, " + counted(number(stats, "consecutive_failures"), "time", "times") +
           " in a row by now, and is tried with one request at a time; the next one" + in_text(until, now);
  if (what == "retry_after")
    return name + " asked for a pause (Retry-After), which ends" + in_text(until, now);
  if (what == "rate_limit") return "the rate limit of " + name + " is used up";
  if (what == "order") return "another delivery goes first, in their order";
  if (what == "paused") return name + " is paused";
  if (what == "disabled") return name + " is disabled";
  return "what holds it is not known: the delivery loop did not answer in time";
}

std::vector<std::string> help_against(const std::string& what, const std::string& endpoint) {
  const std::string name = shell_quoted(endpoint);
  if (what == "paused") return {"outboxctl endpoint resume " + name};
  if (what == "disabled") return {"outboxctl endpoint enable " + name};
  if (what == "breaker" || what == "retry_after")
    return {"outboxctl endpoint test " + name, "outboxctl endpoint stats " + name};
  if (what == "slot") return {"outboxctl endpoint set " + name + " --max-in-flight N"};
  if (what == "rate_limit") return {"outboxctl endpoint set " + name + " --rate-limit N/s"};
  if (what == "order") return {"outboxctl delivery list --state pending --endpoint " + name};
  return {};
}

std::string for_word(const Json& delivery) {
  return member_text(member(delivery, "waiting"), "for");
}

Explanation explain_pending(const Json& delivery, const Json& stats, Time now) {
  const std::string name = endpoint_text(delivery);
  const Json waiting = member(delivery, "waiting");
  const std::string what = for_word(delivery);
  if (member_text(delivery, "in_flight") == "true")
    return {.text = "It is being sent to " + name + " right now. " + last_attempt(delivery, now)};
  Explanation why{.text = "It waits" + since_text(delivery, "created_at", now) + ": " +
                          held_by(what, name, member_text(waiting, "until"), stats, now) + ". " +
                          last_attempt(delivery, now),
                  .details = {},
                  .commands = help_against(what, name)};
  if (what == "breaker" || what == "retry_after") why.text += ' ' + last_failure(stats, now);
  if (what == "due")
    why.commands.push_back("outboxctl event replay " + member_text(delivery, "event") + " --endpoint " +
                           shell_quoted(name));
  return why;
}

}  // namespace

Explanation explain_delivery(const Json& delivery, const Json& stats, Time now) {
  const std::string id = member_text(delivery, "id"), state = member_text(delivery, "state");
  const std::string head =
      id + ", " + member_text(delivery, "type") + " to " + endpoint_text(delivery) + ", is " + state;
  if (state == "pending") {
    Explanation why = explain_pending(delivery, stats, now);
    why.text.insert(0, head + ". ");
    return why;
  }
  const std::string when = since_text(delivery, "finished_at", now);
  if (state == "dead")
    return {.text = head + when + ": " + member_text(delivery, "reason") + ". " + last_attempt(delivery, now),
            .details = {},
            .commands = {"outboxctl delivery retry " + id, "outboxctl delivery show " + id}};
  return {.text = head + when + ". " + last_attempt(delivery, now),
          .details = {},
          .commands = {"outboxctl delivery show " + id}};
}

Explanation explain_endpoint(const Json& endpoint, const Json& stats, Time now) {
  const std::string name = name_of_endpoint(endpoint);
  const std::string state = member_text(endpoint, "state"), reason = member_text(endpoint, "disabled_reason");
  const auto pending = number(stats, "pending"), dead = number(stats, "dead");
  Explanation why{.text = name + " is " + state + (reason == "-" ? "" : " (" + reason + ')')};
  why.text += pending == 0 ? "; nothing waits for it"
                           : "; " + counted(pending, "delivery waits", "deliveries wait") + " for it";
  const std::string oldest = since_text(stats, "oldest_due_at", now);
  if (!oldest.empty()) why.text += ", the oldest one" + oldest;
  why.text += '.';
  const Json waiting = member(stats, "waiting");
  const std::string until = has(stats, "retry_after_until") ? member_text(stats, "retry_after_until")
                                                            : member_text(stats, "next_probe_at");
  std::string worst;
  std::int64_t most = 0;
  if (waiting.is_object()) {
    for (const auto& [what, count] : waiting.items()) {
      const std::int64_t n = count.is_number() ? count.get<std::int64_t>() : 0;
      why.text += ' ' + std::to_string(n) + ": " +
                  (what == "due" ? "not due yet" : held_by(what, name, until, stats, now)) + '.';
      if (n > most && what != "due") {
        worst = what;
        most = n;
      }
    }
  }
  if (number(stats, "in_flight") > 0)
    why.text += ' ' + counted(number(stats, "in_flight"), "request is", "requests are") + " under way.";
  if (has(endpoint, "failing_since"))
    why.text += " Every attempt has failed" + since_text(endpoint, "failing_since", now) + '.';
  const std::string last = last_failure(stats, now);
  if (!last.empty()) why.text += ' ' + last;
  if (dead > 0) why.text += ' ' + counted(dead, "delivery is", "deliveries are") + " dead.";
  why.commands = help_against(worst, name);
  if (state == "disabled" || state == "paused") why.commands = help_against(state, name);
  if (dead > 0)
    why.commands.push_back("outboxctl delivery retry --state dead --endpoint " + shell_quoted(name));
  return why;
}

Explanation explain_event(const Json& event, Time now) {
  const std::string id = member_text(event, "id");
  const auto at = parse_time(member_text(event, "created_at"));
  Explanation why{.text = id + ", " + member_text(event, "type") + ", was accepted" +
                          (at ? ' ' + age_text(*at, now) : "")};
  const Json deliveries = member(event, "deliveries");
  if (!deliveries.is_array() || deliveries.empty()) {
    why.text += ". No endpoint matched it, or its deliveries are no longer kept.";
    why.commands = {"outboxctl endpoint list"};
    return why;
  }
  std::map<std::string, std::int64_t> states;
  for (const Json& delivery : deliveries) ++states[member_text(delivery, "state")];
  why.text += ", for " + counted(static_cast<std::int64_t>(deliveries.size()), "endpoint", "endpoints") + ':';
  for (const auto& [state, count] : states) why.text += ' ' + std::to_string(count) + ' ' + state + ',';
  why.text.back() = '.';
  for (const Json& delivery : deliveries) {
    const std::string state = member_text(delivery, "state");
    if (state != "pending" && state != "dead") continue;
    const std::string what = state == "dead" ? "dead, " + member_text(delivery, "reason")
                                             : "waits: " + waiting_text(delivery, now);
    why.details.push_back(endpoint_text(delivery) + ": " + what);
    if (why.commands.size() < 3) why.commands.push_back("outboxctl why " + member_text(delivery, "id"));
  }
  return why;
}

std::string waiting_text(const Json& delivery, Time now) {
  if (member_text(delivery, "in_flight") == "true") return "in flight";
  const std::string what = for_word(delivery);
  const auto until = parse_time(member_text(member(delivery, "waiting"), "until"));
  if (what == "-" || !until) return what;
  return what + ", " + coarse_duration(std::max(*until - now, Millis(0)));
}

}  // namespace outboxd::ctl
