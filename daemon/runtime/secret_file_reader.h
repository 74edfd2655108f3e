// Reads the small files that secrets, tokens and certificates are in.
#pragma once

#include <string>

#include "common/problem.h"

namespace outboxd {

inline constexpr std::size_t kMaxSecretFileBytes = 1u << 20;

// Whole, at most kMaxSecretFileBytes. `path` as secret_file_path() (common/secret_file.h) gives it. The error begins
// with the path and says why.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace outboxd
