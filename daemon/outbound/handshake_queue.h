// TLS handshakes take a bounded part of each round of the loop: one step is up to a millisecond of arithmetic, and a
// thousand receivers may answer at once. Those that have to wait go on in the next rounds, first come, first served.
#pragma once

#include <list>
#include <optional>

#include "common/time.h"
#include "outbound/deferred.h"

namespace outboxd {

class HandshakeQueue {  // every call on the loop's thread
 public:
  class Entry {
   public:
    virtual ~Entry() { queue_.leave(*this); }
    Entry(const Entry&) = delete;
    virtual void shake_hands() = 0;  // one step; may destroy the entry

   protected:
    explicit Entry(HandshakeQueue& queue) : queue_(queue) {}

   private:
    friend class HandshakeQueue;
    HandshakeQueue& queue_;
    std::optional<std::list<Entry*>::iterator> place_;  // while it waits
  };

  explicit HandshakeQueue(EventLoop& loop) : run_(loop, [this] { run(); }) {}
  HandshakeQueue(const HandshakeQueue&) = delete;

  // Its shake_hands() is called soon, never from inside this. No effect if it waits already.
  void enter(Entry& entry);

  // After this time in a round no further step is begun.
  static constexpr Millis kTimeARound{1};

 private:
  void leave(Entry& entry);
  void run();

  std::list<Entry*> waiting_;
  Deferred run_;
};

}  // namespace outboxd
