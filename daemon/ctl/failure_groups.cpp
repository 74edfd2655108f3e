#include "ctl/failure_groups.h"

#include <algorithm>
#include <map>

#include "ctl/output.h"

namespace outboxd::ctl {
namespace {

constexpr const char* kHeld = "held";

std::string group_of(const Json& delivery, GroupBy by) {
  if (by == GroupBy::kEndpoint) return member_text(delivery, "endpoint");
  if (by == GroupBy::kType) return member_text(delivery, "type");
  const std::string error = member_text(delivery, "error");
  return error == "-" ? member_text(delivery, "reason") : error;
}

struct Group {
  std::int64_t dead = 0, retrying = 0, held = 0;
  std::string oldest, newest, example, title;
};

}  // namespace

std::vector<Json> group_failures(std::span<const Json> deliveries, GroupBy by) {
  std::map<std::string, Group> groups;
  for (const Json& delivery : deliveries) {
    Group& group = groups[group_of(delivery, by)];
    ++(member_text(delivery, "state") == "dead" ? group.dead
       : delivery.contains(kHeld)               ? group.held
                                                : group.retrying);
    const std::string created = member_text(delivery, "created_at");  // RFC 3339 UTC sorts as text
    if (group.oldest.empty() || created < group.oldest) group.oldest = created;
    if (created > group.newest) {
      group.newest = created;
      group.example = member_text(delivery, "id");
      group.title = by == GroupBy::kEndpoint ? endpoint_text(delivery) : group_of(delivery, by);
    }
  }
  std::vector<Json> rows;
  for (const auto& [key, g] : groups) {
    rows.push_back({{"group", g.title},
                    {"dead", g.dead},
                    {"retrying", g.retrying},
                    {"held", g.held},
                    {"oldest", g.oldest},
                    {"newest", g.newest},
                    {"example", g.example}});
  }
  const auto size = [](const Json& row) {
    return row["dead"].get<std::int64_t>() + row["retrying"].get<std::int64_t>() +
           row["held"].get<std::int64_t>();
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const Json& a, const Json& b) { return size(a) > size(b); });
  return rows;
}

std::vector<Json> held_deliveries(std::span<const Json> pending, const std::string& error) {
  std::vector<Json> held;
  for (const Json& delivery : pending) {
    if (member_text(delivery, "error") != "-") continue;
    held.push_back(delivery);
    held.back()["error"] = error;
    held.back()[kHeld] = true;
  }
  return held;
}

}  // namespace outboxd::ctl
