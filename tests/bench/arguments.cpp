#include "bench/arguments.h"

#include <cstdint>
#include <string_view>

#include "common/text.h"

namespace outboxd::bench {
namespace {

// The number behind an option, in [1, most].
std::optional<std::int64_t> count(const char* text, std::int64_t most) {
  const auto number = parse_int(text);
  return number && *number >= 1 && *number <= most ? number : std::nullopt;
}

struct Sizes {
  bool full = false;
  std::optional<std::int64_t> pending, hanging;
};

void set_sizes(Settings& settings, const Sizes& sizes) {
  settings.backlogs = {sizes.pending.value_or(settings.scaled(10'000, 1'000'000))};
  if (sizes.full) settings.backlogs.push_back(10'000'000);
  settings.hanging = static_cast<int>(sizes.hanging.value_or(settings.scaled(200, 10'000)));
  settings.fan_out = static_cast<int>(settings.scaled(200, 10'000));
  settings.snapshot_seconds = settings.quick ? 2 : sizes.full ? 600 : 60;
}

// False when there is no such option, or `value` is none of its values.
bool read_option(std::string_view option, const char* value, Arguments& arguments, Sizes& sizes) {
  constexpr std::int64_t kMaxPending = 100'000'000, kMaxHanging = 1'000'000, kMaxRounds = 1'000;
  if (option == "--backlog") return (sizes.pending = count(value, kMaxPending)).has_value();
  if (option == "--hanging") return (sizes.hanging = count(value, kMaxHanging)).has_value();
  if (option == "--rounds") {
    const auto rounds = count(value, kMaxRounds);
    arguments.rounds = static_cast<int>(rounds.value_or(0));
    return rounds.has_value();
  }
  for (const auto& [name, text] : {std::pair<std::string_view, std::string*>{"--only", &arguments.only},
                                   {"--against", &arguments.against},
                                   {"--compare", &arguments.compare},
                                   {"--save", &arguments.save},
                                   {"--revision", &arguments.revision}}) {
    if (option != name) continue;
    *text = value;
    return !text->empty();
  }
  return false;
}

}  // namespace

const char* const kUsage = R"(usage: pipeline_bench OUTBOXD FOLDER [options]
  --quick           small loads, about a minute: is everything delivered?
  --full            also a backlog of 10 million, and a snapshot of PostgreSQL kept open for 10 minutes
  --only TEXT       scenarios with TEXT in their name: latency at 1,000/s, latency at 5,000/s, throughput and limit,
                    throughput and limit of batches, endpoints and TLS, isolation, fan-out, backlog, restart,
                    unreliable, filters, dashboard, postgresql (daemons, claims, snapshot, backlog, outbox)
  --backlog N       pending deliveries of scenario backlog (default 1000000)
  --hanging N       endpoints that hang in scenario isolation (default 10000)
  --rounds N        each scenario so often; medians are shown (default 1)
  --against BINARY  in each round BINARY's outboxd first, then this one; medians and ratios of both
  --compare FILE    ratios to what an earlier run has saved in FILE
  --save FILE       the measures of this run, for --compare
  --revision TEXT   said in the results
)";

std::optional<Arguments> read_arguments(int argc, const char* const* argv) {
  if (argc < 3) return std::nullopt;
  Arguments arguments;
  Settings& settings = arguments.settings;
  settings.daemon = argv[1];
  settings.folder = argv[2];
  Sizes sizes;
  for (int i = 3; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--quick") {
      settings.quick = true;
    } else if (option == "--full") {
      sizes.full = true;
    } else if (++i == argc || !read_option(option, argv[i], arguments, sizes)) {
      return std::nullopt;
    }
  }
  settings.references = arguments.against.empty();
  set_sizes(settings, sizes);
  return arguments;
}

}  // namespace outboxd::bench
