// Lists of the API, page after page, up to a bound.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ctl/session.h"

namespace outboxd::ctl {

inline constexpr int kMaxPage = 250;
inline constexpr int kMaxListed = 10'000;

struct ListOptions {
  int limit = 50;
  std::optional<std::string> cursor;
};
void add_list_options(CLI::App* command, ListOptions& options);

struct Listed {  // NOLINT(bugprone-exception-escape): moving nlohmann's JSON throws nothing
  std::vector<Json> rows;
  Json next_cursor;  // null: that was all
};
Listed fetch_list(ApiClient& api, const Path& path, const ListOptions& options);

// Fetches and prints the list, and says on stderr if there is more. `when_empty` may throw instead.
int print_list(Session& session, const Path& path, const ListOptions& options,
               const std::vector<Column>& columns, const std::function<void()>& when_empty = nullptr);

// How many deliveries wait for an endpoint, as a person is told: counted up to a page ("more than 250").
std::string count_pending(ApiClient& api, const std::string& endpoint);

// Rows of the SQL outbox that could not become events; `path` is the path of the list of events.
int print_rejected_rows(Session& session, Path path, const ListOptions& options);

// The filters that lists of events and of deliveries share, and those of deliveries alone.
struct Filters {
  std::optional<std::string> state, endpoint, tenant, type, event, error, reason, status, since, until;
  bool any() const {
    return state || endpoint || tenant || type || event || error || reason || status || since || until;
  }
  void find_whole(Session& session);  // an id that was cut (whole_id.h)
  Path applied_to(Path path, Time now) const;
  Json as_json(Time now) const;  // {"state": "dead", ...}

 private:
  std::vector<std::pair<const char*, std::string>> as_list(Time now) const;  // those that are given
};
// For when nothing was found: throws Failure (not found) if the filters name an endpoint or event that does not exist.
// Not called earlier, because a removed endpoint's deliveries are still listed by its id.
void require_named(ApiClient& api, const Filters& filters);
void add_common_filters(CLI::App* command, Filters& filters);  // tenant, type, since, until
void add_delivery_filters(CLI::App* command,
                          Filters& filters);  // and also state, endpoint, event, error, reason, status

}  // namespace outboxd::ctl
