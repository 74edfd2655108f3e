// `tail`: attempts as they are recorded, until Ctrl-C. It follows the daemon's feed page by page, so that every attempt
// is shown once; attempts that the feed had already dropped are counted and reported.
#include <algorithm>
#include <memory>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kInterval = std::chrono::milliseconds(200);  // between two looks when nothing came
constexpr int kShownAtStart = 10;

struct Options {
  std::optional<std::string> endpoint;
  bool failed = false;
};

std::string padded(std::string text, std::size_t width) {
  text = escape_control(text);
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

// "http_5xx 503, again in 5s", "timeout, dead (exhausted)", "success 200"
std::string outcome_of(const Json& attempt, Time now) {
  std::string text = member_text(attempt, "outcome");
  if (const std::string status = member_text(attempt, "status"); status != "-") text += " " + status;
  const std::string state = member_text(attempt, "state");
  if (state == "dead") text += ", dead (" + member_text(attempt, "reason") + ")";
  const auto due = parse_time(member_text(attempt, "due_at"));
  if (state == "pending" && due) text += ", again " + age_text(std::max(*due, now), now);
  return text;
}

std::string line_of(const Json& attempt, const Style& style) {
  const bool failed = member_text(attempt, "outcome") != "success";
  const std::string error = member_text(attempt, "error");
  return padded(member_text(attempt, "started_at"), 24) + "  " +
         padded(member_text(attempt, "delivery"), 36) + "  " + padded(member_text(attempt, "type"), 24) +
         "  " + padded(endpoint_text(attempt), 35) + "  attempt " +
         padded(member_text(attempt, "number"), 2) + "  " +
         padded(member_text(attempt, "total_ms") + " ms", 8) + "  " +
         tinted(escape_control(outcome_of(attempt, style.now)), failed ? Tint::kBad : Tint::kGood,
                style.color) +
         (error == "-" ? "" : "  " + escape_control(error)) + "\n";
}

// Reports a gap on stderr, and also among JSON lines, because their reader may look nowhere else.
void tell_gap(Session& session, const Json& dropped) {
  if (session.format() == Format::kJsonl) session.print(render_json({{"dropped", dropped}}, false));
  session.warn(dropped.is_null()
                   ? "outboxd was restarted: attempts recorded in between may not be shown"
                   : dump(dropped) +
                         " attempts are not shown: they came faster than they could be read here");
}

struct Page {
  std::vector<Json> rows;
  std::string next;
};

Page fetch(Session& session, const Options& options, const std::string& from) {
  Path path("/v1/attempts");
  path.with("limit", std::to_string(from.empty() ? kShownAtStart : kMaxPage));
  if (!from.empty()) path.with("cursor", from);
  if (options.endpoint) path.with("endpoint", *options.endpoint);
  if (options.failed) path.with("failed", "true");
  const Json answer = session.api().get(path.text());
  const Json data = answer.is_object() ? answer.value("data", Json()) : Json();
  const Json next = answer.is_object() ? answer.value("next_cursor", Json()) : Json();
  if (!data.is_array() || !next.is_string())
    throw Failure(kExitFailed, "the answer is no page of attempts; is it outboxd that listens there?");
  const Json dropped = answer.value("dropped", Json(0));
  if (!from.empty() && dropped != 0) tell_gap(session, dropped);
  return {{data.begin(), data.end()}, next.get<std::string>()};
}

int run_tail(Session& session, const Options& options) {
  const Format format = session.format();
  if (format == Format::kJson)
    throw Failure(kExitUsage, "--output: tail never ends, so it cannot be one document; use jsonl");
  hold_interrupts();
  if (options.endpoint) (void)session.api().get(path_of_endpoint(*options.endpoint));
  for (std::string from;;) {
    const Page page = fetch(session, options, from);
    std::string text;
    const Style style = session.style();
    if (format == Format::kTable || format == Format::kWide) {
      for (const Json& attempt : page.rows) text += line_of(attempt, style);
    } else {
      text = render_rows({}, page.rows, nullptr, style);
    }
    session.print(text);
    const bool caught_up = page.next == from;
    from = page.next;
    if (wait_for_interrupt(caught_up ? kInterval : Millis(0))) return kExitOk;
  }
}

}  // namespace

void add_tail(CLI::App& app, Session& session) {
  CLI::App* command = add_command(
      app, "tail",
      "Attempts as they are recorded, each once, until Ctrl-C; says so when it had to leave some out",
      "outboxctl tail --failed");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_option("--endpoint", o->endpoint, "Only to this endpoint, by name or id")
      ->check(names_endpoint());
  command->add_flag("--failed", o->failed, "Only failed attempts");
  command->callback([&session, o] { session.action = [&session, o] { return run_tail(session, *o); }; });
}

}  // namespace outboxd::ctl
