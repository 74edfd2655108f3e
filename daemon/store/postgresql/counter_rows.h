// The tables counter and endpoint_count: each slot has rows of its own, so that no daemon waits for another; what is meant is
// their sum.
//
// Every commit updates them, and while an old snapshot is open no former version of a row can be cleaned up, so whoever looks
// for the row walks over all of them: after ten minutes of 1,000 events a second the server did nothing else. So no row is
// updated for long. Changes are added to rows of a piece of the slot, and after kMaxVersions transactions these are moved into
// the rows of the slot itself, and the next piece begins. What is left of a piece when a daemon ends counts as it is.
#pragma once

#include <set>
#include <utility>

#include "store/postgresql/connection.h"
#include "store/postgresql/counters.h"

namespace outboxd::postgresql {

class CounterRows {
 public:
  static constexpr int kMaxVersions = 128;

  explicit CounterRows(Connection& db);

  // A transaction begins, in which changes belong to this slot. A negative one is shared, and has no pieces.
  void begin(int slot);
  // The commit is near: adds what has changed.
  void ask(Pipeline& last, const Counters& changes);
  void committed();

 private:
  // Which rows a piece may have, of transactions too of which it is not known whether they have committed.
  struct Piece {
    int number = 1;
    int transactions = 0;
    std::set<std::int64_t> days;
    std::set<std::pair<EndpointSeq, std::int64_t>> endpoints;
  };
  int slot_of_piece() const;
  void ask_move(Pipeline& last);

  Statement add_, add_of_endpoints_, move_, move_of_endpoints_;
  int slot_ = -1;
  Piece piece_;
  bool moving_ = false;  // with this transaction the piece ends
};

}  // namespace outboxd::postgresql
