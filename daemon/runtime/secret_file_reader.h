// Reads the small files that hold secrets, tokens and certificates.
#pragma once

#include <string>

#include "common/problem.h"

namespace outboxd {

inline constexpr std::size_t kMaxSecretFileBytes = 1u << 20;

// Reads the whole file, at most kMaxSecretFileBytes. `path` is as secret_file_path() (common/secret_file.h) gives it.
// The error begins with the path and says why.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace outboxd
