#include "ctl/configuration.h"

#include "common/text.h"
#include "ctl/failure.h"

namespace outboxd::ctl {

void add_config_option(CLI::App& command, std::optional<std::string>& file) {
  command.add_option("--config", file, "The file (default " + std::string(config::kDefaultFile) + ")")
      ->type_name("FILE");
}

config::Sources configuration_sources(const std::optional<std::string>& file) {
  config::Sources sources;
  if (file) sources.file = *file;
  sources.file_required = file.has_value();
  sources.environment = config::environment_of_process();
  return sources;
}

config::Loaded load_configuration(const Session& session, const std::optional<std::string>& file) {
  auto loaded = config::load(configuration_sources(file));
  if (loaded) return std::move(*loaded);
  for (const std::string& error : loaded.error()) session.warn(escape_control(error));
  const std::size_t count = loaded.error().size();
  throw Failure(kExitConfiguration,
                std::to_string(count) + (count == 1 ? " error" : " errors") + " in the configuration");
}

}  // namespace outboxd::ctl
