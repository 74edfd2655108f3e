#include "ctl/event_types.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/listing.h"
#include "ctl/shell.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::optional<std::string> tenant;
  ListOptions list;
};

bool reaches_nobody(const Json& row) {
  return row.is_object() && row.value("endpoints", Json()) == 0;
}

Cell endpoints_cell(const Json& row, const Style&) {
  return {member_text(row, "endpoints"), reaches_nobody(row) ? Tint::kWarn : Tint::kPlain};
}

std::vector<Column> type_columns() {
  Column endpoints{"ENDPOINTS", endpoints_cell};
  endpoints.right = true;
  return {column("TYPE", "type"), column("TENANT", "tenant"), number_column("EVENTS", "events"),
          time_column("LAST", "last_at"), endpoints};
}

int list_types(Session& session, const Options& options) {
  Path path("/v1/types");
  if (options.tenant) path.with("tenant", *options.tenant);
  const Listed listed = fetch_list(session.api(), path, options.list);
  if (!session.prints_table() || !listed.rows.empty())
    session.print_rows(type_columns(), listed.rows, listed.next_cursor, "type");
  if (session.prints_table() && listed.rows.empty()) session.note("none found");
  if (listed.next_cursor.is_string())
    session.note("there is more: raise --limit, or --cursor " +
                 escape_control(listed.next_cursor.get<std::string>()));
  const auto lost = std::ranges::count_if(listed.rows, reaches_nobody);
  if (lost == 0) return kExitOk;
  const auto first = std::ranges::find_if(listed.rows, reaches_nobody);
  session.note(std::to_string(lost) + (lost == 1 ? " type reaches" : " types reach") +
               " no endpoint: is it misspelt, or does an endpoint lack it? outboxctl event list --unmatched, "
               "outboxctl endpoint set NAME --types …, then outboxctl event replay --since 1h --type " +
               escape_control(member_text(*first, "type")));
  return kExitOk;
}

}  // namespace

std::string nobody_wants(std::string_view type) {
  const std::string quoted = shell_quoted(std::string(type));
  return "no endpoint wants " + std::string(type) +
         ", so it is delivered to nobody: outboxctl event types, or "
         "outboxctl endpoint add URL --types " +
         quoted;
}

void add_event_types(CLI::App& group, Session& session) {
  CLI::App* command =
      add_command(group, "types",
                  "Event types that were seen: how many events, when the last, how many endpoints want them",
                  "outboxctl event types --tenant acme");
  auto o = std::make_shared<Options>();
  command->add_option("--tenant", o->tenant, "Only of this tenant")->check(has_length(0, kMaxTenantLength));
  add_list_options(command, o->list);
  command->callback([&session, o] { session.action = [&session, o] { return list_types(session, *o); }; });
}

}  // namespace outboxd::ctl
