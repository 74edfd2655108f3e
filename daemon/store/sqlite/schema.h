// The database file before it is served: is it ours, is it whole, which schema has it; creating it and
// bringing it up to date. The caller holds the FileLock.
#pragma once

#include <span>
#include <string>

#include "migrations/embedded.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

inline constexpr std::size_t kHeaderSize = 100;             // of any SQLite database
inline constexpr std::int32_t kApplicationId = 0x4F425844;  // "OBXD", in the header of every database of ours

// Looks at the file without SQLite, before any connection is open, and changes nothing. True: one of ours.
// False: there is none. Throws StoreError: kCorrupt for anything else.
// On a VFS of its own: always true, because only SQLite can look there.
bool inspect_file(const Location& location);
bool is_header_of_ours(std::span<const unsigned char, kHeaderSize> header);

// Makes the file with every migration applied, under another name, and gives it its name when it is complete:
// a file that exists is never half made, so an empty one is not ours.
void create_file(const std::string& path, std::span<const embedded::File> migrations);

// Makes an empty database one in WAL mode with every migration applied.
void fill(Database& db, std::span<const embedded::File> migrations);

int schema_version(Database& db);
int newest_version(std::span<const embedded::File> migrations);
// Each newer migration in a transaction of its own, with the version. Throws StoreError: kNewerSchema
// when the database is newer than the newest.
void migrate(Database& db, std::span<const embedded::File> migrations);

}  // namespace outboxd::sqlite
