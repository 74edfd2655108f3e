#include "store/postgresql/run_orders.h"

#include "store/postgresql/columns.h"

namespace outboxd::postgresql {
namespace {

using Orders = std::vector<const RunOrders::Order*>;

std::vector<std::int64_t> endpoints_of(const Orders& orders) {
  return column<std::int64_t>(orders, [](const auto* order) { return order->first; });
}
std::vector<std::string_view> keys_of(const Orders& orders) {
  return column<std::string_view>(orders, [](const auto* order) { return std::string_view(order->second); });
}

}  // namespace

void RunOrders::ask(Pipeline& pipeline) {
  if (pending_.empty()) return;
  std::set<std::int64_t> locks;
  asked_.reserve(pending_.size());
  for (const auto& [order, events] : pending_) {
    locks.insert(DeliveryOrder::lock_of(order.first, order.second));
    asked_.push_back(&order);
  }
  pipeline.add(order_.lock_many(), std::vector<std::int64_t>(locks.begin(), locks.end()));
  heads_at_ = pipeline.size();
  pipeline.add(order_.heads(), endpoints_of(asked_), keys_of(asked_));
}

void RunOrders::hear(const Pipeline& pipeline) {
  if (!heads_at_) return;
  Cursor head = pipeline.rows(*heads_at_);
  while (head.next()) add(head.integer(1), *asked_.at(static_cast<std::size_t>(head.integer(0)) - 1));
}

bool RunOrders::add(EventSeq event, const Order& order) {
  std::set<EventSeq>& events = pending_[order];
  events.insert(event);
  return *events.begin() != event;
}

void RunOrders::remove(EventSeq event, const Order& order, std::optional<std::size_t> fact) {
  const auto found = pending_.try_emplace(order).first;
  found->second.erase(event);
  auto& facts = left_[&found->first];
  if (fact) facts.push_back(*fact);
}

void RunOrders::write(Pipeline& pipeline) {
  if (left_.empty()) return;
  promoted_.reserve(left_.size());
  for (const auto& [order, facts] : left_) promoted_.push_back(order);
  promote_at_ = pipeline.size();
  pipeline.add(order_.promote_many(), endpoints_of(promoted_), keys_of(promoted_));
}

std::vector<std::size_t> RunOrders::promoting(const Pipeline& pipeline) const {
  std::vector<std::size_t> facts;
  if (!promote_at_) return facts;
  Cursor row = pipeline.rows(*promote_at_);
  while (row.next()) {
    const auto& left = left_.at(promoted_.at(static_cast<std::size_t>(row.integer(0)) - 1));
    facts.insert(facts.end(), left.begin(), left.end());
  }
  return facts;
}

void RunOrders::end() {
  pending_.clear();
  asked_.clear();
  left_.clear();
  promoted_.clear();
  heads_at_.reset();
  promote_at_.reset();
}

}  // namespace outboxd::postgresql
