// What is done with each event of an AcceptEvents command, decided before anything is stored: the rules of idempotency keys
// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/), which are the same in every store.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/problem.h"
#include "store/commands.h"

namespace outboxd {

struct Disposition {
  enum Kind { kStore, kStoredBefore, kDuplicate, kDuplicateInCommand, kRowDeleted } kind = kStore;
  AcceptedEvent first = {};     // with kStoredBefore and kDuplicate: what was stored
  std::size_t first_index = 0;  // with kDuplicateInCommand
};

// Tells keys of one tenant from those of others.
std::string idempotency_key_of(const NewEvent& event);

// What has used the key of an event, within its window.
struct KeyUse {
  AcceptedEvent event;
  bool same_content = false;
};
using FindKeyUse = std::function<std::optional<KeyUse>(const NewEvent&)>;
using RowWaits = std::function<bool(std::int64_t outbox_row)>;

// Refuses the command if a key was used with different content, in the same command or before. What is kStoredBefore stays so.
std::optional<Problem> check_idempotency(const AcceptEvents& command, std::vector<Disposition>& dispositions,
                                         const FindKeyUse& find, const RowWaits& waits);

}  // namespace outboxd
