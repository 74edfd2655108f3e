// A PostgreSQL database as what a copy is made from, or into (store/copy.h). Both throw StoreError, also while daemons serve
// it.
#pragma once

#include <memory>

#include "store/copy.h"
#include "store/postgresql/postgres_store.h"

namespace outboxd {

std::unique_ptr<CopySource> copy_from_postgres(const PostgresOptions& options);
// Makes the schema. A database with anything in it is refused, unless an earlier copy has left it there; until it is
// released no daemon serves it.
std::unique_ptr<CopyTarget> copy_to_postgres(const PostgresOptions& options);

}  // namespace outboxd
