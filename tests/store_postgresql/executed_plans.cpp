#include "store_postgresql/executed_plans.h"

#include <algorithm>
#include <sstream>

namespace outboxd::test {
namespace {

template <class Visit>
void for_each_executed(const Json& node, const Visit& visit) {
  if (node.value("Actual Loops", std::int64_t{0}) == 0) return;
  visit(node);
  const auto plans = node.find("Plans");
  if (plans == node.end()) return;
  for (const Json& child : *plans) for_each_executed(child, visit);
}

// event_20261130 and event_kept belong to event, idempotency_3 to idempotency.
std::string table_of(const std::string& relation) {
  const std::size_t end = relation.rfind('_');
  if (end == relation.npos) return relation;
  const std::string suffix = relation.substr(end + 1);
  const bool is_number =
      std::all_of(suffix.begin(), suffix.end(), [](char c) { return c >= '0' && c <= '9'; });
  return is_number || suffix == "kept" ? relation.substr(0, end) : relation;
}

}  // namespace

std::string tell_plans(const std::string& database) {
  std::string script;
  for (const char* setting :
       {"session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on", "auto_explain.log_buffers = on", "auto_explain.log_format = json",
        "auto_explain.log_timing = off"})
    script += "ALTER DATABASE " + database + " SET " + setting + ";\n";
  return script;
}

std::int64_t ExecutedPlan::buffers() const {
  return plan.value("Shared Hit Blocks", std::int64_t{0}) + plan.value("Shared Read Blocks", std::int64_t{0});
}

std::int64_t ExecutedPlan::most_filtered() const {
  std::int64_t most = 0;
  for_each_executed(plan, [&](const Json& node) {
    const double rows = node.value("Rows Removed by Filter", 0.0) * node.value("Actual Loops", 0.0);
    most = std::max(most, static_cast<std::int64_t>(rows));
  });
  return most;
}

std::set<std::string> ExecutedPlan::scanned_whole() const {
  std::set<std::string> tables;
  for_each_executed(plan, [&](const Json& node) {
    if (node.value("Node Type", "") == "Seq Scan") tables.insert(table_of(node.value("Relation Name", "")));
  });
  return tables;
}

std::map<std::string, std::set<std::string>> ExecutedPlan::read() const {
  std::map<std::string, std::set<std::string>> tables;
  for_each_executed(plan, [&](const Json& node) {
    const std::string relation = node.value("Relation Name", "");
    if (!relation.empty() && node.value("Node Type", "") != "ModifyTable")
      tables[table_of(relation)].insert(relation);
  });
  return tables;
}

// "<date> <time> <zone> <pid> outboxd reader LOG:  duration: 0.1 ms  plan:", then the JSON, each line behind a tab.
std::vector<ExecutedPlan> read_plans(const std::string& log) {
  std::vector<ExecutedPlan> plans;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t level = line.find(" LOG:  duration: ");
    if (level == line.npos || line.find(" outboxd ") >= level || !line.ends_with(" plan:")) continue;
    std::string json;
    while (lines.peek() == '\t' && std::getline(lines, line)) json += line.substr(1) + "\n";
    const Json told = Json::parse(json, nullptr, false);
    if (told.is_discarded()) continue;
    plans.push_back({told.value("Query Text", ""), told.value("Plan", Json::object())});
  }
  return plans;
}

}  // namespace outboxd::test
