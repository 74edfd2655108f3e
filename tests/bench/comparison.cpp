#include "bench/comparison.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

namespace outboxd::bench {
namespace {

constexpr std::string_view kByThread = "cpu_us_by_thread";

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

const Result* find(const Results& results, const std::string& scenario) {
  const auto found = std::ranges::find(results, scenario, &Result::scenario);
  return found == results.end() ? nullptr : &*found;
}

// The figures as numbers; those of a group are "group.name".
std::vector<std::pair<std::string, double>> numbers(const Json& figures) {
  std::vector<std::pair<std::string, double>> found;
  for (const auto& [name, value] : figures.items()) {
    if (value.is_number()) found.emplace_back(name, value.get<double>());
    if (!value.is_object()) continue;
    for (const auto& [member, number] : value.items()) {
      if (!number.is_number()) continue;
      found.emplace_back(name, number.get<double>());
      found.back().first.append(".").append(member);
    }
  }
  return found;
}

// What a scenario's figures were in each round, in the order in which they were first seen.
class Series {
 public:
  void add(std::size_t round, const std::string& name, double value) {
    const auto [at, is_new] = by_name_.try_emplace(name);
    if (is_new) names_.push_back(name);
    at->second.emplace_back(round, value);
  }
  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return by_name_.contains(name); }
  double median_of(const std::string& name) const {
    const auto& rounds = by_name_.at(name);
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const auto& [round, value] : rounds) values.push_back(value);
    return median(std::move(values));
  }
  std::optional<double> in_round(const std::string& name, std::size_t round) const {
    for (const auto& [its_round, value] : by_name_.at(name)) {
      if (its_round == round) return value;
    }
    return {};
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::vector<std::pair<std::size_t, double>>> by_name_;
};

Series series_of(const std::vector<Results>& rounds, const std::string& scenario) {
  Series series;
  for (std::size_t round = 0; round < rounds.size(); ++round) {
    const Result* const result = find(rounds[round], scenario);
    if (result == nullptr) continue;
    for (const auto& [name, value] : numbers(result->figures)) series.add(round, name, value);
  }
  return series;
}

std::vector<std::string> scenarios_of(const std::vector<Results>& rounds) {
  std::vector<std::string> names;
  for (const Results& results : rounds) {
    for (const Result& result : results) {
      if (std::ranges::find(names, result.scenario) == names.end()) names.push_back(result.scenario);
    }
  }
  return names;
}

// Into where numbers() has it from; in a group no more digits than its line has room for.
void put(Json& figures, const std::string& name, double value) {
  const auto dot = name.find('.');
  if (dot == std::string::npos) {
    figures[name] = value;
  } else {
    figures[name.substr(0, dot)][name.substr(dot + 1)] = std::round(value * 100) / 100;
  }
}

void add_missing(std::vector<std::string>& texts, const std::vector<std::string>& more) {
  for (const std::string& text : more) {
    if (std::ranges::find(texts, text) == texts.end()) texts.push_back(text);
  }
}

std::vector<Goal> median_goals(const std::vector<const Result*>& rounds) {
  std::vector<Goal> goals = rounds.front()->goals;
  for (Goal& goal : goals) {
    std::vector<double> measured, bounds;
    for (const Result* const result : rounds) {
      for (const Goal& other : result->goals) {
        if (other.what != goal.what) continue;
        measured.push_back(other.measured);
        bounds.push_back(other.bound);
      }
    }
    goal.measured = median(std::move(measured));
    goal.bound = median(std::move(bounds));
  }
  return goals;
}

[[noreturn]] void refuse(const std::string& what) {
  throw std::runtime_error(what);
}

Result read_result(const Json& json, const std::string& place) {
  if (!json.is_object()) refuse(place + " is no object");
  const auto scenario = json.find("scenario");
  if (scenario == json.end() || !scenario->is_string()) refuse(place + " has no \"scenario\"");
  Result result{.scenario = scenario->get<std::string>()};
  const auto figures = json.find("figures");
  if (figures == json.end() || !figures->is_object())
    refuse(place + " (" + result.scenario + ") has no object \"figures\"");
  const auto not_figures = [](const auto& figure) {
    return !figure.value().is_number() && !figure.value().is_object();
  };
  const auto items = figures->items();
  if (const auto wrong = std::find_if(items.begin(), items.end(), not_figures); wrong != items.end()) {
    refuse(place + " (" + result.scenario + "): \"" + wrong.key() +
           "\" is neither a number nor an object of them");
  }
  result.figures = *figures;
  return result;
}

template <class T>
T member(const Json& json, const char* name, T otherwise) {
  const auto found = json.find(name);
  if (found == json.end()) return otherwise;
  try {
    return found->template get<T>();
  } catch (const Json::exception&) {
    refuse(std::string("\"") + name + "\" is of the wrong type");
  }
}

// Enough digits for a comparison, few enough to be read in a file.
double shortened(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double unit = std::pow(10, std::floor(std::log10(std::fabs(value))) - 3);
  return unit >= 1 ? std::round(value) : std::round(value / unit) / std::round(1 / unit);
}

std::string padded(const std::string& text, std::size_t width, bool to_the_right = true) {
  const std::string space(width > text.size() ? width - text.size() : 0, ' ');
  return to_the_right ? space + text : text + space;
}

std::string as_text(double value) {
  const double size = std::fabs(value);
  if (size >= 1000) return grouped(std::llround(value));
  return fixed(value, size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

std::string spread(const Series& before, const Series& now, const std::string& name, std::size_t rounds) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto was = before.in_round(name, round), is = now.in_round(name, round);
    if (was && is && *was != 0) ratios.push_back(*is / *was);
  }
  if (ratios.size() < 2) return "";
  const auto [least, most] = std::ranges::minmax(ratios);
  return "   " + fixed(least, 3) + " to " + fixed(most, 3);
}

std::string row(const Series& before, const Series& now, const std::string& name, std::size_t rounds) {
  constexpr std::size_t kName = 46, kValue = 12, kRatio = 9;
  std::string was = "-", is = "-", ratio = "-", by_round;
  if (before.has(name)) was = as_text(before.median_of(name));
  if (now.has(name)) is = as_text(now.median_of(name));
  if (before.has(name) && now.has(name)) {
    if (before.median_of(name) != 0) ratio = fixed(now.median_of(name) / before.median_of(name), 3);
    if (rounds > 1) by_round = spread(before, now, name, rounds);
  }
  return "    " + padded(name, kName, false) + padded(was, kValue) + padded(is, kValue) +
         padded(ratio, kRatio) + by_round + "\n";
}

}  // namespace

