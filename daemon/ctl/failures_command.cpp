// `failures`: what is stuck, and why.
#include <memory>

#include "ctl/commands.h"
#include "ctl/failure_groups.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr int kMaxEndpoints = 200;  // how many endpoints' held deliveries one command counts
constexpr const char* kHeld = "held";

struct Options {
  std::optional<std::string> since;
  std::string by = "error";
};

GroupBy group_by(const std::string& text) {
  return text == "endpoint" ? GroupBy::kEndpoint : text == "type" ? GroupBy::kType : GroupBy::kError;
}

// Up to kMaxListed of each kind; a note says when there are more.
std::vector<Json> list(Session& session, Path path, const Options& options, const std::string& kind) {
  if (options.since) path.with("since", to_rfc3339(*options.since, session.style().now));
  Listed listed = fetch_list(session.api(), path, {kMaxListed, std::nullopt});
  if (listed.next_cursor.is_string()) {
    session.note("there are more than " + std::to_string(kMaxListed) + " " + kind +
                 " deliveries: not all are counted; narrow it with --since");
  }
  return std::move(listed.rows);
}

std::vector<Json> deliveries_in(Session& session, const Options& options, const std::string& state) {
  Path path("/v1/deliveries");
  path.with("state", state);
  if (state == "pending") path.with("error", "any");
  return list(session, path, options, state == "dead" ? "dead" : "retrying");
}

// The error shown for an endpoint: that of its newest delivery that has one.
std::string error_of(const std::string& endpoint, const std::vector<Json>& failed) {
  for (const Json& delivery : failed) {
    if (member_text(delivery, "endpoint") == endpoint && member_text(delivery, "error") != "-")
      return member_text(delivery, "error");
  }
  return kHeld;
}

// Behind an endpoint that fails or is disabled wait deliveries that were never attempted, and so have no error of their
// own.
std::vector<Json> held_behind_failing_endpoints(Session& session, const Options& options,
                                                const std::vector<Json>& failed) {
  const Listed endpoints = fetch_list(session.api(), Path("/v1/endpoints"), {kMaxListed, std::nullopt});
  std::vector<Json> all;
  int looked_at = 0;
  for (const Json& endpoint : endpoints.rows) {
    const bool disabled = member_text(endpoint, "state") == "disabled";
    if (!disabled && member_text(endpoint, "failing_since") == "-") continue;
    if (++looked_at > kMaxEndpoints || all.size() >= static_cast<std::size_t>(kMaxListed)) {
      session.note("more endpoints fail than one command looks at: not all held deliveries are counted");
      break;
    }
    const std::string id = member_text(endpoint, "id");
    Path path("/v1/deliveries");
    path.with("state", "pending").with("endpoint", id);
    const auto pending = list(session, path, options, "pending");
    auto held = held_deliveries(pending, disabled ? "disabled" : error_of(id, failed));
    std::move(held.begin(), held.end(), std::back_inserter(all));
  }
  return all;
}

int run_failures(Session& session, const Options& options) {
  // Retrying ones first, because an endpoint's current errors say more than those of the deliveries that died.
  std::vector<Json> deliveries = deliveries_in(session, options, "pending");
  for (Json& dead : deliveries_in(session, options, "dead")) deliveries.push_back(std::move(dead));
  for (Json& held : held_behind_failing_endpoints(session, options, deliveries))
    deliveries.push_back(std::move(held));
  const std::vector<Json> groups = group_failures(deliveries, group_by(options.by));
  const bool table = session.format() == Format::kTable || session.format() == Format::kWide;
  if (table && groups.empty()) {
    session.note("no failures");
    return kExitOk;
  }
  const std::string title = options.by == "endpoint" ? "ENDPOINT" : options.by == "type" ? "TYPE" : "ERROR";
  session.print_rows(
      {column(title, "group"), number_column("DEAD", "dead"), number_column("RETRYING", "retrying"),
       number_column("HELD", "held"), time_column("OLDEST", "oldest"), time_column("NEWEST", "newest"),
       column("EXAMPLE", "example")},
      groups, nullptr, "example");
  return kExitOk;
}

}  // namespace

void add_failures(CLI::App& app, Session& session) {
  CLI::App* command = add_command(
      app, "failures", "What is dead, keeps failing, or is held back by an endpoint that fails; grouped",
      "outboxctl failures --since 1h --by endpoint");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_option("--since", o->since, "Only events accepted since: a time, or an age like 1h")
      ->check(is_time_or_age());
  command->add_option("--by", o->by, "Group by error, endpoint or type")
      ->check(CLI::IsMember({"error", "endpoint", "type"}))
      ->capture_default_str();
  command->callback([&session, o] { session.action = [&session, o] { return run_failures(session, *o); }; });
}

}  // namespace outboxd::ctl
