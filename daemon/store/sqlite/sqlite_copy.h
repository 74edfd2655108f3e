// SQLite's file as what a copy is made from, or into (store/copy.h). Both throw StoreError; while they live, the file is locked
// as by a daemon.
#pragma once

#include <memory>

#include "store/copy.h"
#include "store/sqlite/sqlite_store.h"

namespace outboxd {

std::unique_ptr<CopySource> copy_from_sqlite(const SqliteOptions& options);
// Makes "<path>.copying", which becomes `path` when it is released; `path` must not exist. What an earlier copy has left under
// that name is gone on with.
std::unique_ptr<CopyTarget> copy_to_sqlite(const SqliteOptions& options);

}  // namespace outboxd
