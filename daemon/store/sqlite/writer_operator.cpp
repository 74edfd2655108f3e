// Endpoints, and an operator's hand on deliveries.
#include <algorithm>

#include "store/sqlite/rows.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {
namespace {

Problem not_found(std::string_view what) {
  return {ProblemCode::kNotFound, "there is no such " + std::string(what)};
}

// `updated_at` tells versions apart, so two changes never share one.
Time next_version(Time wanted, Time last) {
  return std::max(wanted, last + Millis(1));
}

}  // namespace

void Writer::execute(CreateEndpoint& command, Write&) {
  Endpoint& e = command.endpoint;
  e.seq = ++now_.endpoint_seq;
  const EndpointColumns columns(e, secrets_.get());
  insert_endpoint_.run(e.seq, as_blob(e.id.uuid), e.url, e.name, e.tenant, columns.types, columns.secrets,
                       columns.headers, to_string(e.format), columns.timeout, columns.retry_schedule,
                       columns.max_in_flight, to_string(e.state), e.disabled_reason, e.metadata,
                       millis(e.created_at), millis(e.updated_at), columns.rate_limit_count,
                       columns.rate_limit_per, to_string(e.ordering), to_string(e.on_failure_in_order),
                       millis(e.failing_since), columns.tls);
}

std::optional<Endpoint> Writer::find_endpoint(const EndpointId& id, Write& write) {
  Cursor row(endpoint_by_id_, as_blob(id.uuid));
  if (row.next()) return read_endpoint(row, secrets_.get());
  write.refused = not_found("endpoint");
  return std::nullopt;
}

void Writer::execute(UpdateEndpoint& command, Write& write) {
  const auto stored = find_endpoint(command.endpoint.id, write);
  if (!stored) return;
  if (stored->updated_at != command.if_updated_at) {
    write.refused =
        Problem{ProblemCode::kConflict, "the endpoint was changed meanwhile: read it and change it again"};
    return;
  }
  Endpoint e = command.endpoint;
  e.seq = stored->seq;
  e.created_at = stored->created_at;
  e.state = stored->state;
  e.disabled_reason = stored->disabled_reason;
  e.failing_since = stored->failing_since;
  e.updated_at = next_version(e.updated_at, stored->updated_at);
  const EndpointColumns columns(e, secrets_.get());
  update_endpoint_.run(e.seq, e.url, e.name, e.tenant, columns.types, columns.secrets, columns.headers,
                       to_string(e.format), columns.timeout, columns.retry_schedule, columns.max_in_flight,
                       e.metadata, millis(e.updated_at), columns.rate_limit_count, columns.rate_limit_per,
                       to_string(e.ordering), to_string(e.on_failure_in_order), columns.tls);
  command.endpoint = std::move(e);
}

// What secrets were before stays in the free room of pages, also where b-trees were split: every page of the table is
// written anew, and the old ones are zeroed. (A DELETE without WHERE gives whole pages back.)
void Writer::wipe_endpoint_pages() {
  db_.execute("PRAGMA secure_delete=ON");
  db_.execute("CREATE TEMP TABLE kept AS SELECT * FROM endpoint");
  db_.execute("DELETE FROM endpoint");
  db_.execute("INSERT INTO endpoint SELECT * FROM kept");
  db_.execute("DROP TABLE kept");
  db_.execute("PRAGMA secure_delete=OFF");
}

