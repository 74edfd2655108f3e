#include "ctl/doctor_setup.h"

#include "common/secret_file.h"
#include "ctl/output.h"

namespace outboxd::ctl {
Setup setup_of(const config::Config& config) {
  Setup setup{config.store.path(),
              config.retention.free_disk,
              config.listen.tcp,
              !config.listen.tokens_file.empty(),
              {},
              config.listen.ingest_socket,
              {},
              config.store.is_sqlite() ? "" : config.store.url};
  const auto add = [&setup](const char* key, const std::string& name) {
    if (!name.empty()) setup.private_files.emplace_back(key, secret_file_path(name));
  };
  add("listen.tokens_file", config.listen.tokens_file);
  add("listen.tls_key", config.listen.tls_key);
  add("store.secrets_key_file", config.store.secrets_key_file);
  return setup;
}

std::int64_t number(const Json& object, const char* name) {
  const auto it = object.is_object() ? object.find(name) : object.end();
  return it != object.end() && it->is_number() ? it->get<std::int64_t>() : 0;
}

std::vector<Json> list(const Json& object, const char* name) {
  const Json found = object.is_object() ? object.value(name, Json::array()) : Json::array();
  if (!found.is_array()) return {};  // the library takes anything else for a list of one
  return {found.begin(), found.end()};
}

std::string path_in(const Json& object, const char* name) {
  const std::string text = member_text(object, name);
  return text == "-" ? "" : text;
}

Setup setup_told(const Json& told) {
  Setup setup{path_in(told, "database"),
              number(told, "free_disk_bytes"),
              path_in(told, "tcp"),
              told.is_object() && told.value("asks_for_tokens", Json()) == true,
              {},
              {},
              told};
  for (const Json& file : list(told, "private_files"))
    setup.private_files.emplace_back(member_text(file, "key"), path_in(file, "path"));
  return setup;
}

}  // namespace outboxd::ctl