bool is_measure(std::string_view figure) {
  const auto starts = [&](std::string_view with) { return figure.starts_with(with); };
  const auto ends = [&](std::string_view with) { return figure.ends_with(with); };
  if (starts("producer_") || starts("sink_") || starts("sent_") || starts("seeded_") || ends("_at_s"))
    return false;
  if (starts(kByThread) || starts("of_") || starts("p99_") || starts("drain_rate_")) return true;
  return ends("_per_second") || ends("_per_event") || ends("_per_delivery") || ends("_per_filter") ||
         ends("_p50_ms") || ends("_p99_ms") || ends("_mib") || ends("_s");
}

Results medians(const std::vector<Results>& rounds) {
  Results results;
  for (const std::string& scenario : scenarios_of(rounds)) {
    std::vector<const Result*> of_rounds;
    for (const Results& round : rounds) {
      if (const Result* const result = find(round, scenario)) of_rounds.push_back(result);
    }
    Result result{.scenario = scenario};
    const Series series = series_of(rounds, scenario);
    for (const std::string& name : series.names()) put(result.figures, name, series.median_of(name));
    result.goals = median_goals(of_rounds);
    result.curves = of_rounds.front()->curves;
    for (const Result* const one : of_rounds) {
      add_missing(result.notes, one->notes);
      add_missing(result.failures, one->failures);
    }
    results.push_back(std::move(result));
  }
  return results;
}

Json to_json(const Baseline& baseline) {
  Json results = Json::array();
  for (const Result& result : baseline.results) {
    Json figures = Json::object();
    for (const auto& [name, value] : numbers(result.figures)) {
      if (is_measure(name)) put(figures, name, shortened(value));
    }
    results.push_back({{"scenario", result.scenario}, {"figures", std::move(figures)}});
  }
  return {{"machine", baseline.machine},
          {"revision", baseline.revision},
          {"quick", baseline.quick},
          {"rounds", baseline.rounds},
          {"results", std::move(results)}};
}

Baseline read_baseline(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) refuse("it is no JSON");
  if (!json.is_object()) refuse("it is no JSON object");
  Baseline baseline;
  baseline.machine = member(json, "machine", Json(Json::object()));
  if (!baseline.machine.is_object()) refuse("\"machine\" is no object");
  baseline.revision = member(json, "revision", std::string());
  baseline.quick = member(json, "quick", false);
  baseline.rounds = member(json, "rounds", 1);
  const auto results = json.find("results");
  if (results == json.end() || !results->is_array()) refuse("it has no list \"results\"");
  baseline.results.reserve(results->size());
  for (std::size_t i = 0; i < results->size(); ++i)
    baseline.results.push_back(read_result((*results)[i], "results[" + std::to_string(i) + "]"));
  return baseline;
}

std::string differences(const Baseline& before, const Baseline& now) {
  std::string text;
  for (const char* const name : {"cpu", "cores", "memory", "kernel", "filesystem"}) {
    const auto was = before.machine.find(name), is = now.machine.find(name);
    if (was == before.machine.end()) {
      text += std::string("it does not say its ") + name + "\n";
    } else if (is == now.machine.end() || *was != *is) {
      const Json here = is == now.machine.end() ? Json() : *is;
      text += std::string("its ") + name + " was " + was->dump() + ", here it is " + here.dump() + "\n";
    }
  }
  if (before.quick != now.quick)
    text += std::string("it is of a ") + (before.quick ? "quick" : "full") + " run, this is a " +
            (now.quick ? "quick" : "full") + " one: their figures say nothing about each other\n";
  return text;
}

std::string compare(const std::vector<Results>& before, const std::vector<Results>& now) {
  const std::size_t rounds = before.size() == now.size() ? now.size() : 1;
  std::string text = padded("", 50) + padded("before", 12) + padded("now", 12) + padded("ratio", 9) +
                     (rounds > 1 ? "   by round" : "") + "\n";
  std::vector<std::string> not_before;
  for (const std::string& scenario : scenarios_of(now)) {
    const Series was = series_of(before, scenario), is = series_of(now, scenario);
    if (was.names().empty()) {
      not_before.push_back(scenario);
      continue;
    }
    std::vector<std::string> names = is.names();
    add_missing(names, was.names());
    text += scenario + "\n";
    for (const std::string& name : names) {
      if (is_measure(name)) text += row(was, is, name, rounds);
    }
  }
  for (const std::string& scenario : not_before) text += scenario + ": not measured before\n";
  return text;
}

}  // namespace outboxd::bench
