// What an operator asks of this store alone: that no endpoint's secrets stay on the disk in plain, or encrypted with an
// earlier key.
#pragma once

#include <cstdint>
#include <optional>

#include "store/commands.h"

namespace outboxd {

// Encrypts the secrets of the next `limit` endpoints, removed ones too, with the key that encrypts now. Refused with
// kConflict when there is none, or when secrets are encrypted with a key that is not known.
class EncryptSecrets final : public StoreTask {
 public:
  explicit EncryptSecrets(EndpointSeq after_endpoint = 0, std::int64_t at_most = 100)
      : after(after_endpoint), limit(at_most) {}
  std::int64_t rows() const override { return limit; }

  const EndpointSeq after;
  const std::int64_t limit;
  // Once it is committed:
  std::int64_t changed = 0;         // endpoints that were not encrypted, or with another key
  std::optional<EndpointSeq> next;  // the last one looked at; absent: there are no more
};

}  // namespace outboxd
