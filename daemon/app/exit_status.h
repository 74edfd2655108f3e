// The exit status of outboxd for an error of its store (main's --help lists all statuses).
#pragma once

#include "store/errors.h"
#include "store/fail_stop.h"

namespace outboxd {

constexpr int exit_status_of(StoreError::Kind kind) {
  switch (kind) {
    case StoreError::Kind::kCorrupt:
      return 65;  // EX_DATAERR
    case StoreError::Kind::kCannotOpen:
      return 74;  // EX_IOERR
    case StoreError::Kind::kLocked:
      return 75;  // EX_TEMPFAIL
    case StoreError::Kind::kNewerSchema:
      return 76;
    case StoreError::Kind::kMissingKey:
      return 78;  // EX_CONFIG
    case StoreError::Kind::kBusy:
    case StoreError::Kind::kFull:
    case StoreError::Kind::kUnknown:
    case StoreError::Kind::kFenced:
    case StoreError::Kind::kFailed:
      break;
  }
  return kFailStopStatus;
}

}  // namespace outboxd
