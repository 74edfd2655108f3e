// An operator's task for a store: leave no endpoint's secrets on the disk in plain text or encrypted with an earlier key.
#pragma once

#include <cstdint>
#include <optional>

#include "store/commands.h"

namespace outboxd {

// Encrypts the secrets of the next `limit` endpoints, removed ones too, with the current key. Refused with kConflict if
// there is no key, or if secrets are encrypted with an unknown one.
class EncryptSecrets final : public StoreTask {
 public:
  explicit EncryptSecrets(EndpointSeq after_endpoint = 0, std::int64_t at_most = 100)
      : after(after_endpoint), limit(at_most) {}
  std::int64_t rows() const override { return limit; }

  const EndpointSeq after;
  const std::int64_t limit;
  // Set once it is committed:
  std::int64_t changed = 0;         // endpoints whose secrets were in plain text or under another key
  std::optional<EndpointSeq> next;  // the last endpoint looked at; absent: there are no more
};

}  // namespace outboxd
