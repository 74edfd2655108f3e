// The commands that wait for the writer, and which of them the next transaction takes.
//
// There are two lines, each first come, first served. *Ahead* are those whose effect does not depend on anything that
// was submitted before them and is not committed yet (CommandTraits::ahead): events that producers wait for. All others
// are taken *in turn*: outcomes of attempts, and what operators and the daemon change. They stay in one line, because
// what an operator asks for (replay, discard, erase) must find recorded what happened before.
//
// A transaction takes those ahead first. Of those in turn it takes no more than a share, so that ten thousand attempts
// that time out together do not stand before a producer's answer; but never less than the share, or as much as it took
// of those ahead, so that they keep pace. For the writer's thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "store/command_traits.h"
#include "store/store.h"

namespace outboxd {

struct QueuedCommand {
  Command command;
  std::function<void(Command&, Result<AnyAnswer>&)> completion;
  CommandTraits traits;
  MonotonicTime submitted{};
  std::optional<Problem> refused = {};
};
using QueuedCommands = std::vector<QueuedCommand>;

class CommandQueue {
 public:
  struct Limits {
    std::size_t commands = 1024;  // in one transaction
    std::size_t bytes = 8u << 20;
    std::size_t rows = 2000;
    std::size_t share = 256;  // commands, and rows, of those in turn
  };
  explicit CommandQueue(const Limits& limits) : limits_(limits) {}

  void add(QueuedCommands& arrived);  // leaves it empty
  // The next transaction, in the order in which its commands are to be carried out. A command that is larger than a
  // limit is taken all the same when it is the first of its line.
  QueuedCommands take();
  // What take() returned and was not committed goes back to where it was.
  void put_back(QueuedCommands& batch);

  std::size_t size() const { return ahead_.size() + in_turn_.size(); }
  bool empty() const { return size() == 0; }
  template <class F>
  void for_each(F act) {
    for (QueuedCommand& command : ahead_) act(command);
    for (QueuedCommand& command : in_turn_) act(command);
  }
  // Removes those that are refused, in order.
  QueuedCommands take_refused();

 private:
  struct Room {
    std::size_t commands, bytes, rows;
  };
  using Line = std::deque<QueuedCommand>;
  // Moves from the front of `line` what there is room for. Returns what it took up.
  static Room take_from(Line& line, const Room& room, QueuedCommands& batch);
  Room room_ahead() const;
  Room room_in_turn(const Room& taken) const;

  const Limits limits_;
  Line ahead_, in_turn_;
};

}  // namespace outboxd