void Writer::execute(EncryptSecrets& command, Write& write) {
  if (!secrets_) {
    write.refused =
        Problem{ProblemCode::kConflict, "no key is configured: set [store] secrets_key_file and restart"};
    return;
  }
  struct Row {
    EndpointSeq seq;
    std::string secrets;
  };
  std::vector<Row> rows;  // first read, then written
  {
    Cursor row(secrets_after_, command.after, command.limit);
    while (row.next()) {
      command.next = row.integer(0);
      SecretKeys keys;
      count_secret_keys(row.view(2), keys);
      if (keys.empty() || (keys.size() == 1 && keys.begin()->first == secrets_->key_id())) continue;
      const EndpointId id{read_uuid(row.view(1))};
      for (const auto& [key, count] : keys) {
        if (key.empty() || secrets_->has(key)) continue;
        write.refused = Problem{ProblemCode::kConflict, "the secrets of endpoint " + id.to_string() +
                                                            " are encrypted with key " + key +
                                                            ", which [store] secrets_key_file does not have"};
        return;
      }
      rows.push_back({row.integer(0), recode_secrets(row.view(2), id, *secrets_)});
    }
  }
  for (const Row& row : rows) set_secrets_.run(row.seq, row.secrets);
  if (!command.next) wipe_endpoint_pages();
  command.changed = static_cast<std::int64_t>(rows.size());
}

void Writer::execute(SetEndpointState& command, Write& write) {
  auto stored = find_endpoint(command.id, write);
  if (!stored) return;
  stored->state = command.state;
  stored->disabled_reason = command.state == EndpointState::kDisabled ? command.disabled_reason : "";
  stored->updated_at = next_version(command.at, stored->updated_at);
  if (command.state == EndpointState::kActive) stored->failing_since.reset();
  set_endpoint_state_.run(stored->seq, to_string(stored->state), stored->disabled_reason,
                          millis(stored->updated_at), millis(stored->failing_since));
  command.endpoint = std::move(*stored);
}

void Writer::execute(SetFailingSince& command, Write&) {
  set_failing_since_.run(command.endpoint, millis(command.since));
}

void Writer::execute(RemoveEndpoint& command, Write& write) {
  const auto stored = find_endpoint(command.id, write);
  if (!stored) return;
  remove_endpoint_.run(stored->seq, millis(command.at));
  removed_.insert(stored->seq);
  removing_.push_back(stored->seq);
  command.seq = stored->seq;
}

void Writer::execute(DiscardRemoved& command, Write&) {
  command.discarded = 0;
  while (command.discarded < command.limit) {
    EndpointSeq endpoint = 0;
    {
      Cursor row(discarding_endpoint_);
      if (!row.next()) return;
      endpoint = row.integer(0);
    }
    const std::int64_t wanted = command.limit - command.discarded;
    const std::int64_t done = discard_some(endpoint, wanted, command.at);
    command.discarded += done;
    if (done < wanted) end_discarding_.run(endpoint);
  }
}

// Nothing moves up where everything goes.
std::int64_t Writer::discard_some(EndpointSeq endpoint, std::int64_t limit, Time at) {
  std::int64_t count = 0;
  for (Statement* some : {&pending_of_endpoint_, &pending_in_order_of_endpoint_}) {
    std::vector<EventSeq>
        events;  // first read, then written: the updates take rows out of the index that is read
    {
      Cursor row(*some, endpoint, limit - count);
      while (row.next()) events.push_back(row.integer(0));
    }
    for (const EventSeq event : events) discard_pending_.run(event, endpoint, millis(at));
    count += static_cast<std::int64_t>(events.size());
  }
  now_.pending -= count;
  now_.discarded += count;
  return count;
}

std::optional<Delivery> Writer::find_delivery(DeliveryKey key) {
  Cursor row(find_delivery_, key.event, key.endpoint);
  if (!row.next()) return std::nullopt;
  return read_delivery(row, ahead_);
}

std::optional<Ordering> Writer::ordering_of(EndpointSeq endpoint) {
  Cursor row(endpoint_ordering_, endpoint);
  if (!row.next()) return std::nullopt;
  return read_ordering(row.view(0));
}

std::optional<std::string> Writer::ordering_key_of(EventSeq event) {
  Cursor row(event_ordering_key_, event);
  return row.next() ? row.optional_text(0) : std::nullopt;
}

void Writer::count_move(DeliveryState from, DeliveryState to) {
  --now_.of(from);
  ++now_.of(to);
}

