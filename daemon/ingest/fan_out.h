// Fan-out in steps: the rest of the deliveries of events that match more endpoints than one transaction
// should write. The store remembers how far each has come, so a crash at any point neither loses nor doubles
// one. One thread; one step under way at a time, over all events, the oldest first.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "ingest/endpoint_directory.h"
#include "store/group_commit.h"
#include "store/store.h"

namespace outboxd {

// Where fresh deliveries go after their commit; called on the writer thread.
using OnAccepted = std::function<void(std::vector<DueDelivery>)>;

class FanOut {
 public:
  struct Options {
    Millis first_wait{0};         // as in Ingest::Options
    std::size_t step = 500;       // endpoints
    std::size_t remembered = 32;  // events in memory; more are read again from the store in their turn
  };
  FanOut(Store& store, GroupCommit& commits, const EndpointDirectory& directory, Options options,
         OnAccepted on_accepted);
  ~FanOut() { stop(); }
  FanOut(const FanOut&) = delete;

  // Goes on with what an earlier run left unfinished. The directory is loaded, the group commit started.
  void start();
  // No step begins after it. One that is under way ends with the commits: drain them before this is gone.
  void stop();

  // A committed event with `more_after`. On the writer thread: in the order of the commits.
  void add(const NewEvent& accepted);

 private:
  using Job = UnfinishedFanOut;

  void run();
  void read_more(std::unique_ptr<StoreReader>& reader);  // null: not opened yet
  void step();
  std::optional<Job> take();
  ExpandEvent expand(const Job& job, std::size_t room) const;
  void submit(ExpandEvent command);
  void drop(EventSeq event);

  Store& store_;
  GroupCommit& commits_;
  const EndpointDirectory& directory_;
  const Options options_;
  const OnAccepted on_accepted_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // All below guarded by mutex_.
  std::deque<Job> queue_;  // oldest first; put in front by the thread alone
  EventSeq newest_ = 0;    // the last one that was put there
  // Not zero: events newer than that may be unfinished, which the store alone remembers. Counts those added
  // to it.
  std::uint64_t left_in_store_ = 1;
  std::size_t under_way_ = 0;  // commands
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace outboxd
