#include "outbound/connection_pool.h"

#include <functional>
#include <utility>

namespace outboxd {
namespace {

constexpr std::size_t kLentPart = 8;  // of what is kept, this part, and one more, may be lent

}  // namespace

std::size_t ConnectionPool::Hash::operator()(const ConnectionKey& key) const {
  return std::hash<std::string_view>()(key.host) ^ (std::hash<const void*>()(key.tls) * 31) ^ key.port;
}

ConnectionPool::~ConnectionPool() {
  clear();
}

std::shared_ptr<ConnectionGroup> ConnectionPool::group_of(const ConnectionKey& key,
                                                          std::shared_ptr<TlsContext> context) {
  if (const auto known = groups_.find(key); known != groups_.end()) return known->second.lock();
  const auto forget = [this](ConnectionGroup* group) {
    groups_.erase(group->key);
    delete group;
  };
  std::shared_ptr<ConnectionGroup> group(
      new ConnectionGroup{std::string(key.host), std::move(context), {}, {}}, forget);
  group->key = {group->context.get(), group->host, key.port};
  groups_.emplace(group->key, group);
  return group;
}

void ConnectionPool::give(std::unique_ptr<Connection> connection, MonotonicTime now) {
  if (max_idle_ == 0 || now - connection->opened_at >= kMaxAge) return;
  Connection& c = *connection.release();
  c.transfer = nullptr;
  c.kept = true;
  c.idle_since_ = now;
  c.newer_of_group_ = nullptr;
  c.older_of_group_ = std::exchange(c.group->newest_idle, &c);
  if (c.older_of_group_ != nullptr) c.older_of_group_->newer_of_group_ = &c;
  c.newer_ = nullptr;
  c.older_ = std::exchange(newest_, &c);
  (c.older_ != nullptr ? c.older_->newer_ : oldest_) = &c;
  ++idle_;
  // Two, so that more leave than come while there are any that nobody will take.
  for (int i = 0; i < 2 && idle_ > 0 && (is_full() || now - oldest_->idle_since_ >= kMaxIdle); ++i)
    close(*oldest_);  // NOLINT(clang-analyzer-cplusplus.NewDelete): it takes it out of the list first
}

std::unique_ptr<Connection> ConnectionPool::take(const ConnectionKey& key, MonotonicTime now) {
  const auto known = groups_.find(key);
  if (known == groups_.end()) return nullptr;
  const auto group = known->second.lock();  // closing its last connection would end it
  while (group->newest_idle != nullptr) {   // NOLINT(clang-analyzer-cplusplus.NewDelete): as in give()
    auto connection = remove(*group->newest_idle);
    if (now - connection->opened_at < kMaxAge && now - connection->idle_since_ < kMaxIdle) return connection;
  }
  return nullptr;
}

bool ConnectionPool::lend() {
  if (lent_ > max_idle_ / kLentPart) return false;
  ++lent_;
  if (is_full() && idle_ > 0) close(*oldest_);
  return true;
}

void ConnectionPool::close(Connection& idle) {
  remove(idle);
}

std::unique_ptr<Connection> ConnectionPool::remove(Connection& c) {
  (c.newer_of_group_ != nullptr ? c.newer_of_group_->older_of_group_ : c.group->newest_idle) =
      c.older_of_group_;
  if (c.older_of_group_ != nullptr) c.older_of_group_->newer_of_group_ = c.newer_of_group_;
  (c.newer_ != nullptr ? c.newer_->older_ : newest_) = c.older_;
  (c.older_ != nullptr ? c.older_->newer_ : oldest_) = c.newer_;
  --idle_;
  return std::unique_ptr<Connection>(&c);
}

void ConnectionPool::clear() {
  while (oldest_ != nullptr) close(*oldest_);
}

}  // namespace outboxd