std::optional<DeliveryKey> Writer::make_pending(const Delivery& from,
                                                const std::optional<std::string>& order_key, Time at) {
  const auto& [event, endpoint] = from.key;
  // Replayed while it is pending, it leaves the place that it has: its order key may be another one now.
  const auto left = from.state == DeliveryState::kPending ? order_key_of_pending(from.key) : std::nullopt;
  if (left) discard_pending_.run(event, endpoint, millis(at));
  const Place now = place(from.key, order_key);
  change_delivery_.run(event, endpoint, to_string(DeliveryState::kPending), due_millis(at, at), std::nullopt,
                       order_key, now.behind ? 1 : 0);
  if (left) promote(endpoint, *left);
  count_move(from.state, DeliveryState::kPending);
  return now.set_back;
}

void Writer::execute(ChangeDelivery& command, Write& write) {
  command.next_in_order.reset();
  command.set_back.reset();
  const auto stored = find_delivery(command.key);
  if (!stored) {
    write.refused = not_found("delivery");
    return;
  }
  if (!operator_may_move(stored->state, command.state)) {
    write.refused =
        Problem{ProblemCode::kConflict, "a delivery that is " + std::string(to_string(stored->state)) +
                                            " cannot become " + std::string(to_string(command.state))};
    return;
  }
  if (command.state == DeliveryState::kPending) {
    const auto ordering = ordering_of(command.key.endpoint);
    if (!ordering) {
      write.refused = Problem{ProblemCode::kConflict, "its endpoint was removed"};
      return;
    }
    const auto order_key = order_key_of(*ordering, ordering_key_of(command.key.event));
    command.set_back = make_pending(*stored, order_key, command.at);
  } else {
    discard(command, stored->state);
  }
  command.delivery = *find_delivery(command.key);
}

void Writer::discard(ChangeDelivery& command, DeliveryState from) {
  const auto order_key = order_key_of_pending(command.key);
  change_delivery_.run(command.key.event, command.key.endpoint, to_string(command.state), std::nullopt,
                       millis(command.at), std::nullopt, 0);
  count_move(from, command.state);
  if (order_key) command.next_in_order = promote(command.key.endpoint, *order_key);
}

void Writer::execute(ReplayEvent& command, Write& write) {
  command.set_back.clear();
  EventSeq event = 0;
  int priority = 0;
  std::optional<std::string> ordering_key;
  {
    Cursor row(find_event_to_replay_, as_blob(command.id.uuid));
    if (!row.next()) {
      write.refused = not_found("event");
      return;
    }
    event = row.integer(0);
    priority = row.number(1);
    ordering_key = row.optional_text(2);
  }
  std::vector<Ordering> orderings;
  for (const EndpointSeq endpoint : command.endpoints) {
    const auto ordering = ordering_of(endpoint);
    if (!ordering) {
      write.refused = not_found("endpoint");
      return;
    }
    orderings.push_back(*ordering);
  }
  std::int64_t made = 0;
  for (std::size_t i = 0; i < orderings.size(); ++i) {
    const DeliveryKey key{event, command.endpoints[i]};
    const auto order_key = order_key_of(orderings[i], ordering_key);
    std::optional<DeliveryKey> set_back;
    if (const auto stored = find_delivery(key)) {
      set_back = make_pending(*stored, order_key, command.at);
    } else {
      const Place now = place(key, order_key);
      insert_delivery_.run(key.event, key.endpoint, due_millis(command.at, command.at), priority, order_key,
                           now.behind ? 1 : 0, millis(command.at), std::nullopt);
      set_back = now.set_back;
      ++now_.pending;
      ++made;
    }
    if (set_back) command.set_back.push_back(*set_back);
  }
  if (made > 0) add_event_deliveries_.run(event, made);
  command.deliveries = static_cast<std::int64_t>(command.endpoints.size());
}

}  // namespace outboxd::sqlite
