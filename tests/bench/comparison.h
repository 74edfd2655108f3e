// Rounds of runs: their medians, and what was before beside what is now. For people: no figure here fails anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"

namespace outboxd::bench {

using Results = std::vector<Result>;  // of one round

// Whether a figure says how good the daemon is, and not how large the load was or how the benchmark itself fared.
bool is_measure(std::string_view figure);

// A result for each scenario of the rounds, with the median of each figure over the rounds that have it (of an even
// number the mean of the two in the middle). Curves are the first round's.
Results medians(const std::vector<Results>& rounds);

// What a run is compared with: a file that an earlier one has written.
struct Baseline {
  Json machine = Json::object();
  std::string revision;
  bool quick = false;
  int rounds = 1;
  Results results;  // scenarios and figures, nothing else
};
Json to_json(const Baseline& baseline);  // measures only
// Throws std::runtime_error that says what is wrong where. `text` may also be the results.json of a run.
Baseline read_baseline(std::string_view text);

// What the reader of a comparison has to know: another machine, another size of the runs. "" for nothing.
std::string differences(const Baseline& before, const Baseline& now);

// A table of the measures of both: medians, and how many times the one before each is now. Where both have as many
// rounds (more than one), also the least and the most of these ratios by round.
std::string compare(const std::vector<Results>& before, const std::vector<Results>& now);

}  // namespace outboxd::bench
