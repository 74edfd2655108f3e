// An event whose payload may be erased, for every store: everything else about it stays, and it is whole without its
// payload.
#pragma once

#include <optional>

#include "store/rows.h"

namespace outboxd {

struct ErasableEvent {
  EventSeq seq = 0;
  std::optional<Time> erased_at;
  // Of the event without its payload; of a damaged event the one that it has, so that it stays damaged.
  std::optional<std::int64_t> checksum;
};

// seq, the event (rows.h), checksum, payload_erased_at.
template <class Row>
ErasableEvent read_erasable(const Row& row) {
  ErasableEvent found{row.integer(0), row.optional_time(15), row.optional_integer(14)};
  if (found.erased_at || !found.checksum) return found;
  Event event;
  event.seq = found.seq;
  read_event(row, 1, event);
  if (event.damaged || event_checksum(event) != *found.checksum) return found;
  event.payload.clear();
  found.checksum = event_checksum(event);
  return found;
}

}  // namespace outboxd
