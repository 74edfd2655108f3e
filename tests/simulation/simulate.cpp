// The simulation of the scheduler (world.h) from the command line (many_seeds.h).
//   simulate --goodput     prints what an endpoint gets through, by the share and the kind of its failures.
#include <cstdio>
#include <cstring>

#include "simulation/goodput.h"
#include "simulation/many_seeds.h"
#include "simulation/world.h"

namespace {

using namespace outboxd::simulation;

void add(Report& total, const Report& one) {
  total.steps += one.steps;
  total.accepted += one.accepted;
  total.attempts += one.attempts;
  total.delivered += one.delivered;
  total.dead += one.dead;
  total.discarded += one.discarded;
  total.crashes += one.crashes;
  total.clock_steps += one.clock_steps;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--goodput") == 0) {
    std::fputs(goodput_table().c_str(), stdout);
    return 0;
  }
  Report total;
  return run_seeds(argc, argv,
                   {.program = "simulate",
                    .run =
                        [&total](std::uint64_t seed, std::int64_t steps) {
                          check_goodput(seed);
                          const Report one = run(seed, steps);
                          add(total, one);
                          return one.steps;
                        },
                    .summary = [&total] { return total.to_string(); }});
}
