#include "store/sqlite/opening.h"

namespace outboxd::sqlite {

void unusable(const std::string& path, int code, const std::string& what) {
  switch (code) {
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      throw StoreError(StoreError::Kind::kCannotOpen, "cannot open " + path + ": " + what);
    case SQLITE_BUSY:
      throw StoreError(StoreError::Kind::kLocked, path + " is locked by another process: " + what);
    default:
      throw StoreError(StoreError::Kind::kCorrupt,
                       path + " is damaged: " + what +
                           "; nothing was repaired: restore a backup, or move it away to start anew");
  }
}

}  // namespace outboxd::sqlite
