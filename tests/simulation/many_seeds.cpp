#include "simulation/many_seeds.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace outboxd::simulation {
namespace {

struct Arguments {
  std::int64_t seeds = 0, first = 1, steps = 0, seconds = 0;
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

int run_seeds(int argc, char** argv, const Seeds& seeds) {
  Arguments a{.seeds = seeds.seeds, .steps = seeds.steps};
  const char* const program = seeds.program.c_str();
  if (!parse(argc, argv, a)) {
    std::fprintf(stderr,
                 "usage: %s [--seeds N] [--first SEED] [--steps N] [--seconds N] [--expect-violation]\n",
                 program);
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  std::int64_t run = 0, steps = 0;
  for (std::int64_t seed = a.first;
       a.seconds > 0 ? elapsed() < static_cast<double>(a.seconds) : seed < a.first + a.seeds; ++seed) {
    try {
      steps += seeds.run(static_cast<std::uint64_t>(seed), a.steps);
      ++run;
    } catch (const std::exception& violation) {
      std::printf("seed %lld: %s\n  again: %s --first %lld --seeds 1 --steps %lld\n",
                  static_cast<long long>(seed), violation.what(), program, static_cast<long long>(seed),
                  static_cast<long long>(a.steps));
      return a.expect_violation ? 0 : 1;
    }
  }
  const double seconds = elapsed();
  std::printf("%lld seeds: %s\n%.1f s, %.3f million steps a minute\n", static_cast<long long>(run),
              seeds.summary().c_str(), seconds, static_cast<double>(steps) / seconds * 60 / 1e6);
  if (a.expect_violation) std::printf("no seed failed, but one should have\n");
  return a.expect_violation ? 1 : 0;
}

}  // namespace outboxd::simulation
