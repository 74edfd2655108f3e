// Fan-out in steps: the rest of the deliveries of events that match more endpoints than one transaction should write.
// The store remembers how far each has come, so a crash at any point neither loses nor doubles one. One step is under
// way at a time, over all events, the oldest first. Runs on an executor, by the owner of partition 0.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/executor.h"
#include "ingest/endpoint_directory.h"
#include "store/group_commit.h"
#include "store/store.h"

namespace outboxd {

class FanOut {
 public:
  struct Options {
    Millis first_wait{0};         // as in Ingest::Options
    std::size_t step = 500;       // endpoints
    std::size_t remembered = 32;  // events in memory; more are read again from the store in their turn
  };
  // `executor` and `commits` end before this is gone.
  FanOut(Executor& executor, Store& store, GroupCommit& commits, const EndpointDirectory& directory,
         Options options);
  FanOut(const FanOut&) = delete;

  // Any thread. Facts come in the order of their commits; one without an event says to look into the store.
  void hear(const FanOutWaits& fact);
  // This daemon does it from now on, beginning with what is in the store.
  void start();
  void stop();  // another daemon does it from now on. A step under way ends with the commits, and is the last

 private:
  using Job = UnfinishedFanOut;

  void add(Job job);
  void go_on();
  void read_more();
  void step();
  ExpandEvent expand(const Job& job, std::size_t room) const;
  void submit(ExpandEvent command, Job job);
  void put_back(Job job);

  Executor& executor_;
  Store& store_;
  GroupCommit& commits_;
  const EndpointDirectory& directory_;
  const Options options_;

  // Of the executor's thread.
  std::unique_ptr<StoreReader> reader_;  // null: not opened yet
  std::deque<Job> queue_;                // oldest first
  EventSeq newest_ = 0;                  // the last one that was put there
  bool left_in_store_ = false;  // events newer than that may be unfinished, which the store alone remembers
  std::size_t under_way_ = 0;   // commands
  bool waits_ = false;          // for a store that was busy
  bool stopped_ = true;
};

}  // namespace outboxd
