// Sessions of operators' tools: they read whole tables, and take as long as they take.
#pragma once

#include <string>

#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

inline ConnectionOptions operator_session(const std::string& url) {
  return {.url = url,
          .purpose = "tools",
          .statement_timeout = Millis(0),
          .idle_session_timeout = Millis(0),
          .on_error = {}};
}

// The daemon's statements each find few rows by an index, and are planned for that alone.
inline void plan_for_whole_tables(Connection& db) {
  db.execute(
      "RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_hashjoin; RESET enable_mergejoin; "
      "RESET enable_hashagg; RESET plan_cache_mode; RESET max_parallel_workers_per_gather; "
      "SET idle_in_transaction_session_timeout = 0");
}

}  // namespace outboxd::postgresql
