// Deliveries in order: of the pending deliveries with the same endpoint and sequence key, the one accepted first is the
// head and the others are blocked. Every command that adds or removes such a delivery maintains this.
//
// Any daemon adds deliveries, so whoever looks at an order to change it holds its lock until the commit: an advisory lock,
// one of kLocks by the hash of endpoint and key, so that their number is bounded. Numbers of events are drawn under it, so
// what is accepted later has the higher number.
//
// A part of the Writer: call it within the transaction of the command that changes the delivery.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/postgresql/connection.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class DeliveryOrder {
 public:
  static constexpr int kLocks = 1024;

  explicit DeliveryOrder(Connection& db);

  // The place of a delivery that is about to become pending with this sequence key. If it precedes the current head,
  // that one is demoted (on a repeat it may have been demoted the first time).
  struct Place {
    bool blocked = false;
    std::optional<DeliveryKey> demoted;
  };
  Place place(DeliveryKey key, const std::optional<std::string>& sequence_key,
              const Transaction& transaction);
  // After a delivery has left the order: true if the next one was blocked and is now the head.
  bool promote(EndpointSeq endpoint, const std::string& sequence_key);
  // The next delivery after `key` in the same order.
  std::optional<DeliveryKey> next_in_order(DeliveryKey key, const std::string& sequence_key);
  // Absent: the delivery is not pending, or is in no order.
  std::optional<std::string> sequence_key_of_pending(DeliveryKey key);

  // For many at once, in one statement each. The numbers of the locks are what lock_many takes, in any order.
  static int lock_of(EndpointSeq endpoint, std::string_view sequence_key);
  Statement& lock_many() { return lock_many_; }  // bigint[]: the locks, ascending
  Statement& heads() { return heads_; }          // bigint[], text[] -> index (from 1), first event
  Statement& promote_many() {
    return promote_many_;
  }  // bigint[], text[] -> index (from 1) of those with a new head

 private:
  struct First {
    EventSeq event = 0;
    bool blocked = false;
  };
  std::optional<First> first_in_order(EndpointSeq endpoint, const std::string& sequence_key,
                                      EventSeq after = 0);
  void lock(EndpointSeq endpoint, std::string_view sequence_key);

  Statement lock_many_, heads_, promote_many_;
  Statement first_in_order_, set_blocked_, sequence_key_of_pending_;
};

}  // namespace outboxd::postgresql
