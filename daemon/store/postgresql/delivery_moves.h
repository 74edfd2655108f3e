// What an operator does to deliveries, one or hundreds of them at once: put back to pending, made, or discarded. A part of
// the Writer, for those parts that say which.
//
// Any daemon carries out what an operator wants, whoever owns the endpoint and records outcomes for it meanwhile. So what
// is to be changed is looked at under the locks of its rows, and of its order: first those of the orders, as everybody
// takes them. A step of hundreds takes as many round trips as one delivery does.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/endpoint.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/delivery_order.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

// The event of a delivery that may be sent again.
struct EventToSend {
  EventSeq seq = 0;
  int day = 0;
  int priority = 0;
  std::optional<std::string> ordering_key;
  std::optional<Time> payload_erased_at;
};

class DeliveryMoves {
 public:
  DeliveryMoves(Connection& db, DeliveryOrder& order);

  struct Stored {
    Delivery delivery;
    int day = 0;
    std::optional<std::string> sequence_key;  // while pending
    std::int64_t after_batch = 0;
  };
  // A delivery, there or not, with all that its change depends on.
  struct Subject {
    DeliveryKey key;
    std::optional<Stored> stored;
    std::optional<EventToSend> event;  // absent: it is gone
    std::optional<Ordering> ordering;  // absent: the endpoint is gone, or removed
    // With which it would be pending.
    std::optional<std::string> sequence_key() const {
      return ordering && event ? sequence_key_of(*ordering, event->ordering_key) : std::nullopt;
    }
  };
  // Locks what is there until the commit. In the order of the keys; `makes`: deliveries that are not there may be made.
  std::vector<Subject> look_at(const std::vector<DeliveryKey>& keys, bool makes,
                               const Transaction& transaction);

  // A change that is allowed: what is there becomes pending or discarded, or what is not there pending.
  struct Move {
    const Subject* subject;
    DeliveryState to = DeliveryState::kPending;
  };
  // Announces what is withdrawn, then what is due; `wake`: the endpoints are to be tried whatever their health
  // (DueOnDisk::by_operator).
  void carry_out(const std::vector<Move>& moves, Time at, bool wake, Transaction& transaction);

  // What a delivery is now, without locking it.
  std::optional<Delivery> find(DeliveryKey key, const Transaction& transaction);

 private:
  using Order = std::pair<EndpointSeq, std::string>;  // endpoint and sequence key
  using Orders = std::set<Order>;
  struct OrderColumns;
  struct KeyColumns;
  Orders look_around(std::vector<Subject>& subjects, const KeyColumns& keys, bool makes);
  void lock(const Orders& orders);
  // The heads of these orders, as far as they have any.
  using Heads = std::map<Order, EventSeq>;
  static Heads heads_of(Cursor row, const OrderColumns& columns);
  std::optional<std::size_t> add_changes(Pipeline& pipeline, const std::vector<Move>& moves, Time at,
                                         const Transaction& transaction);
  struct HeadChanges {
    std::vector<DeliveryKey> demoted, promoted;
  };
  HeadChanges set_heads(const Heads& before, const Heads& after);
  void tell(const std::vector<Move>& moves, const HeadChanges& changes, bool wake, Transaction& transaction);

  Connection& db_;
  DeliveryOrder& order_;
  Statement orders_, endpoints_, events_to_send_, events_to_make_, lock_pending_, lock_finished_;
  Statement discard_, bury_, revive_, reset_, insert_;
  Statement demote_, promote_, find_pending_, find_finished_;
};

}  // namespace outboxd::postgresql
