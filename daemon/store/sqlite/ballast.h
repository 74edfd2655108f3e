// Room on the disk that is given up when it is full: SQLite cannot even delete then, and what became of the
// deliveries under way must be recorded. A file beside the database, of real blocks.
#pragma once

#include <cstdint>
#include <string>

#include "store/sqlite/location.h"

namespace outboxd::sqlite {

class Ballast {
 public:
  // Makes the file if there is room for it twice. `bytes` 0: no ballast, and a file of earlier is removed.
  Ballast(const Location& database, std::int64_t bytes);

  // The disk is full: gives the room back. False: there was none to give.
  bool release();
  // Makes it again when there is room for it twice. Looks at most once a second.
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
