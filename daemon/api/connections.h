// The HTTP server's open connections: admits them within the quotas, routes each answer to its connection, and closes
// those that are too slow. What happens on a single connection is in connection.h. Belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "api/connection.h"

namespace outboxd::api {

class Connections {
 public:
  // Sets `env.on_closed` itself.
  explicit Connections(Connection::Environment env);
  ~Connections();  // closes all
  Connections(const Connections&) = delete;

  void add(int fd, const Listener& listener);  // an accepted socket; over quota it is refused and closed
  void answer(const Finished& finished);       // as Connection::answer(); no effect when it has gone
  void take_piece(Piece& piece);               // likewise
  // Ends the answers that go on to callers over TCP: who may call has changed, and they ask again.
  void end_streams_over_tcp();
  // Closes the idle ones, and ends the answers that go on; the others close when they have been answered.
  void stop();
  bool any_busy() const;
  // Destroys closed connections. To be called between events, because a closed connection may still be on the stack.
  void erase_closed();

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    bool admitted = true;  // false: over quota, open only until it has been told so
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
