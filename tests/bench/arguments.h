// What scripts/bench can be asked for.
#pragma once

#include <optional>
#include <string>

#include "bench/rig.h"

namespace outboxd::bench {

struct Arguments {
  Settings settings;
  std::string only;      // scenarios with this in their name
  int rounds = 1;        // of each scenario; medians are shown
  std::string against;   // another daemon's binary, run before ours in each round; "": none
  std::string compare;   // a file as --save writes it, "": none
  std::string save;      // where the measures go, "": nowhere
  std::string revision;  // of git, for whoever reads the results
};

extern const char* const kUsage;

// Nothing for arguments that kUsage does not allow.
std::optional<Arguments> read_arguments(int argc, const char* const* argv);

}  // namespace outboxd::bench
