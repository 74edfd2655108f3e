// `failures`: what is stuck, and why.
#include <memory>

#include "ctl/commands.h"
#include "ctl/failure_groups.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::optional<std::string> since;
  std::string by = "error";
};

GroupBy group_by(const std::string& text) {
  return text == "endpoint" ? GroupBy::kEndpoint : text == "type" ? GroupBy::kType : GroupBy::kError;
}

int run_failures(Session& session, const Options& options) {
  std::vector<Json> deliveries;
  for (const bool dead : {true, false}) {
    Path path("/v1/deliveries");
    path.with("state", dead ? "dead" : "pending");
    if (!dead) path.with("error", "any");
    if (options.since) path.with("since", to_rfc3339(*options.since, session.style().now));
    ListOptions rest{kMaxListed - static_cast<int>(deliveries.size()), std::nullopt};
    Listed listed = rest.limit > 0 ? fetch_list(session.api(), path, rest) : Listed{{}, Json("")};
    if (listed.next_cursor.is_string()) {
      session.note("there are more than " + std::to_string(kMaxListed) + " failures: not all " +
                   (dead ? "dead" : "retrying") + " deliveries are counted; narrow it with --since");
    }
    std::move(listed.rows.begin(), listed.rows.end(), std::back_inserter(deliveries));
  }
  const std::vector<Json> groups = group_failures(deliveries, group_by(options.by));
  const bool table = session.format() == Format::kTable || session.format() == Format::kWide;
  if (table && groups.empty()) {
    session.note("no failures");
    return kExitOk;
  }
  const std::string title = options.by == "endpoint" ? "ENDPOINT" : options.by == "type" ? "TYPE" : "ERROR";
  session.print_rows(
      {column(title, "group"), number_column("DEAD", "dead"), number_column("RETRYING", "retrying"),
       time_column("OLDEST", "oldest"), time_column("NEWEST", "newest"), column("EXAMPLE", "example")},
      groups, nullptr, "example");
  return kExitOk;
}

}  // namespace

void add_failures(CLI::App& app, Session& session) {
  CLI::App* command = add_command(app, "failures", "What is dead or keeps failing, grouped",
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
