// What `outboxctl why` says, from what the API answers.
#include "ctl/why.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {

const Time kNow = *parse_time("2026-11-23T15:00:00Z");

Json delivery_waiting(Json waiting) {
  return {
      {"id", "dlv_1"},
      {"event", "evt_1"},
      {"endpoint", "ep_1"},
      {"endpoint_name", "shop"},
      {"type", "order.paid"},
      {"state", "pending"},
      {"attempts", 3},
      {"created_at", "2026-11-23T14:50:00Z"},
      {"in_flight", false},
      {"waiting", std::move(waiting)},
      {"attempt_list",
       {{{"started_at", "2026-11-23T14:58:00Z"}, {"outcome", "http_5xx"}, {"status", 503}, {"error", ""}}}}};
}
const Json kStats = {
    {"pending", 40},
    {"dead", 2},
    {"in_flight", 1},
    {"consecutive_failures", 7},
    {"waiting", {{"breaker", 30}, {"due", 10}}},
    {"next_probe_at", "2026-11-23T15:00:12Z"},
    {"oldest_due_at", "2026-11-23T14:30:00Z"},
    {"last_error", {{"error", "no backend"}, {"status", 503}, {"at", "2026-11-23T14:59:00Z"}}}};

bool says(const Explanation& why, const std::string& text) {
  INFO(why.text);
  CHECK(why.text.find(text) != std::string::npos);
  return why.text.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "why a delivery waits: since when, what holds it until when, what came back, and which command helps") {
  const auto why = explain_delivery(delivery_waiting({{"for", "breaker"}, {"until", "2026-11-23T15:00:12Z"}}),
                                    kStats, kNow);
  CHECK(
      why.text ==
      "dlv_1, order.paid to shop, is pending. It waits for 10m: shop fails, 7 times in a row by now, and is "
      "tried "
      "with one request at a time; the next one in 12s. 3 attempts were made; the last one, 2m ago, failed: "
      "http_5xx (503). The last failure, 1m ago, was 503: no backend.");
  CHECK(why.commands.at(0) == "outboxctl endpoint test shop");
}

TEST_CASE("each thing that a delivery can wait for has words and a command of its own") {
  const auto why = [](const char* what, Json until = nullptr) {
    return explain_delivery(delivery_waiting({{"for", what}, {"until", std::move(until)}}), kStats, kNow);
  };
  CHECK(says(why("due", "2026-11-23T15:05:00Z"), "its next attempt is due in 5m, by the retry schedule"));
  CHECK(why("due").commands.at(0) == "outboxctl event replay evt_1 --endpoint shop");
  CHECK(says(why("slot"), "1 request to shop is under way"));
  CHECK(says(why("retry_after", "2026-11-23T15:01:00Z"),
             "shop asked for a pause (Retry-After), which ends in 1m"));
  CHECK(says(why("rate_limit"), "the rate limit of shop is used up"));
  CHECK(says(why("order"), "another delivery goes first"));
  CHECK(why("order").commands.at(0) == "outboxctl delivery list --state pending --endpoint shop");
  CHECK(why("paused").commands.at(0) == "outboxctl endpoint resume shop");
  CHECK(why("disabled").commands.at(0) == "outboxctl endpoint enable shop");
  Json sent = delivery_waiting(nullptr);
  sent["in_flight"] = true;
  CHECK(says(explain_delivery(sent, kStats, kNow), "It is being sent to shop right now"));
  CHECK(says(explain_delivery(delivery_waiting(nullptr), nullptr, kNow), "what holds it is not known"));
}

TEST_CASE("why a dead letter is dead, and how to send it again") {
  Json dead = delivery_waiting(nullptr);
  dead["state"] = "dead";
  dead["reason"] = "exhausted";
  dead["finished_at"] = "2026-11-23T12:00:00Z";
  const auto why = explain_delivery(dead, kStats, kNow);
  CHECK(says(why, "is dead for 3h: exhausted. 3 attempts were made"));
  CHECK(why.commands.at(0) == "outboxctl delivery retry dlv_1");
}

TEST_CASE("why an endpoint's deliveries wait: how many for what, and the command against the worst of it") {
  const auto why = explain_endpoint(
      {{"id", "ep_1"}, {"name", "shop"}, {"state", "active"}, {"failing_since", "2026-11-23T14:00:00Z"}},
      kStats, kNow);
  CHECK(says(why, "shop is active; 40 deliveries wait for it, the oldest one for 30m."));
  CHECK(says(why, "30: shop fails, 7 times in a row by now"));
  CHECK(says(why, "10: not due yet."));
  CHECK(says(why, "Every attempt has failed for 1h."));
  CHECK(says(why, "2 deliveries are dead."));
  CHECK(why.commands == std::vector<std::string>{"outboxctl endpoint test shop",
                                                 "outboxctl endpoint stats shop",
                                                 "outboxctl delivery retry --state dead --endpoint shop"});
  const auto quiet =
      explain_endpoint({{"id", "ep_1"}, {"name", ""}, {"state", "active"}}, Json::object(), kNow);
  CHECK(quiet.text == "ep_1 is active; nothing waits for it.");
  CHECK(quiet.commands.empty());
  CHECK(explain_endpoint({{"name", "shop"}, {"state", "disabled"}, {"disabled_reason", "gone"}}, kStats, kNow)
            .commands.at(0) == "outboxctl endpoint enable shop");
}

TEST_CASE("why an event is not everywhere: a line for each delivery that waits or is dead") {
  Json done = delivery_waiting(nullptr), dead = delivery_waiting(nullptr);
  done["state"] = "delivered";
  dead["state"] = "dead";
  dead["reason"] = "gone";
  Json event = {{"id", "evt_1"}, {"type", "order.paid"}, {"created_at", "2026-11-23T14:50:00Z"}};
  event["deliveries"] = {delivery_waiting({{"for", "paused"}, {"until", nullptr}}), done, dead};
  const auto why = explain_event(event, kNow);
  CHECK(why.text ==
        "evt_1, order.paid, was accepted 10m ago, for 3 endpoints: 1 dead, 1 delivered, 1 pending.");
  CHECK(why.details == std::vector<std::string>{"shop: waits: paused", "shop: dead, gone"});
  CHECK(why.commands.at(0) == "outboxctl why dlv_1");
  event["deliveries"] = Json::array();
  CHECK(says(explain_event(event, kNow), "No endpoint matched it"));
}

TEST_CASE("what a delivery waits for, in a table") {
  CHECK(waiting_text(delivery_waiting({{"for", "breaker"}, {"until", "2026-11-23T15:00:12Z"}}), kNow) ==
        "breaker, 12s");
  CHECK(waiting_text(delivery_waiting({{"for", "slot"}, {"until", nullptr}}), kNow) == "slot");
  CHECK(waiting_text(delivery_waiting(nullptr), kNow) == "-");
}
