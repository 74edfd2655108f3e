#include "bench/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace outboxd::bench {
namespace {

struct Column {
  const char* figure;
  const char* title;
  int width;
  int decimals;
};
constexpr std::array kColumns = {
    Column{"events_per_second", "events/s", 9, 0}, Column{"cpu_us_per_event", "CPU us/evt", 11, 1},
    Column{"ack_p50_ms", "ack p50", 9, 2},         Column{"ack_p99_ms", "ack p99", 9, 2},
    Column{"delivered_p50_ms", "dlv p50", 9, 2},   Column{"delivered_p99_ms", "dlv p99", 9, 2},
    Column{"resident_peak_mib", "RSS MiB", 9, 1},
};
constexpr int kNameWidth = 48;
constexpr int kGoalWidth = 42;

std::string left(std::string text, int width) {
  text.resize(std::max(text.size(), static_cast<std::size_t>(width)), ' ');
  return text;
}

std::string right(const std::string& text, int width) {
  const auto missing = std::max<std::ptrdiff_t>(0, width - static_cast<std::ptrdiff_t>(text.size()));
  return std::string(static_cast<std::size_t>(missing), ' ') + text;
}

// As many digits as say something.
std::string number(double value) {
  const double size = std::fabs(value);
  if (value == std::floor(value) || size >= 1000) return fixed(value, 0);
  return fixed(value, size >= 10 ? 1 : 3);
}

std::string scenario_line(const Result& result) {
  std::string line = left(result.scenario, kNameWidth);
  for (const Column& column : kColumns) {
    const auto figure = result.figures.find(column.figure);
    const bool known = figure != result.figures.end();
    line += " " + right(known ? fixed(figure->get<double>(), column.decimals) : "-", column.width);
  }
  return line + "\n";
}

// What has no column, under the scenario's line.
std::string other_figures(const Result& result) {
  constexpr std::size_t kLineLength = 118;
  std::string text, line;
  const auto flush = [&] {
    if (!line.empty()) text += "    " + line + "\n";
    line.clear();
  };
  for (const auto& [name, value] : result.figures.items()) {
    const auto is_this = [&name = name](const Column& column) { return name == column.figure; };
    if (std::ranges::any_of(kColumns, is_this)) continue;
    const std::string item = name + " " + (value.is_number() ? number(value.get<double>()) : value.dump());
    if (line.size() + item.size() + 2 > kLineLength) flush();
    line += (line.empty() ? "" : ", ") + item;
  }
  flush();
  for (const auto& note : result.notes) text += "    note: " + note + "\n";
  for (const auto& failure : result.failures) text += "    FAILED: " + failure + "\n";
  return text;
}

std::string goal_line(const Result& result, const Goal& goal) {
  const std::string bound = (goal.kind == Goal::kAtMost ? "<= " : ">= ") + number(goal.bound);
  return left(result.scenario, kNameWidth) + " " + left(goal.what, kGoalWidth) + " " +
         right(number(goal.measured), 10) + " " + right(bound, 10) + " " + left(goal.unit, 8) + " " +
         (goal.met() ? "met" : "MISSED") + "\n";
}

}  // namespace

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) text.insert(at -= 3, ",");
  return text;
}

void add_latencies(Json& figures, const std::string& name, const Latencies& latencies) {
  figures[name + "_p50_ms"] = latencies.ms(0.5);
  figures[name + "_p99_ms"] = latencies.ms(0.99);
  figures[name + "_p999_ms"] = latencies.ms(0.999);
  figures[name + "_max_ms"] = latencies.max_ms();
}

std::string table(const std::vector<Result>& results) {
  std::string text = left("scenario", kNameWidth);
  for (const Column& column : kColumns) text += " " + right(column.title, column.width);
  text += "\n";
  for (const Result& result : results) text += scenario_line(result) + other_figures(result);
  text += "\n" + left("goals", kNameWidth + 1 + kGoalWidth) + " " + right("measured", 10) + " " +
          right("goal", 10) + "\n";
  for (const Result& result : results) {
    for (const Goal& goal : result.goals) text += goal_line(result, goal);
  }
  return text;
}

Json to_json(const std::vector<Result>& results) {
  Json list = Json::array();
  for (const Result& result : results) {
    Json one{{"scenario", result.scenario}, {"figures", result.figures}};
    for (const Goal& goal : result.goals) {
      one["goals"].push_back({{"what", goal.what},
                              {"measured", goal.measured},
                              {"at", goal.kind == Goal::kAtMost ? "most" : "least"},
                              {"bound", goal.bound},
                              {"unit", goal.unit},
                              {"met", goal.met()}});
    }
    for (const Curve& curve : result.curves) {
      Json points = Json::array();
      for (const auto& [quantile, ms] : curve.latencies.curve()) points.push_back({quantile, ms});
      one["latencies"].push_back({{"name", curve.name},
                                  {"count", curve.latencies.count()},
                                  {"max_ms", curve.latencies.max_ms()},
                                  {"quantile_ms", std::move(points)}});
    }
    if (!result.notes.empty()) one["notes"] = result.notes;
    if (!result.failures.empty()) one["failures"] = result.failures;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace outboxd::bench
