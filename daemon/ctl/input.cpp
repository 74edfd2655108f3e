#include "ctl/input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "common/json_span.h"
#include "common/signature.h"
#include "common/text.h"
#include "ctl/failure.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxSecretBytes = 4096;

struct FileCloser {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

}  // namespace

std::string read_file(const std::string& path, std::size_t max_bytes, std::string_view option) {
  const std::string where = std::string(option) + ": " + (path == "-" ? "stdin" : escape_control(path));
  const std::unique_ptr<std::FILE, FileCloser> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (!file) throw Failure(kExitUsage, where + ": " + std::strerror(errno));
  std::string text;
  char buffer[65536];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, n);
    if (text.size() > max_bytes)
      throw Failure(kExitUsage, where + " is longer than " + std::to_string(max_bytes) + " bytes");
  }
  if (std::ferror(file.get())) throw Failure(kExitUsage, where + ": " + std::strerror(errno));
  return text;
}

std::string json_argument(const std::string& argument, std::string_view option) {
  const std::string text =
      argument.starts_with('@') ? read_file(argument.substr(1), kMaxInputBytes, option) : argument;
  if (!is_json(text))
    throw Failure(kExitUsage, std::string(option) + ": this is no JSON; give JSON, or @FILE that holds it");
  return std::string(trim(text));
}

std::string read_secret(const std::string& path, std::string_view option, bool public_key_too) {
  std::string secret(trim(read_file(path, kMaxSecretBytes, option)));
  if (public_key_too && secret.starts_with("whpk_")) return secret;
  if (const auto key = SigningKey::parse(secret); !key)
    throw Failure(kExitUsage, std::string(option) + ": " + key.error().detail);
  return secret;
}

}  // namespace outboxd::ctl
