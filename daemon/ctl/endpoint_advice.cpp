#include "ctl/endpoint_advice.h"

#include <algorithm>
#include <array>

#include "common/text.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kShownBody = 600;

struct Advice {
  std::string_view word;  // an HTTP status, or an outcome class
  std::string_view text;  // NAME stands for the endpoint
};

// The first that fits: statuses come before the class they belong to.
constexpr std::array kAdvice = {
    Advice{"success", "it accepts what outboxd sends"},
    Advice{"401",
           "it did not accept the signature, or wants a login: compare its secret with outboxctl endpoint "
           "secret "
           "reveal NAME, and the headers it asks for with outboxctl endpoint show NAME"},
    Advice{"403",
           "it did not accept the signature, or keeps this machine out: compare its secret with outboxctl "
           "endpoint "
           "secret reveal NAME"},
    Advice{"404", "there is nothing at that path: correct it with outboxctl endpoint set NAME --url …"},
    Advice{"405", "that path takes no POST: correct it with outboxctl endpoint set NAME --url …"},
    Advice{"410", "it says that it is gone for good: a delivery that is answered so disables the endpoint"},
    Advice{"413", "it takes no body of that size"},
    Advice{"415", "it does not take that content type or form: outboxctl endpoint set NAME --format …"},
    Advice{"429", "it is asked too often: outboxctl endpoint set NAME --rate-limit 10/s"},
    Advice{"http_4xx", "it refuses the event: its answer above may say why; other events may be accepted"},
    Advice{"http_5xx",
           "it failed inside: its own log knows why; outboxd tries again on the endpoint's schedule"},
    Advice{"redirect",
           "redirects are not followed: set the URL that it names with outboxctl endpoint set NAME --url …"},
    Advice{"timeout",
           "it took too long: it should answer first and work later, or outboxctl endpoint set NAME "
           "--timeout …"},
    Advice{"connect", "nothing listens there, or a firewall is in between: is the subscriber running?"},
    Advice{"dns", "its host name has no address for this machine: outboxctl doctor asks the name servers"},
    Advice{"tls",
           "TLS failed: an authority of its own is named with outboxctl endpoint set NAME --ca-file …"},
    Advice{"blocked", "the address policy does not allow it: [policy] of outboxd.toml makes exceptions"},
    Advice{"protocol", "what answers there does not speak HTTP properly"},
};

std::string with_name(std::string_view text, const std::string& name) {
  std::string filled(text);
  for (auto at = filled.find("NAME"); at != std::string::npos; at = filled.find("NAME", at + name.size()))
    filled.replace(at, 4, name);
  return filled;
}

bool is_set(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && !found->is_null();
}

std::string why_disabled(const Json& endpoint) {
  const std::string reason = member_text(endpoint, "disabled_reason");
  if (reason == "gone") return "was disabled because it answered 410 Gone";
  if (reason == "failing") return "was disabled because every attempt had failed for too long";
  if (reason == "operator") return "was disabled by an operator";
  return "was disabled (" + escape_control(reason) + ")";
}

std::string milliseconds(const Json& timings, const char* name, const char* member) {
  return is_set(timings, member) ? std::string(name) + " " + member_text(timings, member) + ", " : "";
}

}  // namespace

std::string resumed_text(const std::string& name, const Json& before, const std::string& pending, Time now) {
  const std::string waiting =
      pending == "0" ? "nothing waits for it" : "what waits for it (" + pending + ") goes now, by priority";
  const std::string test = "outboxctl endpoint test " + name + " shows what it answers";
  const std::string state = member_text(before, "state");
  if (state == "paused") return name + " was paused; " + waiting;
  if (state == "disabled") return name + " " + why_disabled(before) + "; " + waiting + "; " + test;
  if (!is_set(before, "failing_since")) return name + " was active, and nothing held it";
  const auto since = parse_time(member_text(before, "failing_since"));
  return name + " was not paused: its circuit breaker held it, because every attempt has failed since " +
         escape_control(member_text(before, "failing_since")) +
         (since ? " (" + age_text(*since, now) + ")" : "") +
         "; its pause is over, and one delivery at a time is tried until one succeeds, unless it asked for a "
         "longer "
         "pause itself (Retry-After); " +
         test;
}

Fields attempt_fields(const Json& attempt) {
  const bool good = member_text(attempt, "outcome") == "success";
  const Json timings = attempt.value("timings", Json::object());
  std::string took = milliseconds(timings, "dns", "dns_ms") + milliseconds(timings, "connect", "connect_ms") +
                     milliseconds(timings, "tls", "tls_ms") +
                     milliseconds(timings, "first byte", "first_byte_ms");
  took += "total " + member_text(timings, "total_ms") + " ms";
  Fields fields = {
      {"outcome", {member_text(attempt, "outcome"), good ? Tint::kGood : Tint::kBad}},
      {"status", {is_set(attempt, "status") ? "HTTP " + member_text(attempt, "status") : "no answer"}}};
  if (is_set(attempt, "error")) fields.push_back({"error", {member_text(attempt, "error"), Tint::kBad}});
  fields.push_back({"sent", {member_text(attempt, "request_line")}});
  fields.push_back({"to", {member_text(attempt, "remote_address")}});
  fields.push_back({"took", {took}});
  for (const Json& header : attempt.value("response_headers", Json::array()))
    fields.push_back(
        {"answer header", {member_text(header, "name") + ": " + member_text(header, "value"), Tint::kDim}});
  const std::string body = attempt.value("response_body", std::string());
  if (!body.empty())
    fields.push_back({"answer body", {body.substr(0, kShownBody) + (body.size() > kShownBody ? "…" : "")}});
  return fields;
}

std::string attempt_advice(const std::string& name, const Json& endpoint, const Json& attempt) {
  const std::string outcome = member_text(attempt, "outcome");
  const std::string status = member_text(attempt, "status");
  const auto* const found = std::ranges::find_if(
      kAdvice, [&](const Advice& advice) { return advice.word == outcome || advice.word == status; });
  std::string text = name + ": " + (found == kAdvice.end() ? outcome : with_name(found->text, name));
  if (outcome != "success") return text;
  const std::string state = member_text(endpoint, "state");
  if (state != "active") return text + "; but it is " + state + ": outboxctl endpoint resume " + name;
  if (is_set(endpoint, "failing_since"))
    text += "; the pause of its circuit breaker is over, and what waits for it is tried now";
  return text;
}

}  // namespace outboxd::ctl
