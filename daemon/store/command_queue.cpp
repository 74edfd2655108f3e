#include "store/command_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace outboxd {

void CommandQueue::add(QueuedCommands& arrived) {
  for (QueuedCommand& command : arrived)
    (command.traits.ahead ? ahead_ : in_turn_).push_back(std::move(command));
  arrived.clear();
}

QueuedCommands CommandQueue::take() {
  QueuedCommands batch;
  batch.reserve(std::min(size(), limits_.commands));
  const Room taken = take_from(ahead_, room_ahead(), batch);
  take_from(in_turn_, room_in_turn(taken), batch);
  return batch;
}

// While others wait in turn, half of a transaction is theirs.
CommandQueue::Room CommandQueue::room_ahead() const {
  const auto less = [this](std::size_t limit) { return limit - std::min(in_turn_.size(), limit / 2); };
  return {less(limits_.commands), in_turn_.empty() ? limits_.bytes : limits_.bytes / 2, less(limits_.rows)};
}

// The share, or as many rows as those ahead took, as far as the transaction has room for them; half of a transaction it
// has in any case, also beside a command that fills it by itself.
CommandQueue::Room CommandQueue::room_in_turn(const Room& taken) const {
  const auto as_far_as = [](std::size_t wanted, std::size_t limit, std::size_t used) {
    return std::min(wanted, std::max(limit - std::min(used, limit), limit / 2));
  };
  const auto at_least = [this](std::size_t room, std::size_t limit) {
    return std::max(room, std::min(limits_.share, limit));
  };
  return {at_least(as_far_as(taken.rows, limits_.commands, taken.commands), limits_.commands),
          limits_.bytes / 2, at_least(as_far_as(taken.rows, limits_.rows, taken.rows), limits_.rows)};
}

CommandQueue::Room CommandQueue::take_from(Line& line, const Room& room, QueuedCommands& batch) {
  Room taken{};
  std::size_t count = 0;
  for (; count < line.size() && count < room.commands; ++count) {
    const CommandTraits& next = line[count].traits;
    if (count > 0 && (taken.bytes + next.bytes > room.bytes || taken.rows + next.rows > room.rows)) break;
    taken.bytes += next.bytes;
    taken.rows += next.rows;
  }
  taken.commands = count;
  const auto end = line.begin() + static_cast<std::ptrdiff_t>(count);
  std::move(line.begin(), end, std::back_inserter(batch));
  line.erase(line.begin(), end);
  return taken;
}

void CommandQueue::put_back(QueuedCommands& batch) {
  for (auto command = batch.rbegin(); command != batch.rend(); ++command)
    (command->traits.ahead ? ahead_ : in_turn_).push_front(std::move(*command));
  batch.clear();
}

QueuedCommands CommandQueue::take_refused() {
  QueuedCommands refused;
  for (Line* line : {&ahead_, &in_turn_}) {
    const auto is_kept = [](const QueuedCommand& command) { return !command.refused; };
    const auto first = std::stable_partition(line->begin(), line->end(), is_kept);
    std::move(first, line->end(), std::back_inserter(refused));
    line->erase(first, line->end());
  }
  return refused;
}

}  // namespace outboxd
