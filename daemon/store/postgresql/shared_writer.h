// The writer as the group commit sees it: the real one, and what must hear of its commits before anybody is told of them:
// where this daemon's fetches begin, and the other daemons.
#pragma once

#include "store/postgresql/doorbell.h"
#include "store/postgresql/due_marks.h"
#include "store/postgresql/foreign_changes.h"
#include "store/postgresql/standing.h"
#include "store/store.h"

namespace outboxd::postgresql {

class SharedWriter final : public StoreWriter {
 public:
  struct Hearers {
    const Standing& standing;
    Doorbell& doorbell;
    OwnEvents& own_events;
    DueMarks& marks;
  };
  SharedWriter(StoreWriter& real, const Hearers& hearers) : real_(real), to_(hearers) {}

  Applied apply(const Batch& batch) override {
    Applied applied = real_.apply(batch);
    for (const Fact& fact : applied.facts) lower_marks(fact);
    if (to_.standing.members() > 1) {
      to_.own_events.add(applied.facts);
      to_.doorbell.ring(applied.facts, to_.standing.owned());
    }
    return applied;
  }
  void maintain() override { real_.maintain(); }
  void finish() override { real_.finish(); }

 private:
  // What was blocked may have been due for long when it becomes the first of its order, and so may be what has waited for
  // its commit.
  void lower_marks(const Fact& fact) {
    if (const auto* ready = std::get_if<DeliveryReady>(&fact);
        ready != nullptr && ready->delivery.due_in < -DueMarks::kLate)
      to_.marks.lower(ready->delivery.key.endpoint, ready->delivery.due_at);
    if (const auto* outcome = std::get_if<OutcomeRecorded>(&fact);
        outcome != nullptr && (outcome->promoted || outcome->due_in.value_or(Millis(0)) < -DueMarks::kLate))
      to_.marks.forget(outcome->key.endpoint);
    if (const auto* due = std::get_if<DueOnDisk>(&fact);
        due != nullptr && (due->by_operator || due->due_in <= Millis(0)))
      to_.marks.forget(due->endpoint);
  }

  StoreWriter& real_;
  const Hearers to_;
};

}  // namespace outboxd::postgresql
