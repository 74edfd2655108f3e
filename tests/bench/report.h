// What a scenario found, and how it is shown: a table for people, JSON for programs, plots (plot.h).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/latencies.h"

namespace outboxd::bench {

using Json = nlohmann::ordered_json;

// A number that outboxd is built to reach, and what was measured instead. Missing one is no failure: the machine decides too.
struct Goal {
  std::string what;
  double measured = 0;
  enum { kAtMost, kAtLeast } kind = kAtMost;
  double bound = 0;
  std::string unit;

  bool met() const { return kind == kAtMost ? measured <= bound : measured >= bound; }
};

struct Curve {
  std::string name;
  Latencies latencies;
};

struct Result {
  std::string scenario;
  Json figures = Json::object();  // name to number; those that the table has columns for are in kColumns
  std::vector<Goal> goals = {};
  std::vector<Curve> curves = {};
  std::vector<std::string> notes = {};     // what a reader has to know to judge the figures
  std::vector<std::string> failures = {};  // events lost, refused or badly signed
};

// "<name>_p50_ms" and so on.
void add_latencies(Json& figures, const std::string& name, const Latencies& latencies);

std::string fixed(double value, int decimals);
std::string grouped(std::int64_t number);  // 1000 is "1,000"

std::string table(const std::vector<Result>& results);
Json to_json(const std::vector<Result>& results);

}  // namespace outboxd::bench
