// `tail`: attempts as they are recorded, until Ctrl-C. It follows the daemon's stream, each attempt once, also across a
// restart of the daemon; attempts that came faster than they were read here are counted and reported.
#include <algorithm>
#include <memory>
#include <utility>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/event_stream.h"
#include "ctl/interrupt.h"
#include "ctl/terminal.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kReconnect = std::chrono::seconds(1);
constexpr int kShownAtStart = 10;
constexpr int kAllColumns = 10'000;
constexpr int kColumnsWithIds = 120;  // of a terminal: with fewer, a line has no room for the delivery's id

struct Options {
  std::optional<std::string> endpoint, type, tenant;
  bool failed = false;
};

// "http_5xx 503, again in 5s", "timeout, dead (exhausted)", "success 200"
std::string outcome_of(const Json& attempt, Time now) {
  std::string text = member_text(attempt, "outcome");
  if (const std::string status = member_text(attempt, "status"); status != "-") text += " " + status;
  const std::string state = member_text(attempt, "state");
  if (state == "dead") text += ", dead (" + member_text(attempt, "reason") + ")";
  const auto due = parse_time(member_text(attempt, "due_at"));
  if (state == "pending" && due) text += ", again " + (*due > now ? age_text(*due, now) : "now");
  return text;
}

// What an attempt ended with, in at most so many columns.
std::string ending_of(const Json& attempt, const Style& style, int columns) {
  const bool failed = member_text(attempt, "outcome") != "success";
  const std::string error = member_text(attempt, "error");
  const std::string outcome = cut(outcome_of(attempt, style.now), columns);
  return tinted(outcome, failed ? Tint::kBad : Tint::kGood, style.color) +
         (error == "-" ? "" : cut("  " + error, columns - display_width(outcome)));
}

std::string padded(const std::string& text, int width) {
  return fitted(text, std::max(width, display_width(text)));
}

// For a file or a pipe: nothing is cut.
std::string full_line(const Json& attempt, const Style& style) {
  return padded(member_text(attempt, "started_at"), 24) + "  " +
         padded(member_text(attempt, "delivery"), 36) + "  " + padded(member_text(attempt, "type"), 24) +
         "  " + padded(endpoint_text(attempt), 35) + "  attempt " +
         padded(member_text(attempt, "number"), 2) + "  " +
         padded(member_text(attempt, "total_ms") + " ms", 8) + "  " + ending_of(attempt, style, kAllColumns) +
         "\n";
}

// One line of a terminal: of the start only the time of day.
std::string short_line(const Json& attempt, const Style& style) {
  const std::string started = member_text(attempt, "started_at");
  std::string line = fitted(started.size() > 12 ? started.substr(11) : started, 13);
  if (style.width >= kColumnsWithIds) line += " " + fitted(member_text(attempt, "delivery"), 36);
  line += " " + fitted(endpoint_text(attempt), 14) + " " + fitted(member_text(attempt, "type"), 16) + " " +
          fitted("#" + member_text(attempt, "number"), 3) + " " +
          fitted(member_text(attempt, "total_ms") + "ms", 7, true) + "  ";
  return line + ending_of(attempt, style, std::max(1, style.width - display_width(line))) + "\n";
}

class Tail {
 public:
  Tail(Session& session, const Options& options) : session_(session), options_(options) {}

  // Until Ctrl-C. Throws when the daemon cannot be followed at all; once it could, it is waited for.
  int follow() {
    while (true) {
      try {
        reader_.begin_anew();
        session_.api().stream(
            path(), reader_.last_id(),
            {.take = [this](std::string_view bytes) { take(bytes); }, .stop_fd = interrupt_fd()});
      } catch (const Failure& failure) {
        if (wait_for_interrupt(Millis(0))) return kExitOk;
        if (!followed_ || failure.exit_code != kExitUnreachable) throw;
      }
      if (wait_for_interrupt(Millis(0))) return kExitOk;
      if (!std::exchange(told_, true)) session_.note("outboxd has ended the stream, connecting again");
      if (wait_for_interrupt(kReconnect)) return kExitOk;
    }
  }

 private:
  std::string path() const {
    Path path("/v1/attempts/stream");
    if (reader_.last_id().empty()) path.with("last", std::to_string(kShownAtStart));
    if (options_.endpoint) path.with("endpoint", *options_.endpoint);
    if (options_.type) path.with("type", *options_.type);
    if (options_.tenant) path.with("tenant", *options_.tenant);
    if (options_.failed) path.with("failed", "true");
    return path.text();
  }

  void take(std::string_view bytes) {
    reader_.feed(bytes, [this](const ServerEvent& event) { take(event); });
    followed_ = true;
    told_ = false;
    session_.print(std::exchange(text_, {}));
  }

  void take(const ServerEvent& event) {
    const Json data = parse_answer(event.data);
    if (!data.is_object())
      throw Failure(kExitFailed, "an event is no JSON; is it outboxd that listens there?");
    if (event.name == "dropped") return tell_gap(data.value("dropped", Json()));
    if (event.name != "attempt") return;
    const Style style = session_.style();
    if (style.format != Format::kTable && style.format != Format::kWide) {
      text_ += render_rows({}, {data}, nullptr, style);
    } else if (style.width > 0 && style.format == Format::kTable) {
      text_ += short_line(data, style);
    } else {
      text_ += full_line(data, style);
    }
  }

  // Reports a gap on stderr, and also among JSON lines, because their reader may look nowhere else.
  void tell_gap(const Json& dropped) {
    if (session_.format() == Format::kJsonl) text_ += render_json({{"dropped", dropped}}, false);
    session_.print(std::exchange(text_, {}));
    session_.warn(dropped.is_null() ? "outboxd was restarted: attempts recorded in between may not be shown"
                                    : dump(dropped) +
                                          " attempts were left out: they came faster than they could be read "
                                          "here (of all endpoints, whatever is asked for)");
  }

  Session& session_;
  const Options& options_;
  EventStreamReader reader_;
  std::string text_;       // to be printed
  bool followed_ = false;  // the stream has begun once
  bool told_ = false;      // that it has ended
};

int run_tail(Session& session, const Options& options) {
  if (session.format() == Format::kJson)
    throw Failure(kExitUsage, "--output: tail never ends, so it cannot be one document; use jsonl");
  hold_interrupts();
  if (options.endpoint) (void)session.api().get(path_of_endpoint(*options.endpoint));
  return Tail(session, options).follow();
}

}  // namespace

void add_tail(CLI::App& app, Session& session) {
  CLI::App* command = add_command(
      app, "tail",
      "Attempts as they are recorded, each once, until Ctrl-C; says so when some had to be left out",
      "outboxctl tail --failed");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_option("--endpoint", o->endpoint, "Only to this endpoint, by name or id")
      ->check(names_endpoint());
  command->add_flag("--failed", o->failed, "Only failed attempts");
  command->add_option("--type", o->type, "Only events of this type, or pattern: order.*")
      ->check(is_patterns());
  command->add_option("--tenant", o->tenant, "Only this tenant's")->check(has_length(0, kMaxTenantLength));
  command->callback([&session, o] { session.action = [&session, o] { return run_tail(session, *o); }; });
}

}  // namespace outboxd::ctl
