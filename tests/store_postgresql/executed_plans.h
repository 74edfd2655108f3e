// The plans of all statements that the daemon's sessions have run, as the server itself tells them (auto_explain): no list
// could forget one. What a plan has not executed (a partition that was pruned) does not count.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::test {

// SQL that makes new sessions of this database tell their plans in the server's log.
std::string tell_plans(const std::string& database);

struct ExecutedPlan {
  std::string query;
  Json plan;

  std::int64_t buffers() const;                               // read or found in memory, all in all
  std::int64_t most_filtered() const;                         // rows that one node has read and thrown away
  std::set<std::string> scanned_whole() const;                // tables that were read from the first page on
  std::map<std::string, std::set<std::string>> read() const;  // partitions, by the table that they belong to
};
std::vector<ExecutedPlan> read_plans(const std::string& log);

}  // namespace outboxd::test
