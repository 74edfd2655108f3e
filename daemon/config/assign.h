// Sets a field of Config from a TOML value, or from the text of an environment variable or flag, checking the types,
// bounds and forms of keys.h. For config.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <toml++/toml.h>

#include "config/keys.h"

namespace outboxd::config {

// Called for each error, with the value it is about (an element of a list, or the whole) and the text after
// "section.key: ".
using Report = std::function<void(const toml::node& where, std::string what)>;

// Sets the key's field, or reports an error and leaves the field as it is.
void assign(const Key& key, const toml::node& value, Config& config, const Report& report);

// The value that the text stands for: lists are separated by commas, numbers and booleans are written as in TOML.
std::unique_ptr<toml::node> node_from_text(Kind kind, std::string_view text);

}  // namespace outboxd::config
