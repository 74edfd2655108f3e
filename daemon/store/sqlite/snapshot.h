// One read transaction of a Reader: everything read in its life belongs to one moment.
#pragma once

#include <shared_mutex>

#include "store/sqlite/reader.h"

namespace outboxd::sqlite {

class Reader::Snapshot {
 public:
  explicit Snapshot(Reader& reader) : reader_(reader), gate_(reader.shared_->gate) { reader_.begin_.run(); }
  ~Snapshot() {
    // COMMIT of a read cannot lose anything; if it fails, the next BEGIN says so.
    try {
      reader_.commit_.run();
    } catch (const std::exception&) {
    }
  }
  Snapshot(const Snapshot&) = delete;

 private:
  Reader& reader_;
  std::shared_lock<ReadGate> gate_;
};

}  // namespace outboxd::sqlite
