// The timers of one event loop: a heap by time, in which each timer knows its place. Setting and cancelling one costs
// O(log n) and, once as many have been set before, no memory. Used by one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "common/executor.h"

namespace outboxd {

class TimerQueue {
 public:
  using Task = Executor::Task;
  using Id = Executor::TimerId;

  // Timers that are due at the same time come in the order in which they were added.
  Id add(MonotonicTime when, Task task);
  void cancel(Id id);  // no effect if it is over, or for an Id{}

  bool empty() const { return heap_.empty() && added_meanwhile_.empty(); }
  // When the first timer is due. REQUIRES: not empty(), not between begin_round() and end_round().
  MonotonicTime first() const { return heap_.front().when; }

  // From begin_round() to end_round() timers are added behind all that are due, so that a task which sets
  // itself again at once does not run again in the same round.
  void begin_round() { in_round_ = true; }
  bool has_due(MonotonicTime now) const { return !heap_.empty() && heap_.front().when <= now; }
  Task take_first();  // the timer is over with that. REQUIRES: has_due()
  void end_round();

 private:
  struct Entry {
    MonotonicTime when;
    std::uint64_t sequence;
    std::uint32_t slot;
    bool operator<(const Entry& other) const {
      return when != other.when ? when < other.when : sequence < other.sequence;
    }
  };
  struct Slot {
    Task task;
    std::uint32_t generation = 1;  // of the timer in it: an Id of an earlier one has no effect
    std::uint32_t place = 0;       // in heap_, or kNowhere
  };
  void free(std::uint32_t slot);
  void push(const Entry& entry);
  void remove(std::uint32_t place);
  void put(std::uint32_t place, const Entry& entry);
  void move_up(std::uint32_t place, const Entry& entry);
  void move_down(std::uint32_t place, const Entry& entry);

  std::vector<Entry>
      heap_;  // of four children each: flatter than with two, and they share a cache line or two
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  struct Added {
    Entry entry;
    std::uint32_t generation;
  };
  std::vector<Added> added_meanwhile_;
  bool in_round_ = false;
  std::uint64_t next_sequence_ = 1;
};

}  // namespace outboxd
