#include "store/postgresql/new_events.h"

#include "common/event_checksum.h"
#include "store/column_values.h"
#include "store/postgresql/columns.h"
#include "store/postgresql/event_statements.h"

namespace outboxd::postgresql {
namespace {

constexpr int kBlockBits = 16;  // of the numbers of a row of event_block
constexpr std::size_t kMaxKnownBlocks = 4096;

}  // namespace

void add_delivery(const std::shared_ptr<const Event>& event, EventSeq seq, int day, const FirstAttempt& first,
                  const Place& place, PendingRows& pending, Transaction& transaction) {
  const Event& e = *event;
  const std::int64_t due_at = transaction.due_millis(e.created_at + first.due_in, e.created_at);
  const DeliveryKey key{seq, first.endpoint};
  pending.add({.key = key,
               .day = day,
               .due_at = due_at,
               .priority = e.priority,
               .blocked = place.blocked,
               .sequence_key = place.sequence_key,
               .error = {},
               .created_at = millis(e.created_at),
               .expires_at = millis(e.expires_at),
               .after_batch = transaction.batches()});
  transaction.counters().add(key.endpoint, day, DeliveryState::kPending, 1);
  transaction.rollup().delivery_accepted(first.endpoint, e.type);
  if (place.blocked) return;
  const Millis due_in = transaction.due_in(from_unix_millis(due_at));
  if (!transaction.owns(first.endpoint)) return transaction.due_elsewhere(first.endpoint, due_in);
  transaction.tell(DeliveryReady{{.key = key,
                                  .due_at = from_unix_millis(due_at),
                                  .due_in = due_in,
                                  .created_at = e.created_at,
                                  .sequence_key = place.sequence_key,
                                  .expires_at = e.expires_at,
                                  .event = event}});
}

NewEvents::NewEvents(Connection& db)
    : insert_events_(db, sql::kInsertEvents),
      insert_blocks_(db, sql::kInsertBlocks),
      insert_fan_outs_(db, sql::kInsertFanOuts),
      delete_old_keys_(db, sql::kDeleteOldKeys),
      insert_keys_(db, sql::kInsertKeys),
      delete_rows_(db, sql::kDeleteRows),
      put_places_(db, sql::kPutPlaces) {}

void NewEvents::add(const Event& event, EventSeq seq, std::int64_t deliveries) {
  events_.push_back({&event, seq, deliveries});
  const Block block{seq >> kBlockBits, day_of(event.id)};
  if (!known_blocks_.contains(block)) new_blocks_.insert(block);
}

void NewEvents::add_fan_out(const Event& event, EventSeq seq, EndpointSeq after, EndpointSeq last) {
  fan_outs_.push_back({seq, day_of(event.id), after, last});
}

void NewEvents::add_key(const NewEvent& event, EventSeq seq, std::int64_t expires_at,
                        std::optional<EventSeq> replaces) {
  keys_.insert_or_assign({event.event->tenant, *event.idempotency_key},
                         KeyRow{&event, seq, expires_at, replaces});
}

void NewEvents::write_events(Pipeline& pipeline) {
  if (events_.empty()) return;
  using Text = std::string_view;
  using MaybeText = std::optional<std::string_view>;
  using MaybeInteger = std::optional<std::int64_t>;
  using Row = EventRow;
  const auto integers = [this](auto get) { return column<std::int64_t>(events_, get); };
  const auto texts = [this](auto get) { return column<Text>(events_, get); };
  const auto maybe_texts = [this](auto get) { return column<MaybeText>(events_, get); };
  const auto maybe_integers = [this](auto get) { return column<MaybeInteger>(events_, get); };
  const auto headers = column<std::optional<std::string>>(
      events_, [](const Row& r) { return encode_headers(r.event->headers); });
  pipeline.add(insert_events_, integers([](const Row& r) { return day_of(r.event->id); }),
               integers([](const Row& r) { return r.seq; }),
               column<Uuid>(events_, [](const Row& r) { return r.event->id.uuid; }),
               texts([](const Row& r) { return Text(r.event->tenant); }),
               texts([](const Row& r) { return Text(r.event->type); }),
               column<Bytes>(events_, [](const Row& r) { return Bytes{r.event->payload}; }),
               texts([](const Row& r) { return Text(r.event->content_type); }),
               maybe_texts([](const Row& r) { return MaybeText(r.event->ordering_key); }),
               integers([](const Row& r) { return r.event->priority; }), headers,
               maybe_texts([](const Row& r) { return MaybeText(r.event->traceparent); }),
               maybe_texts([](const Row& r) { return MaybeText(r.event->cloud_event); }),
               integers([](const Row& r) { return millis(r.event->created_at); }),
               maybe_integers([](const Row& r) { return millis(r.event->deliver_at); }),
               maybe_integers([](const Row& r) { return millis(r.event->expires_at); }),
               integers([](const Row& r) { return r.deliveries; }),
               integers([](const Row& r) { return event_checksum(*r.event, r.seq); }));
  if (new_blocks_.empty()) return;
  pipeline.add(insert_blocks_, column<std::int64_t>(new_blocks_, [](const Block& b) { return b.first; }),
               column<std::int64_t>(new_blocks_, [](const Block& b) { return b.second; }));
}

void NewEvents::write_keys(Pipeline& pipeline) {
  if (keys_.empty()) return;
  std::vector<std::string_view> old_tenants, old_keys;
  std::vector<std::int64_t> old_events;
  for (const auto& [key, row] : keys_) {
    if (!row.replaces) continue;
    old_tenants.push_back(key.first);
    old_keys.push_back(key.second);
    old_events.push_back(*row.replaces);
  }
  if (!old_events.empty()) pipeline.add(delete_old_keys_, old_tenants, old_keys, old_events);
  const auto integers = [this](auto get) { return column<std::int64_t>(keys_, get); };
  pipeline.add(insert_keys_, column<std::string_view>(keys_, [](const auto& k) { return k.first.first; }),
               column<std::string_view>(keys_, [](const auto& k) { return k.first.second; }),
               integers([](const auto& k) { return k.second.seq; }),
               integers([](const auto& k) { return day_of(k.second.event->event->id); }),
               column<Bytes>(keys_, [](const auto& k) { return Bytes{k.second.event->content_digest}; }),
               integers([](const auto& k) { return k.second.expires_at; }));
}

void NewEvents::write_fan_outs(Pipeline& pipeline) {
  if (fan_outs_.empty()) return;
  const auto integers = [this](auto get) { return column<std::int64_t>(fan_outs_, get); };
  pipeline.add(insert_fan_outs_, integers([](const FanOutRow& r) { return r.event; }),
               integers([](const FanOutRow& r) { return r.day; }),
               integers([](const FanOutRow& r) { return r.after; }),
               integers([](const FanOutRow& r) { return r.last; }));
}

void NewEvents::write_places(Pipeline& pipeline) {
  if (places_.empty()) return;
  const auto integers = [this](auto get) { return column<std::int64_t>(places_, get); };
  const auto texts = [this](auto get) { return column<std::string_view>(places_, get); };
  pipeline.add(put_places_, texts([](const auto& p) { return std::string_view(p.first); }),
               texts([](const auto& p) { return std::string_view(p.second.database); }),
               integers([](const auto& p) { return p.second.relayed; }),
               integers([](const auto& p) { return p.second.cleared; }));
}

void NewEvents::write(Pipeline& pipeline) {
  write_events(pipeline);
  write_keys(pipeline);
  write_fan_outs(pipeline);
  if (!deleted_rows_.empty()) pipeline.add(delete_rows_, deleted_rows_);
  write_places(pipeline);
}

void NewEvents::end_run() {
  events_.clear();
  fan_outs_.clear();
  keys_.clear();
  deleted_rows_.clear();
  places_.clear();
}

void NewEvents::committed() {
  if (known_blocks_.size() > kMaxKnownBlocks) known_blocks_.clear();
  known_blocks_.merge(new_blocks_);
  new_blocks_.clear();
}

void NewEvents::rolled_back() {
  end_run();
  new_blocks_.clear();
}

}  // namespace outboxd::postgresql
