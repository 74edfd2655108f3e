// Turns errors while a database is opened into the StoreError that says why it cannot be served.
#pragma once

#include <string>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

[[noreturn]] void unusable(const std::string& path, int code, const std::string& what);

// An error while opening is not a failure of a running store, so it gets a kind of its own.
template <class Open>
auto opening(const std::string& path, Open open) {
  try {
    return open();
  } catch (const SqliteFailure& failure) {
    unusable(path, failure.code, failure.what());
  } catch (const CorruptValue& corrupt) {
    unusable(path, SQLITE_CORRUPT, corrupt.what());
  } catch (const StoreError& error) {
    switch (error.kind) {
      case StoreError::Kind::kBusy:
        unusable(path, SQLITE_BUSY, error.what());
      case StoreError::Kind::kFull:
        unusable(path, SQLITE_FULL, error.what());
      case StoreError::Kind::kFailed:
        unusable(path, SQLITE_CORRUPT, error.what());
      default:
        throw;
    }
  } catch (const ConstraintViolation& failure) {
    unusable(path, SQLITE_CORRUPT, failure.what());
  }
}

}  // namespace outboxd::sqlite
