#include "ctl/delivery_change.h"

#include <cstdio>

#include "ctl/whole_id.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxShownFailures = 10;
constexpr std::size_t kProgressEvery = 10;

std::string done_word(const std::string& action) {
  return action == "retry" ? "retried" : "discarded";
}

// Changes each delivery, also after one was refused. Returns the exit status that all had, or 1 when they differ.
int change_each(Session& session, const std::string& action, const std::vector<std::string>& ids) {
  std::vector<Json> changed;
  std::size_t done = 0, failed = 0;
  int exit_code = kExitOk;
  for (const std::string& id : ids) {
    int code = kExitOk;
    try {
      changed.push_back(
          session.api().post_patiently("/v1/deliveries/" + whole_id(session, id) + "/" + action, "{}",
                                       [&session](const std::string& message) { session.note(message); }));
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
  const bool table = session.prints_table();
  if (table) {
    if (done > failed || failed == 0)  // else the failures already say everything
      session.print(std::to_string(done - failed) + " " + done_word(action) + "\n");
  } else {
    session.print_rows({}, changed);
  }
  return exit_code;
}

// What a dry run shows.
int print_count(Session& session, const std::vector<std::string>& ids) {
  std::string text = std::to_string(ids.size()) + " deliveries named\n";
  if (session.prints_json())
    text = render_json({{"matched", ids.size()}, {"exact", true}}, session.format() == Format::kJson);
  if (session.format() == Format::kId) {
    text.clear();
    for (const std::string& id : ids) text += id + "\n";
  }
  session.print(text);
  return kExitOk;
}

}  // namespace

int change_deliveries(Session& session, const ChangeOptions& options) {
  const BatchOptions& batch = options.batch;
  if (!options.ids.empty() && batch.filters.any()) throw Failure(kExitUsage, "give ids or filters, not both");
  if (!options.ids.empty() && (batch.rate || batch.note))
    throw Failure(kExitUsage,
                  "--rate and --note are for what filters find; ids are done one after the other");
  if (options.ids.empty() && !batch.filters.any())
    throw Failure(kExitUsage, "give ids, or filters like --endpoint or --since");
  if (!options.ids.empty()) {
    if (batch.dry_run) return print_count(session, options.ids);
    return change_each(session, batch.action, options.ids);
  }
  BatchOptions wanted = batch;
  wanted.filters.find_whole(session);
  if (!wanted.filters.state) wanted.filters.state = "dead";
  return run_batch(session, wanted);
}

int retry_ids(Session& session, const std::vector<std::string>& ids) {
  std::vector<std::string> deliveries;
  for (const std::string& id : ids) {
    if (id.starts_with("dlv_")) {
      deliveries.push_back(id);
      continue;
    }
    const std::string event = whole_id(session, id);
    // So that an unknown event is reported as not found, rather than as one without deliveries.
    (void)session.api().get("/v1/events/" + event);
    Path dead("/v1/deliveries");
    dead.with("event", event).with("state", "dead");
    const Listed listed = fetch_list(session.api(), dead, {kMaxListed, std::nullopt});
    for (const Json& delivery : listed.rows) deliveries.push_back(member_text(delivery, "id"));
    if (listed.rows.empty()) session.note(id + " has no dead deliveries");
  }
  if (deliveries.empty() && session.prints_table()) return kExitOk;
  return change_each(session, "retry", deliveries);
}

}  // namespace outboxd::ctl
