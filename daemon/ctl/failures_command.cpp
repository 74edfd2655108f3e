// `failures`: what failed, how much of it is dead, and the command that tries the worst of it again.
#include <array>
#include <memory>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::string since = "24h";
  std::string by = "error";
  std::optional<std::string> endpoint, tenant;
  int limit = 50;
};

const Json* only_endpoint(const Json& group) {
  const auto endpoints = group.find("endpoints");
  const auto count = group.find("endpoint_count");
  const bool one = endpoints != group.end() && endpoints->is_array() && endpoints->size() == 1 &&
                   count != group.end() && *count == 1;
  return one ? &endpoints->front() : nullptr;
}

std::string title_of(const Json& group, const std::string& by) {
  const Json* endpoint = by == "endpoint" ? only_endpoint(group) : nullptr;
  return endpoint ? name_of_endpoint(*endpoint) : member_text(group, "group");
}

std::string endpoints_text(const Json& group) {
  if (const Json* endpoint = only_endpoint(group)) return name_of_endpoint(*endpoint);
  return member_text(group, "endpoint_count") + " endpoints";
}

// As one word of a shell's command line.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@%+=/-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos && word.front() != '-')
    return word;
  std::string text = "'";
  for (const char c : escape_control(word)) {
    if (c == '\'') {
      text += "'\\''";
    } else {
      text += c;
    }
  }
  return text + "'";
}

// The command that retries what is dead of a group; "" when there is none.
std::string retry_command(const Json& group) {
  const auto filter = group.find("filter");
  if (filter == group.end() || !filter->is_object()) return "";
  const Json* endpoint = only_endpoint(group);
  std::string command = "outboxctl delivery retry";
  for (const char* member : {"endpoint", "state", "error", "reason", "status", "type"}) {
    if (!filter->contains(member)) continue;
    const bool by_name = endpoint && std::string_view(member) == "endpoint";
    command += std::string(" --") + member + ' ' +
               quoted(by_name ? name_of_endpoint(*endpoint) : member_text(*filter, member));
  }
  return command;
}

void suggest(const Session& session, const Json& worst) {
  if (worst.value("dead", Json(0)) == 0) {
    session.note("none of these deliveries is dead: they are tried again by themselves");
  } else if (const std::string command = retry_command(worst); !command.empty()) {
    session.note("to retry the worst: " + command);
  }
}

std::vector<Column> columns_for(const std::string& by) {
  std::string title = by;
  for (char& c : title) c = static_cast<char>(c - 'a' + 'A');
  std::vector<Column> columns{
      {title, [by](const Json& row, const Style&) { return Cell{title_of(row, by)}; }},
      number_column("FAILED", "attempts"),
      number_column("DEAD", "dead")};
  if (by != "endpoint")
    columns.push_back({"AT", [](const Json& row, const Style&) { return Cell{endpoints_text(row)}; }});
  if (by != "error") columns.push_back(column("ERROR", "error", true));
  if (by != "type") columns.push_back(column("TYPE", "type", true));
  columns.push_back(time_column("SINCE", "first_at"));
  columns.push_back(time_column("LAST", "last_at"));
  columns.push_back(column("LAST ERROR", "last_error"));
  return columns;
}

int run_failures(Session& session, const Options& options) {
  Path path("/v1/failures");
  path.with("by", options.by).with("since", to_rfc3339(options.since, session.style().now));
  if (options.endpoint) path.with("endpoint", *options.endpoint);
  if (options.tenant) path.with("tenant", *options.tenant);
  path.with("limit", std::to_string(options.limit));
  const Json answer = session.api().get(path.text());
  if (!answer.is_object() || !answer.contains("data") || !answer["data"].is_array())
    throw Failure(kExitFailed, "the answer is no list; is it outboxd that listens there?");
  if (session.format() == Format::kJson) {
    session.print(render_json(answer, true));
    return kExitOk;
  }
  std::vector<Json> groups;
  for (const Json& group : answer["data"]) {
    if (group.is_object()) groups.push_back(group);
  }
  const bool table = session.prints_table();
  if (table && groups.empty()) {
    session.note("nothing has failed since " + options.since + (parse_duration(options.since) ? " ago" : ""));
    return kExitOk;
  }
  session.print_rows(columns_for(options.by), groups, nullptr, "group");
  if (!table) return kExitOk;
  if (answer.value("groups", Json(0)) > groups.size()) session.note("there are more: raise --limit");
  suggest(session, groups.front());
  return kExitOk;
}

}  // namespace

void add_failures(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "failures", "What failed, how much of it is dead, and how to retry the worst of it",
                  "outboxctl failures --since 1h --by endpoint");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_option("--since", o->since, "What failed since: a time, or an age like 1h; at most 30d ago")
      ->check(is_time_or_age())
      ->capture_default_str();
  command->add_option("--by", o->by, "Group by error, endpoint, type, status or reason")
      ->check(CLI::IsMember({"error", "endpoint", "type", "status", "reason"}))
      ->capture_default_str();
  command->add_option("--endpoint", o->endpoint, "Only at this endpoint, by name or id")
      ->check(names_endpoint());
  command->add_option("--tenant", o->tenant, "Only at this tenant's endpoints")
      ->check(has_length(0, kMaxTenantLength));
  command->add_option("--limit", o->limit, "How many groups at most")
      ->check(CLI::Range(1, kMaxPage))
      ->capture_default_str();
  command->callback([&session, o] { session.action = [&session, o] { return run_failures(session, *o); }; });
}

}  // namespace outboxd::ctl
