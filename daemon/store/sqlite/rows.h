// What only SQLite's rows have; all others read as every store's do (store/rows.h).
#pragma once

#include "store/rows.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

OutboxRow read_outbox_row(const Cursor& row);  // a payload is text or a blob, as the producer wrote it

inline Blob as_blob(const Uuid& uuid) {
  return {{reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()}};
}

}  // namespace outboxd::sqlite
