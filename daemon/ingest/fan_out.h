// Fan-out in steps: makes the remaining deliveries of events that match more endpoints than one transaction should
// write. The store remembers how far each event has come, so a crash at any point neither loses nor duplicates a
// delivery. Only one step is under way at a time, over all events, oldest first. Runs on an executor, at the owner of
// partition 0.
#pragma once

#include <cstdint>
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
    std::size_t remembered = 32;  // events held in memory; the others are read from the store in their turn
  };
  // `executor` and `commits` must end before this is destroyed.
  FanOut(Executor& executor, Store& store, GroupCommit& commits, const EndpointDirectory& directory,
         Options options);
  FanOut(const FanOut&) = delete;

  // Any thread. start() continues what the store holds unfinished, whoever began it. Before start() and after stop() it
  // does nothing, because another daemon does the work. A step under way ends with the commits.
  void start();
  void stop();
  // Any thread; facts in the order of their commits. A fact without an event is a hint to look into the store.
  void hear(const FanOutWaits& fact);

 private:
  using Job = UnfinishedFanOut;

  void begin_term(bool started);
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

  // Only for the executor's thread.
  std::unique_ptr<StoreReader> reader_;  // null: not opened yet
  std::deque<Job> queue_;                // oldest first
  EventSeq newest_ = 0;                  // the newest event put into the queue
  bool left_in_store_ = true;  // events newer than newest_ may be unfinished, known only to the store
  std::size_t under_way_ = 0;  // commands of the current term
  bool started_ = false;
  // Counts the starts and stops: commands of an earlier term are not counted in this one.
  std::uint64_t term_ = 0;
  bool waits_ = false;  // waiting for a store that was busy
};

}  // namespace outboxd
