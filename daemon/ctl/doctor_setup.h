// How the daemon that `doctor` examines is set up.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/json.h"
#include "config/config.h"

namespace outboxd::ctl {

// As it says itself or, if it does not answer, as the configuration on this machine says.
struct Setup {
  std::string database;
  std::int64_t free_disk = 0;
  std::string tcp;
  bool asks_for_tokens = false;
  std::vector<std::pair<std::string, std::string>> private_files;  // the configuration's key, the path
  std::string ingest_socket;                                       // of the configuration; "": not known
  Json told;                                                       // by the daemon; null: it does not answer
  std::string server =
      {};  // URL of a store on a server, of the configuration; "": it is a file, or not known
};
Setup setup_of(const config::Config& config);
Setup setup_told(const Json& told);  // by the daemon

// Members of an answer; 0, or nothing, if they are not what they should be.
std::int64_t number(const Json& object, const char* name);
std::string path_in(const Json& object, const char* name);  // "" too when the daemon did not name it
std::vector<Json> list(const Json& object, const char* name);

}  // namespace outboxd::ctl
