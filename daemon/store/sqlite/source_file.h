// A source in an application's SQLite file. For app and outboxctl; everything else knows store/source.h.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "store/source.h"

namespace outboxd {

struct SourceFileOptions {
  std::string path;
  std::size_t max_row_bytes = 2u << 20;  // a larger row is not read
  // Ends what is being read or waited for; outlives the source.
  const std::atomic<bool>* stop = nullptr;
};
// Throws SourceFailure, which says what is wrong with the file and what to do.
std::unique_ptr<Source> open_source_file(const SourceFileOptions& options);

// The SQL that makes an application's file a source; running it again is harmless.
std::string source_file_ddl();

// For `outboxctl source check`: opens the file as the daemon does, but changes nothing.
struct SourceFileReport {
  std::string problem;  // why it cannot be relayed, and what to do; "": it can
  std::string journal_mode;
  SourceCounts counts;  // up to a thousand of each
};
SourceFileReport check_source_file(const std::string& path);

}  // namespace outboxd
