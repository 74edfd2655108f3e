// Names of files that hold keys, tokens and certificates, which are never given inline: an absolute path, or
// "credential:NAME" for what systemd has put into $CREDENTIALS_DIRECTORY (LoadCredential=, systemd.exec(5)).
#pragma once

#include <string>
#include <string_view>

namespace outboxd {

inline constexpr std::size_t kMaxSecretFileName = 1024;

// One of the two forms, in printable ASCII, with no ".." and no slash in a credential's name.
bool is_secret_file(std::string_view name);
// The path that the name stands for. For a credential without systemd: a path that cannot exist and whose text says
// why.
std::string secret_file_path(std::string_view name);

}  // namespace outboxd
