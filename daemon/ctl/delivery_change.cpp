#include "ctl/delivery_change.h"

#include <algorithm>
#include <cstdio>

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxShownFailures = 10;
constexpr std::size_t kProgressEvery = 10;

struct Matching {
  std::vector<std::string> ids;
  bool cut = false;
};

Matching find_matching(Session& session, const Path& path) {
  Matching matching;
  ListOptions page{kMaxPage, std::nullopt};
  for (;;) {
    const Listed listed = fetch_list(session.api(), path, page);
    for (const Json& row : listed.rows) matching.ids.push_back(member_text(row, "id"));
    if (session.shows_progress()) std::fprintf(stderr, "\r%zu found", matching.ids.size());
    matching.cut = listed.next_cursor.is_string() && matching.ids.size() >= kMaxChanged;
    if (matching.cut || !listed.next_cursor.is_string()) break;
    page.cursor = listed.next_cursor.get<std::string>();
  }
  if (session.shows_progress()) std::fputs("\r\033[K", stderr);
  std::reverse(matching.ids.begin(), matching.ids.end());  // the oldest first
  return matching;
}

std::string done_word(const std::string& action) {
  return action == "retry" ? "retried" : "discarded";
}

// Changes each delivery, also after one was refused. Returns the exit status that all had, or 1 when they differ.
int change_each(Session& session, const std::string& action, const std::vector<std::string>& ids,
                bool show_rows) {
  std::vector<Json> changed;
  std::size_t done = 0, failed = 0;
  int exit_code = kExitOk;
  for (const std::string& id : ids) {
    int code = kExitOk;
    try {
      Json delivery =
          session.api().post_patiently("/v1/deliveries/" + id + "/" + action, "{}",
                                       [&session](const std::string& message) { session.note(message); });
      if (show_rows) changed.push_back(std::move(delivery));
      if (!show_rows && session.format() == Format::kId) changed.push_back({{"id", id}});
    } catch (const Failure& failure) {
      code = failure.exit_code;
      if (code == kExitUnreachable && done > 0)
        session.warn("stopped after " + std::to_string(done) + " of " + std::to_string(ids.size()));
      if (code == kExitUnreachable) throw;
      if (++failed <= kMaxShownFailures) session.warn(id + ": " + failure.what());
    }
    exit_code = combine_exit_codes(exit_code, code, done == 0);
    if (++done % kProgressEvery == 0 && session.shows_progress())
      std::fprintf(stderr, "\r%zu of %zu", done, ids.size());
  }
  if (session.shows_progress() && done >= kProgressEvery) std::fputs("\r\033[K", stderr);
  if (failed > kMaxShownFailures) session.warn(std::to_string(failed - kMaxShownFailures) + " more failed");
  const bool table = session.format() == Format::kTable || session.format() == Format::kWide;
  if (table) {
    if (done > failed || failed == 0)  // else the failures already say everything
      session.print(std::to_string(done - failed) + " " + done_word(action) + "\n");
  } else if (show_rows || session.format() == Format::kId) {
    session.print_rows({}, changed);
  } else {
    session.print(render_json({{done_word(action), done - failed}, {"failed", failed}},
                              session.format() == Format::kJson));
  }
  return exit_code;
}

// What a dry run shows.
int print_count(Session& session, const std::vector<std::string>& ids, bool cut, const std::string& what) {
  std::string text = std::to_string(ids.size()) + " " + what + "\n";
  if (session.prints_json())
    text = render_json({{"count", ids.size()}, {"cut", cut}}, session.format() == Format::kJson);
  if (session.format() == Format::kId) {
    text.clear();
    for (const std::string& id : ids) text += id + "\n";
  }
  session.print(text);
  return kExitOk;
}

int change_matching(Session& session, const ChangeOptions& options) {
  if (!options.yes && !options.dry_run && !Session::can_ask()) {
    throw Failure(kExitUsage, "--yes is needed where there is no terminal to ask on (--dry-run only counts)");
  }
  Filters filters = options.filters;
  if (!filters.state) filters.state = "dead";
  const Matching matching =
      find_matching(session, filters.applied_to(Path("/v1/deliveries"), session.style().now));
  if (matching.ids.empty()) require_named(session.api(), filters);
  const std::string count = std::to_string(matching.ids.size());
  if (matching.cut) session.warn("more match than one command changes: run it again afterwards");
  if (options.dry_run)
    return print_count(session, matching.ids, matching.cut, "deliveries (" + *filters.state + ") match");
  session.note(count + " deliveries (" + *filters.state + ") match");
  if (matching.ids.empty()) return kExitOk;
  if (!options.yes &&
      !session.confirm((options.action == "retry" ? "Retry " : "Discard ") + count + " deliveries?")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  return change_each(session, options.action, matching.ids, false);
}

}  // namespace

int change_deliveries(Session& session, const ChangeOptions& options) {
  if (!options.ids.empty() && options.filters.any())
    throw Failure(kExitUsage, "give ids or filters, not both");
  if (options.ids.empty() && !options.filters.any())
    throw Failure(kExitUsage, "give ids, or filters like --endpoint or --since");
  if (options.ids.empty()) return change_matching(session, options);
  if (options.dry_run) return print_count(session, options.ids, false, "deliveries named");
  return change_each(session, options.action, options.ids, true);
}

int retry_ids(Session& session, const std::vector<std::string>& ids) {
  std::vector<std::string> deliveries;
  for (const std::string& id : ids) {
    if (id.starts_with("dlv_")) {
      deliveries.push_back(id);
      continue;
    }
    // So that an unknown event is reported as not found, rather than as one without deliveries.
    (void)session.api().get("/v1/events/" + id);
    Path dead("/v1/deliveries");
    dead.with("event", id).with("state", "dead");
    const Listed listed = fetch_list(session.api(), dead, {kMaxListed, std::nullopt});
    for (const Json& delivery : listed.rows) deliveries.push_back(member_text(delivery, "id"));
    if (listed.rows.empty()) session.note(id + " has no dead deliveries");
  }
  return deliveries.empty() ? kExitOk : change_each(session, "retry", deliveries, true);
}

}  // namespace outboxd::ctl
