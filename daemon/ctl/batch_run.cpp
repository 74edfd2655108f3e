#include "ctl/batch_run.h"

#include <cstdio>

#include "common/text.h"
#include "ctl/interrupt.h"
#include "ctl/json_text.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxNote = 512;  // what the API takes
constexpr Millis kLookEvery{200};
constexpr Millis kPatience = std::chrono::minutes(2);  // with a daemon that does not answer

bool is_replay(const std::string& action) {
  return action.starts_with("replay");
}

std::int64_t number(const Json& object, const char* name) {
  const Json value = object.is_object() ? object.value(name, Json()) : Json();
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::string body_of(const BatchOptions& options, Time now, bool dry_run) {
  ObjectText body;
  body.add("action", options.action).add("filter", options.filters.as_json(now));
  if (dry_run) body.add("dry_run", true);
  body.add_if("rate", options.rate).add_if("reason", options.note);
  return body.text();
}

// "3 deliveries (dead)", "at least 10000 deliveries", "7 deliveries to make"
std::string count_text(const Json& count, const BatchOptions& options) {
  const bool exact = member_text(count, "exact") == "true";
  std::string text = (exact ? "" : "at least ") + member_text(count, "matched") + " deliveries";
  if (options.filters.state) text += " (" + *options.filters.state + ")";
  return text + (is_replay(options.action) ? " to make" : " match");
}

int print_count(Session& session, const Json& count, const BatchOptions& options) {
  if (session.prints_json()) {
    session.print(render_json(count, session.format() == Format::kJson));
  } else if (session.format() == Format::kId && !is_replay(options.action)) {
    const Path path = options.filters.applied_to(Path("/v1/deliveries"), session.style().now);
    session.print_rows({}, fetch_list(session.api(), path, {kMaxListed, std::nullopt}).rows);
  } else {
    session.print(count_text(count, options) + "\n");
  }
  return kExitOk;
}

std::string progress_text(const Json& batch) {
  const std::string matched = member_text(batch, "matched");
  std::string text = std::to_string(number(batch, "done") + number(batch, "skipped")) + " of " +
                     (member_text(batch, "exact") == "true" ? "" : "at least ") + matched + ", at most " +
                     member_text(batch, "rate");
  if (member_text(batch, "seconds_left") != "-")
    text += ", " + coarse_duration(std::chrono::seconds(number(batch, "seconds_left"))) + " left";
  return escape_control(text);
}

void show_line(const Session& session, const std::string& text) {
  if (session.shows_progress()) std::fprintf(stderr, "\r%s\033[K", text.c_str());
}

// The batch now; absent: the daemon does not answer, for less than kPatience yet.
std::optional<Json> look(Session& session, const std::string& id, Millis& away) try {
  Json batch = session.api().get("/v1/batches/" + id);
  away = Millis(0);
  return batch;
} catch (const Failure& failure) {
  const bool comes_back = failure.exit_code == kExitUnreachable || failure.exit_code == kExitFailed;
  if (!comes_back || away >= kPatience) throw;
  if (away == Millis(0)) session.note("the daemon does not answer; the batch goes on when it is back");
  away += kLookEvery;
  return std::nullopt;
}

int print_end(Session& session, const Json& batch) {
  if (session.prints_table()) {
    session.print(escape_control(describe_batch(batch)) + "\n");
  } else {
    session.print_object(batch, {});
  }
  return member_text(batch, "state") == "finished" ? kExitOk : kExitFailed;
}

}  // namespace

void add_batch_options(CLI::App* command, BatchOptions& options) {
  command->add_flag("--yes", options.yes, "Do not ask");
  command->add_flag("--dry-run", options.dry_run, "Only count");
  command->add_option("--rate", options.rate, "At most so many in a time, like 50/s [1000/s]")
      ->check(is_rate_limit());
  command->add_option("--note", options.note, "Why, for the record")->check(has_length(1, kMaxNote));
}

std::string describe_batch(const Json& batch) {
  const std::string action = member_text(batch, "action");
  const std::string word = action == "retry" ? "retried" : action == "discard" ? "discarded" : "replayed";
  std::string text = member_text(batch, "done") + " " + word;
  if (number(batch, "skipped") > 0)
    text += ", " + member_text(batch, "skipped") + " skipped (they had changed meanwhile)";
  if (member_text(batch, "state") == "cancelled") text += "; the batch was cancelled";
  return text;
}

int watch_batch(Session& session, const std::string& id) {
  hold_interrupts();
  Millis away{0};
  for (;;) {
    const auto batch = look(session, id, away);
    if (batch && member_text(*batch, "state") != "running") {
      show_line(session, "");
      return print_end(session, *batch);
    }
    if (batch) show_line(session, progress_text(*batch));
    if (!wait_for_interrupt(kLookEvery)) continue;
    show_line(session, "");
    session.note("the batch goes on without this command: outboxctl batch watch " + id +
                 ", or end it: outboxctl batch cancel " + id);
    if (!session.prints_table()) session.print_object(batch ? *batch : Json{{"id", id}}, {});
    return kExitOk;
  }
}

int run_batch(Session& session, const BatchOptions& options) {
  if (!options.yes && !options.dry_run && !Session::can_ask())
    throw Failure(kExitUsage, "--yes is needed where there is no terminal to ask on (--dry-run only counts)");
  const Time now = session.style().now;
  const Json count = session.api().post("/v1/batches", body_of(options, now, true));
  const bool none = member_text(count, "matched") == "0" && member_text(count, "exact") == "true";
  if (none) require_named(session.api(), options.filters);
  if (options.dry_run) return print_count(session, count, options);
  session.note(count_text(count, options));
  if (none) return session.prints_json() ? print_count(session, count, options) : kExitOk;
  const std::string verb = options.action == "retry"     ? "Retry"
                           : options.action == "discard" ? "Discard"
                                                         : "Replay";
  if (!options.yes && !session.confirm(verb + " them?")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  const auto note = [&session](const std::string& message) { session.note(message); };
  const Json batch = session.api().post_patiently("/v1/batches", body_of(options, now, false), note);
  const std::string id = member_text(batch, "id");
  if (!BatchId::parse(id))
    throw Failure(kExitFailed, "the answer is no batch; is it outboxd that listens there?");
  session.note("batch " + id);
  return watch_batch(session, id);
}

}  // namespace outboxd::ctl
