#include "api/connections.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxTurnedAway = 64;  // are told that there is no place; more are just closed
constexpr Millis kMinSweepInterval{10};
constexpr Millis kMaxSweepInterval{500};
constexpr std::size_t kReadBytes = 64u << 10;

}  // namespace

Connections::Connections(Connection::Environment env) : env_(std::move(env)) {
  env_.on_closed = [this](std::uint64_t id) { on_closed(id); };
  env_.read_buffer.resize(kReadBytes);
}

Connections::~Connections() {
  env_.loop.cancel(sweep_timer_);
  for (auto& [id, entry] : entries_) entry.connection->close();
}

void Connections::add(int fd, const Listener& listener) {
  auto caller = describe_caller(fd, listener);
  const auto refusal = env_.quotas.why_no_place(caller->counted_as);
  const bool may_be_told = !refusal || turned_away_ < kMaxTurnedAway;
  TlsSession tls = listener.tls && may_be_told ? listener.tls->accept(fd) : nullptr;
  if (!may_be_told || (listener.tls && !tls)) {
    ::close(fd);
    return;
  }
  const auto id = next_id_++;
  if (refusal) {
    ++turned_away_;
  } else {
    env_.quotas.add_connection(caller->counted_as);
  }
  auto& entry = entries_[id];
  entry.admitted = !refusal;
  entry.connection = std::make_unique<Connection>(id, fd, std::move(tls), std::move(caller), env_);
  Connection& connection = *entry.connection;
  env_.loop.watch(fd, EPOLLIN, [&connection](std::uint32_t events) { connection.on_event(events); });
  if (refusal) connection.refuse(*refusal);
  arm_sweep();
}

void Connections::answer(const Finished& finished) {
  const auto found = entries_.find(finished->ticket().connection);
  if (found != entries_.end()) found->second.connection->answer(finished);
}

void Connections::take_piece(Piece& piece) {
  const auto found = entries_.find(piece.connection);
  if (found != entries_.end()) found->second.connection->take_piece(piece);
}

void Connections::end_streams_over_tcp() {
  for (auto& [id, entry] : entries_) {
    if (!entry.connection->caller().unix_socket) entry.connection->end_stream();
  }
}

void Connections::stop() {
  env_.stopping = true;
  for (auto& [id, entry] : entries_) {
    entry.connection->end_stream();
    if (entry.connection->is_idle()) entry.connection->close();
  }
}

bool Connections::any_busy() const {
  return std::ranges::any_of(entries_, [](const auto& entry) { return entry.second.connection->is_busy(); });
}

void Connections::erase_closed() {
  for (const auto id : closed_) entries_.erase(id);
  closed_.clear();
}

void Connections::on_closed(std::uint64_t id) {
  const Entry& entry = entries_.at(id);
  if (entry.admitted) {
    env_.quotas.remove_connection(entry.connection->caller().counted_as);
  } else {
    --turned_away_;
  }
  closed_.push_back(id);
}

void Connections::arm_sweep() {
  if (sweep_armed_) return;
  sweep_armed_ = true;
  const auto& t = env_.timeouts;
  const auto interval =
      std::clamp(std::min({t.head, t.body, t.idle}) / 4, kMinSweepInterval, kMaxSweepInterval);
  sweep_timer_ = env_.loop.call_at(env_.loop.now() + interval, [this] { sweep(); });
}

void Connections::sweep() {
  sweep_armed_ = false;
  for (auto& [id, entry] : entries_) entry.connection->check_deadline();
  if (entries_.size() > closed_.size()) arm_sweep();
}

}  // namespace outboxd::api
