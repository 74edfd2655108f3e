// Configuration: errors can be shown, and the settings of what was accepted are accepted again and say the same.
//   the file, then an environment variable's name and value, then a --set key and value
#include <unistd.h>

#include <fstream>

#include "config/config.h"
#include "fuzz/target.h"
#include "support/temporary_folder.h"

using namespace outboxd;

namespace {

const std::string& file() {
  static const test::TemporaryFolder folder;
  static const std::string path = folder / "outboxd.toml";
  return path;
}

tl::expected<config::Loaded, std::vector<std::string>> load(std::string_view text,
                                                            config::Sources sources = {}) {
  std::ofstream(file(), std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
  sources.file = file();
  sources.file_required = true;
  return config::load(sources);
}

}  // namespace

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  const auto text = parts.next();
  config::Sources sources;
  if (const auto name = parts.optional()) sources.environment.emplace_back("OUTBOXD_" + *name, parts.next());
  // environment_of_process() lets no variable without the separator through.
  if (!sources.environment.empty() && sources.environment[0].first.find("__", 8) == std::string::npos) return;
  if (const auto key = parts.optional()) sources.overrides.emplace_back(*key, parts.next());

  const auto loaded = load(text, sources);
  if (!loaded) {
    HOLDS(!loaded.error().empty());
    for (const auto& error : loaded.error()) {
      HOLDS(!error.empty());
      for (const char c : error) HOLDS(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
    }
    return;
  }
  const auto written = config::as_toml(config::settings(*loaded), false);
  const auto again = load(written);
  HOLDS(again && config::as_toml(config::settings(*again), false) == written);
}
