// Seals short secrets for the disk: AES-256-GCM (NIST SP 800-38D) with keys that are kept elsewhere. Whoever has
// only the disk learns how long a secret is. Who can write to it cannot make a sealed one, or move one to another
// place; he can put an earlier one of the same place back. Pure but for random numbers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/problem.h"

namespace outboxd {

inline constexpr std::size_t kMaxSecretKeys = 32;

class SecretBox {
 public:
  // The keys of a file, a line each: 64 hex digits; # begins a comment. The first one seals, all open. The error
  // names `path` and the line, and quotes nothing.
  static Result<SecretBox> parse(std::string_view file, const std::string& path);

  struct Sealed {
    std::string
        key_id;         // "k" and 16 hex digits, a digest of the key: tells keys apart and gives nothing away
    std::string bytes;  // 12 of nonce, the ciphertext, 16 of tag
  };
  // `place` is where it is kept: it opens nowhere else.
  Sealed seal(std::string_view secret, std::string_view place) const;
  // nullopt: sealed for another place, changed since, or with a key that has the same id and is another one.
  std::optional<std::string> open(const Sealed& sealed, std::string_view place) const;

  bool has(std::string_view key_id) const { return find(key_id) != nullptr; }
  const std::string& key_id() const { return keys_.front().id; }  // of the one that seals

 private:
  struct Key {
    std::string id, bytes;
  };
  const Key* find(std::string_view id) const;
  std::vector<Key> keys_;  // never empty
};

}  // namespace outboxd
