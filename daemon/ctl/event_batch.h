// `event send --batch`: a file of events, one object a line, handed over in requests of up to 1,000.
#pragma once

#include <istream>
#include <string>

#include "ctl/session.h"

namespace outboxd::ctl {

inline constexpr std::size_t kMaxBatchEvents = 1000;      // the API's bound
inline constexpr std::size_t kMaxBatchBytes = 12u << 20;  // below the daemon's default of 16 MiB a request
inline constexpr std::size_t kMaxBatchLineBytes = 12u << 20;

struct BatchChunk {
  std::string body;                // the lines, each with its newline
  std::vector<std::size_t> lines;  // the file's line number of each
};
// Reads the next lines up to the bounds and leaves out blank ones; the chunk is empty at the end of the file. Throws
// Failure (usage) for a line over the bound.
class BatchReader {
 public:
  explicit BatchReader(std::istream& in) : in_(in) {}
  BatchChunk next();

 private:
  std::istream& in_;
  std::size_t line_number_ = 0;
  std::string held_;  // a line that was read, but did not fit
};

// "/3/type" of a request becomes "line 1004: /type".
std::string at_line(const std::string& pointer, const BatchChunk& chunk);

int send_batch(Session& session, const std::string& path);

}  // namespace outboxd::ctl
