// The texts that are written from the table of keys are the ones in the tree. After a change to the table,
// write them again with: OUTBOXD_REGENERATE=1 test_config
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "config/config.h"
#include "config/keys.h"
#include "support.h"

using namespace outboxd::config;

namespace {

const std::string kSource = OUTBOXD_SOURCE_DIR;

void check_written(const std::string& path, const std::string& expected) {
  if (std::getenv("OUTBOXD_REGENERATE") != nullptr) std::ofstream(path) << expected;
  INFO(path << " is not what the table of keys says: run OUTBOXD_REGENERATE=1 test_config");
  CHECK(read_text(path) == expected);
}

}  // namespace

TEST_CASE("the example file and the list of the documentation are those of the keys") {
  check_written(kSource + "/systemd/outboxd.toml", example_file());
  const auto readme = kSource + "/daemon/config/README.md";
  const auto text = read_text(readme);
  const auto head = text.substr(0, std::min(text.find("## "), text.size()));
  check_written(readme, head + reference());
}

TEST_CASE(
    "the example configuration parses, names every key, and equals the defaults also when uncommented") {
  TemporaryFolder folder;
  const auto example = read_text(kSource + "/systemd/outboxd.toml");
  folder.write("outboxd.toml", example);
  const auto as_shipped = folder.load();
  REQUIRE(as_shipped);
  CHECK(as_shipped->origins.empty());

  std::istringstream lines(example);
  std::string active;
  for (std::string line; std::getline(lines, line);) {
    const bool is_key = line.starts_with('#') && !line.starts_with("# ");
    active += line.substr(is_key ? 1 : 0) + "\n";
  }
  folder.write("outboxd.toml", active);
  const auto uncommented = folder.load();
  REQUIRE(uncommented);
  CHECK(uncommented->origins.size() == keys().size());
  const Config defaults;
  for (const auto& key : keys()) {
    INFO(key.id());
    CHECK(value_text(key, uncommented->config) == value_text(key, defaults));
  }
}
