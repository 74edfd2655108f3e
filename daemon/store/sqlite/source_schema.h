// What an application's file must have so that its outbox can be relayed: the table `outbox` as our own database has it,
// its indexes and triggers, and the table `outbox_source`.
#pragma once

#include <string>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

inline constexpr int kSourceVersion = 1;  // of the DDL; grows with each change of it

std::string source_ddl();

// Throws SourceFailure, which says what is missing and what to do.
void check_source_schema(Database& db, const std::string& path);

}  // namespace outboxd::sqlite
