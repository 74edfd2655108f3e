// The orders (delivery_order.h) that a run of commands touches. The run's deliveries are taken out of the database first and
// put back at its end, so meanwhile it is kept here what is pending in each order: enough to say whether a new delivery is
// the head, for its number is higher than all others.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/postgresql/delivery_order.h"

namespace outboxd::postgresql {

class RunOrders {
 public:
  using Order = std::pair<EndpointSeq, std::string>;

  explicit RunOrders(DeliveryOrder& order) : order_(order) {}

  // Something of it may come or go in this run.
  void expect(Order order) { pending_.try_emplace(std::move(order)); }
  bool any() const { return !pending_.empty(); }
  // Takes the locks, then looks for the heads of the orders in the database.
  void ask(Pipeline& pipeline);
  void hear(const Pipeline& pipeline);

  // A delivery becomes pending, or is pending although it was taken out. True: others go before it.
  bool add(EventSeq event, const Order& order);
  // It is not pending any more, which is told by this fact of the transaction (absent: by none).
  void remove(EventSeq event, const Order& order, std::optional<std::size_t> fact);

  // Makes heads of those who are first now, when the pending ones are back in the database.
  void write(Pipeline& pipeline);
  // The facts of the deliveries that made room for others.
  std::vector<std::size_t> promoting(const Pipeline& pipeline) const;
  void end();

 private:
  DeliveryOrder& order_;
  std::map<Order, std::set<EventSeq>> pending_;
  std::vector<const Order*> asked_;  // in the order of the arrays
  std::map<const Order*, std::vector<std::size_t>> left_;
  std::vector<const Order*> promoted_;
  std::optional<std::size_t> heads_at_, promote_at_;
};

}  // namespace outboxd::postgresql
