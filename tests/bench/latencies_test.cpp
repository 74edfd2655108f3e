#include "bench/latencies.h"

#include <doctest/doctest.h>

using namespace outboxd::bench;

namespace {

Latencies milliseconds(std::initializer_list<int> values) {
  std::vector<Sample> samples;
  samples.reserve(values.size());
  for (const int ms : values) samples.push_back({.due = 1, .at = 1 + ms * std::int64_t{1'000'000}});
  return Latencies(samples);
}

}  // namespace

TEST_CASE("a percentile is the nearest rank, whatever the order of the samples") {
  const Latencies ten = milliseconds({10, 1, 9, 2, 8, 3, 7, 4, 6, 5});
  CHECK(ten.ms(0.5) == 5);
  CHECK(ten.ms(0.51) == 6);
  CHECK(ten.ms(0.9) == 9);
  CHECK(ten.ms(0.99) == 10);
  CHECK(ten.ms(0) == 1);
  CHECK(ten.max_ms() == 10);
}

TEST_CASE("one sample is every percentile, and none are zero") {
  CHECK(milliseconds({7}).ms(0.5) == 7);
  CHECK(milliseconds({7}).ms(0.999) == 7);
  CHECK(Latencies().ms(0.99) == 0);
  CHECK(Latencies().max_ms() == 0);
}

TEST_CASE("what was due at no time in particular has no latency") {
  CHECK(Latencies({{.due = 0, .at = 5'000'000}, {.due = 1'000'000, .at = 3'000'000}}).count() == 1);
}

TEST_CASE("a curve ends where no sample lies beyond a percentile") {
  std::vector<Sample> samples;
  samples.reserve(100);
  for (int i = 1; i <= 100; ++i) samples.push_back({.due = 1, .at = 1 + i * std::int64_t{1'000'000}});
  const auto curve = Latencies(samples).curve();
  REQUIRE(!curve.empty());
  CHECK(curve.front() == std::pair(0.5, 50.0));
  CHECK(curve.back().first < 0.995);
}
