#include "common/secret_file.h"

#include <algorithm>
#include <cstdlib>

namespace outboxd {
namespace {
constexpr std::string_view kCredential = "credential:";
}

bool is_secret_file(std::string_view name) {
  if (name.size() > kMaxSecretFileName) return false;
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; })) return false;
  if (name.starts_with('/')) return name.size() > 1;
  if (!name.starts_with(kCredential)) return false;
  name.remove_prefix(kCredential.size());
  return !name.empty() && name.find('/') == std::string_view::npos && name != "." && name != "..";
}

std::string secret_file_path(std::string_view name) {
  if (!name.starts_with(kCredential)) return std::string(name);
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  const std::string from = folder == nullptr ? "/no CREDENTIALS_DIRECTORY in the environment" : folder;
  return from + '/' + std::string(name.substr(kCredential.size()));
}

}  // namespace outboxd
