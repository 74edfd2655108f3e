// `tail`: attempts as they are recorded, until Ctrl-C. It looks at the newest deliveries and at those being
// retried, twice a second; under a load of more than a page of either between two looks it shows a sample.
#include <algorithm>
#include <memory>

#include "common/text.h"
#include "ctl/attempt_feed.h"
#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kInterval = std::chrono::milliseconds(500);
constexpr std::size_t kShownAtStart = 10;

struct Options {
  std::optional<std::string> endpoint;
  bool failed = false;
};

bool has_failed(const Json& delivery) {
  return member_text(delivery, "state") == "dead" || member_text(delivery, "error") != "-";
}

std::string padded(std::string text, std::size_t width) {
  text = escape_control(text);
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string line_of(const Json& delivery, const Style& style) {
  const std::string state = member_text(delivery, "state");
  const bool failed = has_failed(delivery);
  std::string what = state == "pending" && failed ? "failed" : state;
  if (failed) what += " (" + member_text(delivery, state == "dead" ? "reason" : "error") + ")";
  const auto due = parse_time(member_text(delivery, "due_at"));
  if (state == "pending" && due) what += ", again " + age_text(std::max(*due, style.now), style.now);
  const std::string finished = member_text(delivery, "finished_at");
  return (finished == "-" ? format_time(style.now) : escape_control(finished)) + "  " +
         member_text(delivery, "id") + "  " + padded(member_text(delivery, "type"), 24) + "  " +
         padded(member_text(delivery, "endpoint"), 35) + "  attempt " +
         padded(member_text(delivery, "attempts"), 2) + "  " +
         tinted(escape_control(what), failed ? Tint::kBad : state_tint(state), style.color) + "\n";
}

std::vector<Json> look(Session& session, const Options& options) {
  std::vector<Json> rows;
  const auto add = [&](const char* state, const char* error) {
    Path path("/v1/deliveries");
    if (state) path.with("state", state);
    if (error) path.with("error", error);
    if (options.endpoint) path.with("endpoint", *options.endpoint);
    Listed listed = fetch_list(session.api(), path, {kMaxPage, std::nullopt});
    std::move(listed.rows.begin(), listed.rows.end(), std::back_inserter(rows));
  };
  if (options.failed) {
    add("dead", nullptr);
  } else {
    add(nullptr, nullptr);
  }
  add("pending", "any");
  return rows;
}

int run_tail(Session& session, const Options& options) {
  const Format format = session.format();
  if (format == Format::kJson)
    throw Failure(kExitUsage, "--output: tail never ends, so it cannot be one document; use jsonl");
  hold_interrupts();
  AttemptFeed feed;
  for (bool first = true;; first = false) {
    std::vector<Json> fresh = feed.changed(look(session, options));
    if (options.failed) std::erase_if(fresh, [](const Json& delivery) { return !has_failed(delivery); });
    if (first && fresh.size() > kShownAtStart) fresh.erase(fresh.begin(), fresh.end() - kShownAtStart);
    std::string text;
    const Style style = session.style();
    if (format == Format::kTable || format == Format::kWide) {
      for (const Json& delivery : fresh) text += line_of(delivery, style);
    } else {
      text = render_rows({}, fresh, nullptr, style);
    }
    session.print(text);
    if (wait_for_interrupt(kInterval)) return kExitOk;
  }
}

}  // namespace

void add_tail(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "tail", "Deliveries as they are attempted, until Ctrl-C", "outboxctl tail --failed");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_option("--endpoint", o->endpoint, "Only to this endpoint")->check(is_endpoint_id());
  command->add_flag("--failed", o->failed, "Only failed attempts");
  command->callback([&session, o] { session.action = [&session, o] { return run_tail(session, *o); }; });
}

}  // namespace outboxd::ctl
