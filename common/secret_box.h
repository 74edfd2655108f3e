// Encrypts short secrets for storage: AES-256-GCM (NIST SP 800-38D), with keys that are kept elsewhere. Someone who can
// read the disk learns only the length of a secret. Someone who can write to it cannot forge a sealed secret or move
// one to another place, but can put back an earlier one of the same place. Pure but for random numbers.
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
  // Reads a key file: one key per line, 64 hex digits; # begins a comment. The first key seals, all of them open. The
  // error names `path` and the line and quotes nothing.
  static Result<SecretBox> parse(std::string_view file, const std::string& path);

  struct Sealed {
    std::string
        key_id;         // "k" and 16 hex digits, a digest of the key: tells keys apart and gives nothing away
    std::string bytes;  // nonce (12 bytes), ciphertext, tag (16 bytes)
  };
  // `place` names where the secret is kept; it can be opened for no other place.
  Sealed seal(std::string_view secret, std::string_view place) const;
  // nullopt: the key is not known, the secret was sealed for another place or altered since, or another key happens to
  // have the same id.
  std::optional<std::string> open(const Sealed& sealed, std::string_view place) const;

  bool has(std::string_view key_id) const { return find(key_id) != nullptr; }
  const std::string& key_id() const { return keys_.front().id; }  // of the key that seals

 private:
  struct Key {
    std::string id, bytes;
  };
  const Key* find(std::string_view id) const;
  std::vector<Key> keys_;  // never empty
};

}  // namespace outboxd
