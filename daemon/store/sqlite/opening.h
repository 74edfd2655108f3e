// What goes wrong while a database is opened, as the StoreUnusable that says with which exit status.
#pragma once

#include <string>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

[[noreturn]] void unusable(const std::string& path, int code, const std::string& what);

// What goes wrong while opening is no failure of a running store: it has an exit status of its own.
template <class Open>
auto opening(const std::string& path, Open open) {
  try {
    return open();
  } catch (const SqliteFailure& failure) {
    unusable(path, failure.code, failure.what());
  } catch (const StoreBusy& busy) {
    unusable(path, SQLITE_BUSY, busy.what());
  } catch (const StoreFull& full) {
    unusable(path, SQLITE_FULL, full.what());
  } catch (const StoreUnusable&) {
    throw;
  } catch (const StoreFailure& failure) {
    unusable(path, SQLITE_CORRUPT, failure.what());
  } catch (const ConstraintViolation& failure) {
    unusable(path, SQLITE_CORRUPT, failure.what());
  }
}

}  // namespace outboxd::sqlite
