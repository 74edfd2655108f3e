#include "outbound/handshake_queue.h"

namespace outboxd {

void HandshakeQueue::enter(Entry& entry) {
  if (entry.place_) return;
  entry.place_ = waiting_.insert(waiting_.end(), &entry);
  run_.schedule();
}

void HandshakeQueue::leave(Entry& entry) {
  if (!entry.place_) return;
  waiting_.erase(*entry.place_);
  entry.place_.reset();
}

void HandshakeQueue::run() {
  const auto enough = std::chrono::steady_clock::now() + kTimeARound;
  for (std::size_t n = waiting_.size(); n > 0 && !waiting_.empty(); --n) {
    Entry& next = *waiting_.front();
    leave(next);
    next.shake_hands();
    if (std::chrono::steady_clock::now() >= enough) break;
  }
  if (!waiting_.empty()) run_.schedule();
}

}  // namespace outboxd
