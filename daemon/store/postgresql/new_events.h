// What accepting events stores, gathered over a run of commands and inserted together. A part of the EventWriter.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/postgresql/days.h"
#include "store/postgresql/pending_rows.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

// The place of a delivery in its order.
struct Place {
  std::optional<std::string> sequence_key = {};  // absent: it is in no order
  bool blocked = false;
};
// Gathers a delivery of an event, counts it, and tells of it.
void add_delivery(const std::shared_ptr<const Event>& event, EventSeq seq, int day, const FirstAttempt& first,
                  const Place& place, PendingRows& pending, Transaction& transaction);

class NewEvents {
 public:
  explicit NewEvents(Connection& db);

  // The pointers are to what the command holds, which outlives the transaction.
  void add(const Event& event, EventSeq seq, std::int64_t deliveries);
  void add_fan_out(const Event& event, EventSeq seq, EndpointSeq after, EndpointSeq last);
  // The use of an idempotency key; `replaces`: the event of the row of it that is there.
  void add_key(const NewEvent& event, EventSeq seq, std::int64_t expires_at,
               std::optional<EventSeq> replaces);
  void delete_outbox_row(std::int64_t row) { deleted_rows_.push_back(row); }
  void put_place(const SourceStep& step) { places_[step.source] = step.to; }

  void write(Pipeline& pipeline);
  void end_run();
  void committed();
  void rolled_back();
  void forget_days() { known_blocks_.clear(); }

 private:
  struct EventRow {
    const Event* event;
    EventSeq seq;
    std::int64_t deliveries;
  };
  struct FanOutRow {
    EventSeq event;
    int day;
    EndpointSeq after, last;
  };
  struct KeyRow {
    const NewEvent* event;
    EventSeq seq;
    std::int64_t expires_at;
    std::optional<EventSeq> replaces;
  };
  void write_events(Pipeline& pipeline);
  void write_keys(Pipeline& pipeline);
  void write_fan_outs(Pipeline& pipeline);
  void write_places(Pipeline& pipeline);

  std::vector<EventRow> events_;
  std::vector<FanOutRow> fan_outs_;
  // By tenant and key, in the order of their locks.
  std::map<std::pair<std::string_view, std::string_view>, KeyRow> keys_;
  std::vector<std::int64_t> deleted_rows_;
  std::map<std::string, SourcePlace> places_;
  // Blocks of numbers and their days that are known to be in event_block; and those that are not known yet.
  using Block = std::pair<std::int64_t, int>;
  std::set<Block> known_blocks_, new_blocks_;

  Statement insert_events_, insert_blocks_, insert_fan_outs_, delete_old_keys_, insert_keys_, delete_rows_;
  Statement put_places_;
};

}  // namespace outboxd::postgresql
