// One read transaction of a Reader: everything read during its lifetime belongs to one moment.
#pragma once

#include <shared_mutex>

#include "store/sqlite/reader.h"

namespace outboxd::sqlite {

class Reader::Snapshot {
 public:
  explicit Snapshot(Reader& reader) : reader_(reader), gate_(reader.shared_->gate) { reader_.begin_.run(); }
  ~Snapshot() {
    // The COMMIT of a read can lose nothing; if it fails, the next BEGIN reports that.
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
