#include "ctl/completion.h"

#include <algorithm>

#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::App* find_command(const CLI::App& app, const std::string& word) {
  const auto all = commands_of(app);
  const auto it =
      std::ranges::find_if(all, [&](const CLI::App* command) { return command->get_name() == word; });
  return it == all.end() ? nullptr : *it;
}

const CLI::Option* find_option(const CLI::App& app, const std::string& word) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      if (option->check_name(word)) return option;
    }
  }
  return nullptr;
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

// The words that its check names in braces, or the endpoints.
std::vector<std::string> values_of(const CLI::Option& option, const EndpointNames& endpoint_names) {
  const std::string type = option.get_type_name();
  if (type.ends_with(kNameOrId)) return endpoint_names();
  const std::size_t begin = type.find('{'), end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return split_list(type.substr(begin + 1, end - begin - 1));
}

}  // namespace

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());  // clang 14 cannot read ranges::unique
  return names;
}

std::vector<std::string> subcommands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(app)) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> complete(const CLI::App& app, std::span<const std::string> words,
                                  const EndpointNames& endpoint_names) {
  if (words.empty()) return {};
  const CLI::App* command = &app;
  const CLI::Option* option = nullptr;  // whose value comes next
  std::size_t position = 0;
  for (const std::string& word : words.first(words.size() - 1)) {
    if (word == "=") continue;  // bash has it as a word of its own
    if (option != nullptr) {
      option = nullptr;
    } else if (word.starts_with('-')) {
      const CLI::Option* found = find_option(*command, word);
      if (found != nullptr && takes_value(*found)) option = found;
    } else if (const CLI::App* next = find_command(*command, word)) {
      command = next;
    } else {
      ++position;
    }
  }
  const std::string word = words.back() == "=" ? "" : words.back();
  std::vector<std::string> found;
  if (option != nullptr) {
    found = values_of(*option, endpoint_names);
  } else if (word.starts_with('-')) {
    found = options_of(*command);
  } else {
    found = subcommands_of(*command);
    const auto positionals = positionals_of(*command);
    if (position < positionals.size()) {
      const auto values = values_of(*positionals[position], endpoint_names);
      found.insert(found.end(), values.begin(), values.end());
    }
  }
  std::erase_if(found, [&](const std::string& candidate) { return !candidate.starts_with(word); });
  return found;
}

}  // namespace outboxd::ctl
