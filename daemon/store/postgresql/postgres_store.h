// The store on a server: one PostgreSQL that any number of daemons share. Of this folder the rest of the daemon may include
// only this header, and that of what only this store can do (postgres_tools.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/secret_box.h"
#include "store/store.h"

namespace outboxd {

struct PostgresOptions {
  std::string url;  // as libpq reads it; what it leaves open libpq finds in its files and in the environment
  std::string name = {};  // of this daemon, for the operators of the others; "": outboxd@host:process
  // Encrypts the endpoints' secrets; null: they are stored in plain text.
  std::shared_ptr<const SecretBox> secrets = {};
  // For tests, outlives the store: what tells due times instead of the database's clock. Null in production.
  const Clock* clock = nullptr;
  // Called for each error that the server returns, or that the way to it has: "commit" for the writer, "read" for a reader,
  // "member" for the session that holds the locks. On any thread.
  std::function<void(std::string_view op)> on_error = {};
};

// Opens, fills or migrates the database. Throws StoreError: kBusy while the server cannot be reached, and what can never
// work with a sentence that says what to do. From then on the store keeps itself up: no outage ends it.
std::unique_ptr<Store> open_postgres_store(const PostgresOptions& options);

}  // namespace outboxd
