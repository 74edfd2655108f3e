// The open connections of the HTTP server: lets them in by the quotas, finds the one that an answer is for, and closes
// those that are too slow. What happens on one is connection.h's business. Belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "api/connection.h"

namespace outboxd::api {

class Connections {
 public:
  // Connections tell it what is closed: `env.on_closed` is not the caller's to set.
  explicit Connections(Connection::Environment env);
  ~Connections();  // closes all
  Connections(const Connections&) = delete;

  void add(int fd, const Listener& listener);  // an accepted socket; one too many is told so and closed
  void answer(Finished& finished);             // as Connection::answer(); no effect when it is gone
  // Closes the idle ones; the others close when they have been answered.
  void stop();
  bool any_busy() const;
  // Frees what was closed. To be called between events, because a closed connection may still be on the stack.
  void erase_closed();

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    bool admitted = true;  // false: one too many, here to be told so
  };
  void on_closed(std::uint64_t id);
  void arm_sweep();
  void sweep();

  Connection::Environment env_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::vector<std::uint64_t> closed_;  // to be erased
  std::uint64_t next_id_ = 1;
  std::size_t turned_away_ = 0;  // entries that are not admitted
  bool sweep_armed_ = false;
  EventLoop::TimerId sweep_timer_{};
};

}  // namespace outboxd::api
