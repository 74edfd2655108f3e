// Rows of the SQL outbox that could not become events.
#include <memory>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/listing.h"
#include "ctl/output.h"

namespace outboxd::ctl {
namespace {

// A row that is read again is judged within milliseconds; how long to watch for a second refusal.
constexpr int kLooks = 10;
constexpr Millis kBetweenLooks{100};

std::string path_of_row(std::int64_t row) {
  return "/v1/outbox/" + std::to_string(row);
}

void add_list(CLI::App& group, Session& session) {
  struct Options {
    ListOptions list;
    bool rejected = false;
  };
  CLI::App* command = add_command(group, "list", "Rows that were set aside, newest first, and why",
                                  "outboxctl outbox list --rejected");
  auto o = std::make_shared<Options>();
  add_list_options(command, o->list);
  command
      ->add_flag("--rejected", o->rejected,
                 "The only ones there are to see: all others become events at once")
      ->required();
  command->callback([&session, o] {
    session.action = [&session, o] { return print_rejected_rows(session, Path("/v1/events"), o->list); };
  });
}

int show(Session& session, std::int64_t number) {
  const Json row = session.api().get(path_of_row(number));
  session.print_object(row, fields_of(row, {}), "row");
  session.note("mend what the reason names, then: outboxctl outbox retry " + std::to_string(number) +
               ", or give it up: outboxctl outbox drop " + std::to_string(number));
  return kExitOk;
}

// The row as it was rejected once more; null: it has not been, so far.
Json rejected_again(ApiClient& api, std::int64_t number) {
  for (int look = 0; look < kLooks; ++look) {
    const HttpResponse response = api.send("GET", path_of_row(number), {}, {});
    if (response.status == 200) return json_of(response);
    (void)wait_for_interrupt(kBetweenLooks);
  }
  return nullptr;
}

int retry(Session& session, const std::vector<std::int64_t>& rows) {
  int status = kExitOk;
  std::vector<Json> judged;
  for (const std::int64_t number : rows) {
    session.api().post(path_of_row(number) + "/retry", "{}");
    const Json again = rejected_again(session.api(), number);
    judged.push_back({{"row", number}, {"rejected", !again.is_null()}});
    if (again.is_null()) {
      session.note("row " + std::to_string(number) + " was not rejected again: it is, or becomes, an event");
      continue;
    }
    judged.back()["reason"] = again.value("reason", Json());
    session.warn("row " + std::to_string(number) +
                 " was rejected again: " + escape_control(member_text(again, "reason")));
    status = kExitRefused;
  }
  if (!session.prints_table()) session.print_rows({}, judged, nullptr, "row");
  return status;
}

// A row is all there is of its event, so dropping it is asked for.
int drop(Session& session, const std::vector<std::int64_t>& rows, bool yes) {
  const std::string what =
      rows.size() == 1 ? "row " + std::to_string(rows.front()) : std::to_string(rows.size()) + " rows";
  if (!yes && !session.confirm("Delete " + what + " of the outbox? What the producer wrote is lost.")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  std::vector<Json> dropped;
  for (const std::int64_t number : rows) {
    session.api().remove(path_of_row(number));
    dropped.push_back({{"row", number}, {"dropped", true}});
    session.note("dropped row " + std::to_string(number));
  }
  if (!session.prints_table()) session.print_rows({}, dropped, nullptr, "row");
  return kExitOk;
}

struct Rows {
  std::vector<std::int64_t> numbers;
  bool yes = false;
};

CLI::App* add_for_rows(CLI::App& group, const std::string& name, const std::string& help, Rows& rows) {
  CLI::App* command = add_command(group, name, help, "outboxctl outbox " + name + " 17");
  command->add_option("row", rows.numbers, "Numbers of rejected rows")
      ->required()
      ->check(CLI::PositiveNumber);
  return command;
}

}  // namespace

void add_outbox(CLI::App& app, Session& session) {
  CLI::App* group =
      add_group(app, "outbox", "list, show, retry, drop: rows of the SQL outbox that were rejected");
  group->group(kLook);
  add_list(*group, session);
  CLI::App* show_command = add_command(
      *group, "show", "One row with all its columns, and why it was rejected", "outboxctl outbox show 17");
  auto shown = std::make_shared<std::int64_t>(0);
  show_command->add_option("row", *shown, "Its number")->required()->check(CLI::PositiveNumber);
  show_command->callback(
      [&session, shown] { session.action = [&session, shown] { return show(session, *shown); }; });
  auto o = std::make_shared<Rows>();
  CLI::App* retry_command =
      add_for_rows(*group, "retry", "Have rows judged once more, when their reason no longer holds", *o);
  retry_command->callback(
      [&session, o] { session.action = [&session, o] { return retry(session, o->numbers); }; });
  CLI::App* drop_command = add_for_rows(*group, "drop", "Delete rows that shall never become events", *o);
  drop_command->add_flag("--yes", o->yes, "Do not ask");
  drop_command->callback(
      [&session, o] { session.action = [&session, o] { return drop(session, o->numbers, o->yes); }; });
}

}  // namespace outboxd::ctl
