// The changes of endpoints between two versions of the directory, as facts: each version is one change, but a row has only that
// of its last one. For the others there is nothing to tell except that they are past.
#pragma once

#include <memory>
#include <utility>

#include "store/facts.h"
#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

inline constexpr int kMaxChangesTold = 1000;

// `changed`: kChangedEndpoints; `find` gives the endpoint with an id, if it is there. Returns the version that is reached, which
// is `now` unless there were too many.
template <class Find>
DirectoryVersion tell_changed_endpoints(Statement& changed, DirectoryVersion known, DirectoryVersion now,
                                        Find find, Facts& facts) {
  if (now <= known) return known;
  std::vector<std::pair<EndpointId, EndpointChanged>> found;
  {
    Cursor row(changed, static_cast<std::int64_t>(known), static_cast<std::int64_t>(now), kMaxChangesTold);
    found.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) {
      const auto version = static_cast<DirectoryVersion>(row.integer(0));
      found.emplace_back(row.boolean(3) ? EndpointId{} : EndpointId{row.uuid(2)},
                         EndpointChanged{.endpoint = row.integer(1), .now = nullptr, .version = version});
    }
  }
  const auto pass_to = [&](DirectoryVersion version) {
    while (++known < version)
      facts.emplace_back(EndpointChanged{.endpoint = 0, .now = nullptr, .version = known});
  };
  for (auto& [id, change] : found) {
    pass_to(change.version);
    if (id != EndpointId{}) {
      if (auto endpoint = find(id)) change.now = std::make_shared<const Endpoint>(std::move(*endpoint));
    }
    facts.emplace_back(std::move(change));
  }
  if (found.size() == static_cast<std::size_t>(kMaxChangesTold)) return known;
  pass_to(now + 1);
  return now;
}

}  // namespace outboxd::postgresql
