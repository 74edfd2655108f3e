// Disk space that is given up when the disk is full. SQLite cannot even delete rows then, yet the outcomes of the
// deliveries under way must be recorded. It is a file beside the database whose blocks are really allocated.
#pragma once

#include <cstdint>
#include <string>

#include "store/sqlite/location.h"

namespace outboxd::sqlite {

class Ballast {
 public:
  // Creates the file if the disk has twice the space for it. `bytes` 0: no ballast, and a file from an earlier run is
  // removed.
  Ballast(const Location& database, std::int64_t bytes);

  // Gives the space back, because the disk is full. False: there was none to give.
  bool release();
  // Creates the file again when the disk has twice the space for it. Looks at most once a second.
  void restore_if_possible();
  bool released() const { return released_; }

 private:
  bool make();

  const std::string path_;
  const std::int64_t bytes_;
  bool released_ = false;
  std::int64_t looked_at_ = 0;  // monotonic seconds
};

}  // namespace outboxd::sqlite
