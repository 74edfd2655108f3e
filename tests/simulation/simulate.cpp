// The simulation from the command line: many seeds, or one again.
//   simulate [--seeds N] [--first SEED] [--steps N] [--seconds N] [--expect-violation]
//   simulate --goodput
// With --seconds it goes on with further seeds for so long. A seed that fails is printed, and fails again by
//   simulate --first SEED --seeds 1 --steps N
// --goodput prints what an endpoint gets through, by the share and the kind of its failures.
// --expect-violation turns the exit status around: 0 when some seed failed (for mutants.cmake).
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "simulation/goodput.h"
#include "simulation/world.h"

namespace {

using namespace outboxd::simulation;

struct Arguments {
  std::int64_t seeds = 1000;
  std::int64_t first = 1;
  std::int64_t steps = 10'000;
  std::int64_t seconds = 0;
  bool expect_violation = false;
};

bool parse(int argc, char** argv, Arguments& a) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--expect-violation") {
      a.expect_violation = true;
      continue;
    }
    std::int64_t* value = name == "--seeds"     ? &a.seeds
                          : name == "--first"   ? &a.first
                          : name == "--steps"   ? &a.steps
                          : name == "--seconds" ? &a.seconds
                                                : nullptr;
    if (value == nullptr || ++i == argc) return false;
    const char* end = argv[i] + std::strlen(argv[i]);
    const auto [at, error] = std::from_chars(argv[i], end, *value);
    if (error != std::errc() || at != end || *value < 0) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--goodput") == 0) {
    std::fputs(goodput_table().c_str(), stdout);
    return 0;
  }
  Arguments a;
  if (!parse(argc, argv, a)) {
    std::fprintf(
        stderr,
        "usage: simulate [--seeds N] [--first SEED] [--steps N] [--seconds N] [--expect-violation]\n");
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  Report total;
  std::int64_t run_seeds = 0;
  for (std::int64_t seed = a.first;
       a.seconds > 0 ? elapsed() < static_cast<double>(a.seconds) : seed < a.first + a.seeds; ++seed) {
    try {
      check_goodput(static_cast<std::uint64_t>(seed));
      const Report one = run(static_cast<std::uint64_t>(seed), a.steps);
      total.steps += one.steps;
      total.accepted += one.accepted;
      total.attempts += one.attempts;
      total.delivered += one.delivered;
      total.dead += one.dead;
      total.discarded += one.discarded;
      total.crashes += one.crashes;
      total.clock_steps += one.clock_steps;
      ++run_seeds;
    } catch (const std::exception& violation) {  // a promise broken, or a scheduler that gives up
      std::printf("seed %lld: %s\n  again: simulate --first %lld --seeds 1 --steps %lld\n",
                  static_cast<long long>(seed), violation.what(), static_cast<long long>(seed),
                  static_cast<long long>(a.steps));
      return a.expect_violation ? 0 : 1;
    }
  }
  const double seconds = elapsed();
  std::printf("%lld seeds: %s\n%.1f s, %.1f million steps a minute\n", static_cast<long long>(run_seeds),
              total.to_string().c_str(), seconds, static_cast<double>(total.steps) / seconds * 60 / 1e6);
  if (a.expect_violation) std::printf("no seed failed, but one should have\n");
  return a.expect_violation ? 1 : 0;
}
