// A source in an application's PostgreSQL database. For app and outboxctl; everything else knows store/source.h.
//
// The numbers of the table `outbox` are drawn from a sequence, so they are not in the order of the commits, and a row may
// come to light below others that are relayed already. The relay needs numbers that only grow. So whoever relays gives
// the rows that it finds numbers of its own, some hundred rows at a time, and writes them down there, in the table
// `outbox_taken`, before it passes the rows on:
//
//   outbox        41 42 44 45        43 is of a transaction that is still open
//   outbox_taken  first 7, rows 4, seqs {41,42,44,45}     they are rows 7 to 10 of the source
//
// A session of one daemon at a time relays: it holds an advisory lock there, which its end frees. Nothing depends on
// that but the work that two would do in vain.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "store/source.h"

namespace outboxd {

struct SourceDatabaseOptions {
  std::string url;                          // as libpq reads it
  std::size_t max_row_bytes = 2u << 20;     // a larger row is not read
  const std::atomic<bool>* stop = nullptr;  // ends what is being waited for; outlives the source
};
// Throws SourceFailure, which says what is wrong with the database and what to do.
std::unique_ptr<Source> open_source_database(const SourceDatabaseOptions& options);

// The SQL that makes an application's database a source; running it again is harmless.
std::string source_database_ddl();

// For `outboxctl source check`: opens the database as the daemon does, but changes nothing.
struct SourceDatabaseReport {
  std::string problem;  // why it cannot be relayed, and what to do; "": it can
  SourceCounts counts;  // up to a thousand of each
};
SourceDatabaseReport check_source_database(const std::string& url);

}  // namespace outboxd
