#include "faults/power_loss_workload.h"

#include "common/text.h"
#include "faults/recording_vfs.h"
#include "store/sqlite/database.h"
#include "support/store_values.h"

namespace outboxd::faults {
namespace {

constexpr int kCacheKib = 2000;
constexpr std::size_t kEndpoints = 4;
constexpr Millis kStep = std::chrono::seconds(1);

std::string filler(std::size_t bytes, std::uint64_t salt) {
  std::string text = "{\"n\":" + std::to_string(salt) + ",\"text\":\"";
  while (text.size() < bytes) text += static_cast<char>('a' + (text.size() * 7 + salt) % 26);
  return text + "\"}";
}

}  // namespace

std::string content_of(const std::string& path) {
  sqlite::Database db(path, sqlite::Mode::kReader, Millis(1000), kCacheKib);
  std::vector<std::string> tables;
  {
    sqlite::Statement list(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    sqlite::Cursor row(list);
    while (row.next()) tables.push_back(row.text(0));
  }
  std::string content;
  for (const auto& table : tables) {
    content += table + '\n';
    sqlite::Statement rows(db, "SELECT * FROM " + table);
    const auto columns =
        static_cast<int>(db.query_int("SELECT count(*) FROM pragma_table_info('" + table + "')"));
    sqlite::Cursor row(rows);
    while (row.next()) {
      for (int i = 0; i < columns; ++i) {
        const auto value = row.view(i);
        content += static_cast<char>('0' + row.type(i));
        content += std::to_string(value.size()) + ':';
        content += value;
      }
    }
  }
  return sha256(content);
}

Workload::Workload(std::string path, std::uint64_t seed) : clock_(test::kNow), random_(seed) {
  options_.path = std::move(path);
  options_.clock = &clock_;
  restart(true);
  for (std::size_t i = 0; i < kEndpoints; ++i) {
    Endpoint endpoint = test::new_endpoint();
    endpoint.id = EndpointId{next_uuid()};
    test::apply(*store_, CreateEndpoint{test::shared(std::move(endpoint))}).value();
  }
  endpoints_ = reader_->all_endpoints();
  note_content();
  store_->writer().finish();  // closed and whole: what a recording starts from
  reader_.reset();
  store_.reset();
}

Workload::~Workload() = default;

void Workload::restart(bool clean_stop) {
  try {
    if (clean_stop && store_) store_->writer().finish();
  } catch (const std::exception&) {
    store_failed_ = true;
    throw;
  }
  reader_.reset();
  store_.reset();
  store_ = open_sqlite_store(options_);
  reader_ = store_->new_reader();
  endpoints_ = reader_->all_endpoints();
}

void Workload::step() {
  clock_.advance(kStep);
  const auto choice = below(100);
  if (choice < 42) {
    accept();
  } else if (choice < 74) {
    record_outcomes();
  } else if (choice < 80) {
    insert_as_producer();
  } else if (choice < 86) {
    take_in_outbox();
  } else if (choice < 92) {
    operate();
  } else if (choice < 95) {
    change_endpoints();
  } else {
    prune();
  }
}

void Workload::apply(const std::vector<Command>& commands) {
  try {
    test::apply_all(*store_, commands);
    mark_step(++steps_);
    store_->writer().maintain();
  } catch (const std::exception&) {
    store_failed_ = true;
    throw;
  }
}

bool Workload::still_accepts() {
  try {
    accept();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

NewEvent Workload::new_event() {
  NewEvent event = test::new_event();
  event.event->id = EventId{next_uuid()};
  event.event->created_at = clock_.wall();
  event.event->priority = static_cast<int>(below(10));
  // Most fit a page, some take several.
  event.event->payload = filler(below(8) == 0 ? 5000 + below(20000) : 50 + below(600), uuids_);
  const bool ordered = below(3) == 0;
  if (ordered) event.event->ordering_key = "key-" + std::to_string(below(5));
  const auto& all = endpoints_.endpoints;
  const auto first = below(all.size());
  for (std::size_t i = 0, n = 1 + below(all.size()); i < n; ++i) {
    const auto& endpoint = all[(first + i) % all.size()];
    event.endpoints.push_back(
        {.endpoint = endpoint.seq, .ordering = ordered ? Ordering::kKey : Ordering::kNone});
  }
  if (below(4) == 0)
    event = test::with_key(std::move(event), "idempotency-" + std::to_string(below(50)), 'c');
  events_.push_back(event.event->id);
  return event;
}

AcceptEvents Workload::accepting() const {
  AcceptEvents accept = test::accepting({});
  accept.matched = endpoints_.version;
  return accept;
}

void Workload::accept() {
  std::vector<Command> commands;
  for (std::uint64_t i = 0, n = 1 + below(4); i < n; ++i) {
    AcceptEvents accept = accepting();
    for (std::uint64_t j = 0, m = 1 + below(5); j < m; ++j) accept.events.push_back(new_event());
    commands.emplace_back(std::move(accept));
  }
  apply(commands);
}

void Workload::record_outcomes() {
  std::vector<Command> commands;
  const EndpointSeq endpoint = some_endpoint();
  for (const auto& due : reader_->due(endpoint, static_cast<int>(1 + below(12)), 1 << 20).deliveries) {
    const int number = due.attempts_ever + 1;
    const auto luck = below(10);
    RecordOutcome outcome = luck < 6   ? test::delivered(due.key, number)
                            : luck < 9 ? test::failed(due.key, number, Millis(below(20'000)))
                                       : test::died(due.key, number);
    Attempt attempt = *outcome.attempt;
    outcome.at = attempt.started_at = clock_.wall();
    attempt.id = AttemptId{next_uuid()};
    attempt.response_body = filler(below(1500), uuids_);
    commands.emplace_back(test::with_attempt(std::move(outcome), std::move(attempt)));
  }
  if (below(4) == 0) commands.emplace_back(test::failing_since(endpoint, clock_.wall()));
  if (commands.empty()) return accept();
  apply(commands);
}

void Workload::insert_as_producer() {
  sqlite::Database db(options_.path, sqlite::Mode::kWriter, Millis(1000), kCacheKib);
  db.execute("BEGIN IMMEDIATE");
  for (std::uint64_t i = 0, n = 1 + below(3); i < n; ++i)
    db.execute("INSERT INTO outbox(type, payload) VALUES ('order.paid', '" +
               filler(100 + below(2000), random_()) + "')");
  db.execute("COMMIT");
  mark_step(++steps_);
}

void Workload::take_in_outbox() {
  AcceptEvents accept = accepting();
  for (const auto& row : reader_->outbox(10, 1 << 20)) {
    NewEvent event = new_event();
    event.event->payload = row.payload;
    event.outbox_row = row.row;
    event.idempotency_key.reset();
    accept.events.push_back(std::move(event));
  }
  if (accept.events.empty()) return insert_as_producer();
  apply({std::move(accept)});
}

void Workload::operate() {
  if (events_.empty()) return accept();
  const EventId event = events_[below(events_.size())];
  std::vector<Command> commands;
  commands.emplace_back(ReplayEvent{event, {some_endpoint()}, clock_.wall()});
  if (const auto row = reader_->event(event, false); row && row->event.seq > 0)
    commands.emplace_back(
        ChangeDelivery{{row->event.seq, some_endpoint()}, DeliveryState::kDiscarded, clock_.wall()});
  apply(commands);
}

void Workload::change_endpoints() {
  std::vector<Command> commands;
  Endpoint endpoint = test::new_endpoint();
  endpoint.id = EndpointId{next_uuid()};
  endpoint.created_at = endpoint.updated_at = clock_.wall();
  commands.emplace_back(CreateEndpoint{test::shared(std::move(endpoint))});
  commands.emplace_back(RemoveEndpoint{endpoints_.endpoints.front().id, clock_.wall()});
  commands.emplace_back(DiscardRemoved{.limit = 20, .at = clock_.wall()});
  apply(commands);
  endpoints_ = reader_->all_endpoints();
}

void Workload::prune() {
  const Time before = clock_.wall() - 40 * kStep;
  apply({Prune{.delivered_before = before, .dead_before = before, .at = clock_.wall(), .limit = 200}});
}

EndpointSeq Workload::some_endpoint() {
  return endpoints_.endpoints[below(endpoints_.endpoints.size())].seq;
}

// Ids that a second run gives again.
Uuid Workload::next_uuid() {
  Uuid uuid;
  ++uuids_;
  const auto time = static_cast<std::uint64_t>(unix_millis(clock_.wall()));
  for (std::size_t i = 0; i < 6; ++i) uuid.bytes[i] = static_cast<std::uint8_t>(time >> (40 - 8 * i));
  uuid.bytes[6] = 0x70;
  uuid.bytes[8] = 0x80;
  for (std::size_t i = 0; i < 6; ++i) uuid.bytes[15 - i] = static_cast<std::uint8_t>(uuids_ >> (8 * i));
  return uuid;
}

}  // namespace outboxd::faults
