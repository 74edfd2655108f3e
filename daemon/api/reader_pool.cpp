#include "api/reader_pool.h"

namespace outboxd::api {

ReaderPool::Lease ReaderPool::lend() {
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      auto reader = std::move(idle_.back());
      idle_.pop_back();
      return {*this, std::move(reader)};
    }
  }
  return {*this, make_()};
}

void ReaderPool::take_back(std::unique_ptr<StoreReader> reader) {
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(reader));
}

}  // namespace outboxd::api
