#include "bench/comparison.h"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace outboxd::bench;

namespace {

Results one_figure(const std::string& name, double value) {
  return {{.scenario = "busy", .figures = {{name, value}}}};
}

std::string refusal(std::string_view text) {
  try {
    read_baseline(text);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Baseline on_machine(const std::string& cpu, int cores) {
  return {.machine = {{"cpu", cpu},
                      {"cores", cores},
                      {"memory", "8 GiB"},
                      {"kernel", "6.1"},
                      {"filesystem", "ext4"}},
          .revision = "abc",
          .results = {}};
}

}  // namespace

TEST_CASE("rounds are shown by the median, of an even number by the mean of the two in the middle") {
  const auto of = [](std::initializer_list<double> values) {
    std::vector<Results> rounds;
    rounds.reserve(values.size());
    for (const double value : values) rounds.push_back(one_figure("ack_p50_ms", value));
    return medians(rounds).at(0).figures.at("ack_p50_ms").get<double>();
  };
  CHECK(of({5}) == 5);
  CHECK(of({9, 1, 2}) == 2);
  CHECK(of({8, 1, 2, 4}) == 3);
}

TEST_CASE(
    "medians are taken of the CPU of each thread and of each goal, and failures of any round are kept") {
  std::vector<Results> rounds(3);
  for (int i = 0; i < 3; ++i) {
    rounds[static_cast<std::size_t>(i)].push_back(
        {.scenario = "busy",
         .figures = {{"cpu_us_by_thread", {{"writer", 10 * i}, {"api", 1}}}},
         .goals = {{"CPU", 10.0 * i, Goal::kAtMost, 15, "us"}},
         .notes = {"the same note"},
         .failures = {}});
  }
  rounds[2][0].failures = {"an event was lost"};
  const Results all = medians(rounds);
  REQUIRE(all.size() == 1);
  CHECK(all[0].figures.at("cpu_us_by_thread").at("writer") == 10);
  CHECK(all[0].goals.at(0).measured == 10);
  CHECK(all[0].goals.at(0).bound == 15);
  CHECK(all[0].notes.size() == 1);
  CHECK(all[0].failures == std::vector<std::string>{"an event was lost"});
}

TEST_CASE("a scenario that failed in a round is shown by the rounds that it has") {
  const Results all = medians({one_figure("ack_p50_ms", 2), {}, one_figure("ack_p50_ms", 4)});
  REQUIRE(all.size() == 1);
  CHECK(all[0].figures.at("ack_p50_ms") == 3);
}

TEST_CASE("a comparison says how many times the one before a measure is now, in all and by round") {
  const std::string text = compare({one_figure("cpu_us_per_event", 100), one_figure("cpu_us_per_event", 200)},
                                   {one_figure("cpu_us_per_event", 50), one_figure("cpu_us_per_event", 40)});
  CHECK(has(text, "busy\n"));
  CHECK(has(text, "150.0"));           // the median before
  CHECK(has(text, "45.00"));           // and now
  CHECK(has(text, "0.300"));           // 45 / 150
  CHECK(has(text, "0.200 to 0.500"));  // 40 / 200, 50 / 100
}

TEST_CASE("a comparison with one run shows no spread") {
  CHECK(!has(compare({one_figure("events_per_second", 10)}, {one_figure("events_per_second", 12)}), " to "));
}

TEST_CASE("a measure that one side lacks is shown without a ratio") {
  const std::string text = compare({one_figure("ack_p50_ms", 2)}, {one_figure("ack_p99_ms", 3)});
  CHECK(has(text, "ack_p50_ms"));
  CHECK(has(text, "ack_p99_ms"));
  CHECK(!has(text, "1.500"));
}

TEST_CASE("a measure that was zero before has no ratio") {
  const std::string text = compare({one_figure("ack_p50_ms", 0)}, {one_figure("ack_p50_ms", 3)});
  CHECK(!has(text, "inf"));
  CHECK(has(text, "-\n"));
}

TEST_CASE("a scenario that was not measured before is named, one that is not measured now is left out") {
  const std::string text =
      compare({{{.scenario = "old", .figures = {{"ack_p50_ms", 1}}}}}, {one_figure("ack_p50_ms", 1)});
  CHECK(has(text, "busy: not measured before"));
  CHECK(!has(text, "old"));
}

TEST_CASE("the size of a load and how the benchmark fared are no measures") {
  for (const char* const name : {"events", "commits", "repeats", "connections_opened", "signatures_verified",
                                 "sink_cpu_us_per_event", "producer_late_p99_ms", "sent_per_second",
                                 "seeded_in_s", "alone_worst_at_s", "ack_max_ms", "ack_p999_ms"}) {
    CAPTURE(name);
    CHECK(!is_measure(name));
  }
  for (const char* const name :
       {"events_per_second", "cpu_us_per_event", "cpu_us_by_thread.writer", "ack_p50_ms", "delivered_p99_ms",
        "resident_peak_mib", "first_delivery_s", "of_limit", "of_one_plain", "p99_beside_hanging_to_alone"}) {
    CAPTURE(name);
    CHECK(is_measure(name));
  }
}

TEST_CASE("what was saved is read as it was, measures only") {
  Baseline saved = on_machine("a CPU", 2);
  saved.quick = true;
  saved.rounds = 5;
  saved.results = {{.scenario = "busy",
                    .figures = {{"events", 1000},
                                {"events_per_second", 14782.34},
                                {"ack_p50_ms", 0.61234},
                                {"cpu_us_by_thread", {{"writer", 12.5}}}}}};
  const Baseline read = read_baseline(to_json(saved).dump(1));
  CHECK(read.machine == saved.machine);
  CHECK(read.revision == "abc");
  CHECK(read.quick);
  CHECK(read.rounds == 5);
  REQUIRE(read.results.size() == 1);
  CHECK(read.results[0].scenario == "busy");
  CHECK(read.results[0].figures == Json{{"events_per_second", 14782.0},
                                        {"ack_p50_ms", 0.6123},
                                        {"cpu_us_by_thread", {{"writer", 12.5}}}});
}

TEST_CASE("a file that is no baseline is refused with the reason and the place") {
  CHECK(has(refusal(""), "no JSON"));
  CHECK(has(refusal("{\"results\":["), "no JSON"));
  CHECK(has(refusal("[]"), "no JSON object"));
  CHECK(has(refusal("{}"), "\"results\""));
  CHECK(has(refusal(R"({"results":{}})"), "\"results\""));
  CHECK(has(refusal(R"({"results":[],"machine":"here"})"), "\"machine\""));
  CHECK(has(refusal(R"({"results":[],"quick":"yes"})"), "\"quick\""));
  CHECK(has(refusal(R"({"results":[],"revision":5})"), "\"revision\""));
  CHECK(has(refusal(R"({"results":[7]})"), "results[0]"));
  CHECK(has(refusal(R"({"results":[{"figures":{}}]})"), "results[0] has no \"scenario\""));
  CHECK(has(refusal(R"({"results":[{"scenario":"busy"}]})"), "results[0] (busy)"));
  CHECK(
      has(refusal(R"({"results":[{"scenario":"busy","figures":{"ack_p50_ms":"fast"}}]})"), "\"ack_p50_ms\""));
}

TEST_CASE("figures of another machine, or of a run of another size, are told apart from those of this one") {
  const Baseline here = on_machine("a CPU", 2);
  CHECK(differences(here, here).empty());
  const std::string other = differences(on_machine("another", 4), here);
  CHECK(has(other, "cpu was \"another\", here it is \"a CPU\""));
  CHECK(has(other, "cores was 4, here it is 2"));
  CHECK(!has(other, "kernel"));
  CHECK(has(differences(Baseline{}, here), "does not say its cpu"));
  Baseline quick = here;
  quick.quick = true;
  CHECK(has(differences(quick, here), "quick"));
}
