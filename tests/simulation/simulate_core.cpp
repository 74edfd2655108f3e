// The simulation of the whole core (core_world.h) from the command line (many_seeds.h). OUTBOXD_LOG=1 shows what the
// daemons log.
#include <cstdio>
#include <cstdlib>

#include "simulation/core_world.h"
#include "simulation/many_seeds.h"

int main(int argc, char** argv) {
  using namespace outboxd::simulation;
  if (std::getenv("OUTBOXD_LOG") == nullptr && std::freopen("/dev/null", "w", stderr) == nullptr) return 2;
  CoreReport total;
  return run_seeds(argc, argv,
                   {.program = "simulate_core",
                    .seeds = 100,
                    .steps = 4000,
                    .run =
                        [&total](std::uint64_t seed, std::int64_t steps) {
                          const CoreReport one = run_core(seed, steps);
                          total.add(one);
                          return one.steps;
                        },
                    .summary = [&total] { return total.to_string(); }});
}
