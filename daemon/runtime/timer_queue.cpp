#include "runtime/timer_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace outboxd {
namespace {

constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kChildren = 4;

}  // namespace

TimerQueue::Id TimerQueue::add(MonotonicTime when, Task task) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  slot.task = std::move(task);
  slot.place = kNowhere;
  const Entry entry{when, next_sequence_++, index};
  if (in_round_) {
    added_meanwhile_.push_back({entry, slot.generation});
  } else {
    push(entry);
  }
  return {when, std::uint64_t{slot.generation} << 32 | index};
}

void TimerQueue::cancel(Id id) {
  const auto index = static_cast<std::uint32_t>(id.second);
  if (index >= slots_.size() || slots_[index].generation != id.second >> 32) return;
  if (slots_[index].place != kNowhere) remove(slots_[index].place);
  free(index);
}

TimerQueue::Task TimerQueue::take_first() {
  const std::uint32_t index = heap_.front().slot;
  Task task = std::move(slots_[index].task);
  remove(0);
  free(index);
  return task;
}

void TimerQueue::end_round() {
  in_round_ = false;
  for (const Added& added : added_meanwhile_) {
    if (slots_[added.entry.slot].generation == added.generation) push(added.entry);
  }
  added_meanwhile_.clear();
}

void TimerQueue::free(std::uint32_t index) {
  Slot& slot = slots_[index];
  const Task ended = std::move(slot.task);  // destroyed last: what it owns may set or cancel a timer
  slot.task = nullptr;
  if (++slot.generation == 0) slot.generation = 1;
  free_slots_.push_back(index);
}

void TimerQueue::push(const Entry& entry) {
  heap_.push_back(entry);
  move_up(static_cast<std::uint32_t>(heap_.size()) - 1, entry);
}

void TimerQueue::remove(std::uint32_t place) {
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  if (place > 0 && last < heap_[(place - 1) / kChildren]) {
    move_up(place, last);
  } else {
    move_down(place, last);
  }
}

void TimerQueue::put(std::uint32_t place, const Entry& entry) {
  heap_[place] = entry;
  slots_[entry.slot].place = place;
}

void TimerQueue::move_up(std::uint32_t place, const Entry& entry) {
  while (place > 0) {
    const std::uint32_t parent = (place - 1) / kChildren;
    if (!(entry < heap_[parent])) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

void TimerQueue::move_down(std::uint32_t place, const Entry& entry) {
  const auto size = static_cast<std::uint32_t>(heap_.size());
  while (place < (size + kChildren - 2) / kChildren) {  // it has a child
    const std::uint32_t first = place * kChildren + 1;
    const auto begin = heap_.begin() + first;
    const auto end = heap_.begin() + std::min(first + kChildren, size);
    const auto least = static_cast<std::uint32_t>(std::min_element(begin, end) - heap_.begin());
    if (!(heap_[least] < entry)) break;
    put(place, heap_[least]);
    place = least;
  }
  put(place, entry);
}

}  // namespace outboxd
