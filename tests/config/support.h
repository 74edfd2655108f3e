// A folder of configuration files that goes away with its test.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "outboxd-config-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    sources.file = file("outboxd.toml");
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(file(name)).parent_path());
    std::ofstream(file(name)) << text;
  }
  auto load() const { return outboxd::config::load(sources); }
  // The errors, with the folder's name cut off.
  std::vector<std::string> errors() const {
    const auto result = load();
    if (result) return {};
    auto errors = result.error();
    for (auto& error : errors) {
      if (error.starts_with(path_ + "/")) error.erase(0, path_.size() + 1);
    }
    return errors;
  }

  outboxd::config::Sources sources;

 private:
  std::string path_;
};
