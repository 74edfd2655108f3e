// Lends StoreReaders to the API's worker threads, each to one caller at a time; they are made when first needed and
// kept. There are as many as handlers ever read at once, so the number of workers bounds them. Thread safe.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/mutex.h"
#include "store/store.h"

namespace outboxd::api {

class ReaderPool {
 public:
  using Make = std::function<std::unique_ptr<StoreReader>()>;
  explicit ReaderPool(Make make) : make_(std::move(make)) {}
  ReaderPool(const ReaderPool&) = delete;

  // Returns the reader when destroyed. Hold it only while a handler runs, never while waiting for a commit.
  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<StoreReader> reader) : pool_(pool), reader_(std::move(reader)) {}
    Lease(const Lease&) = delete;
    ~Lease() { pool_.take_back(std::move(reader_)); }
    StoreReader* operator->() const { return reader_.get(); }
    StoreReader& operator*() const { return *reader_; }

   private:
    ReaderPool& pool_;
    std::unique_ptr<StoreReader> reader_;
  };
  Lease lend();

 private:
  void take_back(std::unique_ptr<StoreReader> reader);

  Make make_;
  Mutex mutex_;
  std::vector<std::unique_ptr<StoreReader>> idle_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd::api
