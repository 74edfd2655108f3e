// Checks the database file before it is served (is it ours, is it whole, which schema does it have), creates it and
// migrates it. The caller holds the FileLock.
#pragma once

#include <span>
#include <string>

#include "migrations/embedded.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

inline constexpr std::size_t kHeaderSize = 100;             // bytes, of any SQLite database
inline constexpr std::int32_t kApplicationId = 0x4F425844;  // "OBXD", in the header of every database of ours

// Inspects the file without SQLite, before any connection is open, and changes nothing. True: it is one of ours. False:
// there is none. Throws StoreError: kCorrupt if it is anything else, kCannotOpen if it cannot be read. On a VFS of its
// own it is always true, because only SQLite can look there.
bool inspect_file(const Location& location);
bool is_header_of_ours(std::span<const unsigned char, kHeaderSize> header);

// Creates the file under another name, with every migration applied, and renames it when it is complete. A file at
// `path` is therefore never half made, and an empty one is not ours.
void create_file(const std::string& path, std::span<const embedded::File> migrations);

// Puts an empty database into WAL mode and applies every migration.
void fill(Database& db, std::span<const embedded::File> migrations);

int schema_version(Database& db);
int newest_version(std::span<const embedded::File> migrations);
// Applies each newer migration, together with its version number, in a transaction of its own. Throws StoreError:
// kNewerSchema if the database is newer than the newest migration.
void migrate(Database& db, std::span<const embedded::File> migrations);

}  // namespace outboxd::sqlite
