// The checksum that an event is stored with: damage to its bytes on disk is noticed before they are sent.
//
// It is made when the event is accepted and covers all that is sent of it or decides when and where to: seq, id, tenant,
// type, payload, content type, ordering key, priority, headers, traceparent, and its times. It is verified each time the
// event is read back to be sent, on the reading thread, and by `outboxctl db check`. An event that has not left memory
// since it was accepted is what the checksum was made of, and is sent without another look.
//
// SHA-256, cut to 64 bits: OpenSSL has it already, processors have instructions for it (0.4 µs for a usual event, 0.7 ms
// for 1 MiB; signing each attempt costs the same again), and any other program can recompute it. XXH3 is ten times as
// fast and would be one more library; a CRC of 32 bits misses one damaged event in 4 billion, this one in 1.8e19.
// It is no seal: who may write to the database may write a checksum too.
#pragma once

#include <cstdint>

#include "common/event.h"

namespace outboxd {

// `seq` is the number that the event is stored under.
std::int64_t event_checksum(const Event& event, EventSeq seq);
inline std::int64_t event_checksum(const Event& event) {
  return event_checksum(event, event.seq);
}

}  // namespace outboxd
