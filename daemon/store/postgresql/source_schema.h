// What an application's database must have so that its outbox can be relayed: the table `outbox` as our own database has
// it, its indexes, functions and triggers, and the tables `outbox_source` and `outbox_taken`.
#pragma once

#include <string>

#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

inline constexpr int kSourceVersion = 1;  // of the DDL; grows with each change of it

std::string source_ddl();

// Throws SourceFailure, which says what is missing and what to do.
void check_source_schema(Connection& db);

}  // namespace outboxd::postgresql
