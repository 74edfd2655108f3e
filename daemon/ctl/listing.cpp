#include "ctl/listing.h"
#include "common/text.h"

#include <algorithm>

#include "common/attempt.h"
#include "ctl/validators.h"
#include "ctl/whole_id.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxCursorLength = 512;

}  // namespace

void add_list_options(CLI::App* command, ListOptions& options) {
  command->add_option("--limit", options.limit, "How many rows at most")
      ->check(CLI::Range(1, kMaxListed))
      ->capture_default_str();
  command->add_option("--cursor", options.cursor, "Go on after an earlier list")
      ->check(has_length(1, kMaxCursorLength));
}

Listed fetch_list(ApiClient& api, const Path& path, const ListOptions& options) {
  Listed listed;
  listed.next_cursor = options.cursor ? Json(*options.cursor) : Json();
  do {
    Path page = path;
    page.with("limit",
              std::to_string(std::min(kMaxPage, options.limit - static_cast<int>(listed.rows.size()))));
    if (listed.next_cursor.is_string()) page.with("cursor", listed.next_cursor.get<std::string>());
    Json answer = api.get(page.text());
    if (!answer.is_object() || !answer.contains("data") || !answer["data"].is_array()) {
      throw Failure(kExitFailed, "the answer is no list; is it outboxd that listens there?");
    }
    for (Json& row : answer["data"]) listed.rows.push_back(std::move(row));
    Json next = answer.value("next_cursor", Json());
    // A cursor that does not move on would make this endless.
    if (next == listed.next_cursor) next = nullptr;
    listed.next_cursor = std::move(next);
  } while (listed.next_cursor.is_string() && listed.rows.size() < static_cast<std::size_t>(options.limit));
  return listed;
}

int print_list(Session& session, const Path& path, const ListOptions& options,
               const std::vector<Column>& columns, const std::function<void()>& when_empty) {
  const Listed listed = fetch_list(session.api(), path, options);
  if (listed.rows.empty() && when_empty) when_empty();
  const bool table = session.prints_table();
  if (!table || !listed.rows.empty()) session.print_rows(columns, listed.rows, listed.next_cursor);
  if (table && listed.rows.empty()) session.note("none found");
  if (listed.next_cursor.is_string()) {
    session.note("there is more: raise --limit, or --cursor " +
                 escape_control(listed.next_cursor.get<std::string>()));
  }
  return kExitOk;
}

std::string count_pending(ApiClient& api, const std::string& endpoint) {
  Path path("/v1/deliveries");
  path.with("endpoint", endpoint).with("state", "pending");
  const Listed pending = fetch_list(api, path, {kMaxPage, std::nullopt});
  return (pending.next_cursor.is_null() ? "" : "more than ") + std::to_string(pending.rows.size());
}

int print_rejected_rows(Session& session, Path path, const ListOptions& options) {
  path.with("rejected", "true");
  return print_list(session, path, options,
                    {number_column("ROW", "row"), time_column("REJECTED", "rejected_at"),
                     column("TYPE", "type"), column("TENANT", "tenant"), column("REASON", "reason")});
}

std::vector<std::pair<const char*, std::string>> Filters::as_list(Time now) const {
  std::vector<std::pair<const char*, std::string>> given;
  const auto add = [&given](const char* name, const std::optional<std::string>& value) {
    if (value) given.emplace_back(name, *value);
  };
  add("state", state);
  add("endpoint", endpoint);
  add("tenant", tenant);
  add("type", type);
  add("event", event);
  add("error", error);
  add("reason", reason);
  add("status", status);
  if (since) given.emplace_back("since", to_rfc3339(*since, now));
  if (until) given.emplace_back("until", to_rfc3339(*until, now));
  return given;
}

Path Filters::applied_to(Path path, Time now) const {
  for (const auto& [name, value] : as_list(now)) path.with(name, value);
  return path;
}

Json Filters::as_json(Time now) const {
  Json json = Json::object();
  for (const auto& [name, value] : as_list(now)) json[name] = value;
  return json;
}

void Filters::find_whole(Session& session) {
  if (event) event = whole_id(session, *event);
}

void require_named(ApiClient& api, const Filters& filters) {
  if (filters.endpoint) (void)api.get(path_of_endpoint(*filters.endpoint));
  if (filters.event) (void)api.get("/v1/events/" + *filters.event);
}

void add_common_filters(CLI::App* command, Filters& filters) {
  command->add_option("--tenant", filters.tenant, "Only this tenant's")
      ->check(has_length(0, kMaxTenantLength));
  command->add_option("--type", filters.type, "Only events of this type")->check(is_event_type_());
  command->add_option("--since", filters.since, "Only events accepted since: a time, or an age like 1h")
      ->check(is_time_or_age());
  command->add_option("--until", filters.until, "Only events accepted before")->check(is_time_or_age());
}

void add_delivery_filters(CLI::App* command, Filters& filters) {
  add_common_filters(command, filters);
  command->add_option("--state", filters.state, "Only those in this state")
      ->check(CLI::IsMember({"pending", "delivered", "dead", "discarded"}));
  command->add_option("--endpoint", filters.endpoint, "Only to this endpoint, by name or id")
      ->check(names_endpoint());
  command->add_option("--event", filters.event, "Only of this event")->check(is_event_id());
  command->add_option("--reason", filters.reason, "Only what is dead for this reason (exhausted, gone, …)")
      ->check(CLI::IsMember({"exhausted", "expired", "gone", "blocked", "too_large", "skipped", "damaged"}));
  command->add_option("--status", filters.status, "Only where the last attempt was answered with this status")
      ->check(CLI::Range(100, 999));
  command
      ->add_option("--error", filters.error,
                   "Only where the last attempt failed so (timeout, http_5xx, …), or any")
      ->check([](const std::string& value) -> std::string {
        if (value == "any" || (parse_outcome(value) && value != "success")) return {};
        return "must be any, http_4xx, http_5xx, redirect, timeout, connect, dns, tls, blocked or protocol";
      });
}

}  // namespace outboxd::ctl
