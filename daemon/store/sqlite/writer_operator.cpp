// Endpoints, and an operator's hand on deliveries.
#include <algorithm>

#include "store/sqlite/rows.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {
namespace {

Problem not_found(std::string_view what) {
  return {ProblemCode::kNotFound, "there is no such " + std::string(what)};
}

Problem changed_meanwhile() {
  return {ProblemCode::kConflict, "the endpoint was changed meanwhile: read it and change it again"};
}

// `updated_at` tells versions apart, so two changes never share one.
Time next_version(Time wanted, Time last) {
  return std::max(wanted, last + Millis(1));
}

}  // namespace

void Writer::execute(const CreateEndpoint& command) {
  const Endpoint& e = command.endpoint;
  const EndpointSeq seq = ++now_.endpoint_seq;
  const EndpointColumns columns(e, secrets_.get());
  insert_endpoint_.run(seq, as_blob(e.id.uuid), e.url, e.name, e.tenant, columns.types, columns.secrets,
                       columns.headers, to_string(e.format), columns.timeout, columns.retry_schedule,
                       columns.max_in_flight, to_string(e.state), e.disabled_reason, e.metadata,
                       millis(e.created_at), millis(e.updated_at), columns.rate_limit_count,
                       columns.rate_limit_per, to_string(e.ordering), to_string(e.on_failure_in_order),
                       millis(e.failing_since), columns.tls);
  answer<CreateEndpoint>([seq](CreateEndpoint& done) { done.endpoint.seq = seq; });
}

std::optional<Endpoint> Writer::find_endpoint(const EndpointId& id) {
  Cursor row(endpoint_by_id_, as_blob(id.uuid));
  if (row.next()) return read_endpoint(row, secrets_.get());
  refuse(not_found("endpoint"));
  return std::nullopt;
}

void Writer::execute(const UpdateEndpoint& command) {
  const auto stored = find_endpoint(command.endpoint.id);
  if (!stored) return;
  if (stored->updated_at != command.if_updated_at) {
    return refuse(changed_meanwhile());
  }
  Endpoint e = command.endpoint;
  e.seq = stored->seq;
  e.created_at = stored->created_at;
  e.state = stored->state;
  e.disabled_reason = stored->disabled_reason;
  if (same_receiver(e, *stored)) {
    e.failing_since = stored->failing_since;
  } else {
    e.failing_since.reset();
    set_failing_since_.run(e.seq, std::nullopt);
  }
  e.updated_at = next_version(e.updated_at, stored->updated_at);
  const EndpointColumns columns(e, secrets_.get());
  update_endpoint_.run(e.seq, e.url, e.name, e.tenant, columns.types, columns.secrets, columns.headers,
                       to_string(e.format), columns.timeout, columns.retry_schedule, columns.max_in_flight,
                       e.metadata, millis(e.updated_at), columns.rate_limit_count, columns.rate_limit_per,
                       to_string(e.ordering), to_string(e.on_failure_in_order), columns.tls);
  answer<UpdateEndpoint>([e = std::move(e)](UpdateEndpoint& done) mutable { done.endpoint = std::move(e); });
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

void Writer::execute(const EncryptSecrets& command) {
  if (!secrets_) {
    return refuse({ProblemCode::kConflict, "no key is configured: set [store] secrets_key_file and restart"});
  }
  struct Row {
    EndpointSeq seq;
    std::string secrets;
  };
  std::vector<Row> rows;  // first read, then written
  std::optional<EndpointSeq> next;
  {
    Cursor row(secrets_after_, command.after, command.limit);
    while (row.next()) {
      next = row.integer(0);
      SecretKeys keys;
      count_secret_keys(row.view(2), keys);
      if (keys.empty() || (keys.size() == 1 && keys.begin()->first == secrets_->key_id())) continue;
      const EndpointId id{read_uuid(row.view(1))};
      for (const auto& [key, count] : keys) {
        if (key.empty() || secrets_->has(key)) continue;
        return refuse({ProblemCode::kConflict, "the secrets of endpoint " + id.to_string() +
                                                   " are encrypted with key " + key +
                                                   ", which [store] secrets_key_file does not have"});
      }
      rows.push_back({row.integer(0), recode_secrets(row.view(2), id, *secrets_)});
    }
  }
  for (const Row& row : rows) set_secrets_.run(row.seq, row.secrets);
  if (!next) wipe_endpoint_pages();
  answer<EncryptSecrets>([next, changed = rows.size()](EncryptSecrets& done) {
    done.next = next;
    done.changed = static_cast<std::int64_t>(changed);
  });
}

std::optional<Endpoint> Writer::set_state(const EndpointId& id, EndpointState state,
                                          const std::string& reason, Time at) {
  auto stored = find_endpoint(id);
  if (!stored) return std::nullopt;
  stored->state = state;
  stored->disabled_reason = state == EndpointState::kDisabled ? reason : "";
  stored->updated_at = next_version(at, stored->updated_at);
  if (state == EndpointState::kActive) stored->failing_since.reset();
  set_endpoint_state_.run(stored->seq, to_string(stored->state), stored->disabled_reason,
                          millis(stored->updated_at), millis(stored->failing_since));
  return stored;
}

void Writer::execute(const SetEndpointState& command) {
  auto changed = set_state(command.id, command.state, command.disabled_reason, command.at);
  if (!changed) return;
  answer<SetEndpointState>([changed = std::move(*changed)](SetEndpointState& done) mutable {
    done.endpoint = std::move(changed);
  });
}

void Writer::execute(const DisableEndpoint& command) {
  const auto stored = find_endpoint(command.id);
  if (!stored) return;
  if (command.if_updated_at && stored->updated_at != *command.if_updated_at)
    return refuse(changed_meanwhile());
  auto changed = set_state(command.id, EndpointState::kDisabled, command.reason, command.at);
  if (!changed) return;
  answer<DisableEndpoint>(
      [changed = std::move(*changed)](DisableEndpoint& done) mutable { done.endpoint = std::move(changed); });
}

void Writer::execute(const SetFailingSince& command) {
  set_failing_since_.run(command.endpoint, millis(command.since));
}

void Writer::execute(const RemoveEndpoint& command) {
  const auto stored = find_endpoint(command.id);
  if (!stored) return;
  remove_endpoint_.run(stored->seq, millis(command.at));
  removing_.insert(stored->seq);
  answer<RemoveEndpoint>([seq = stored->seq](RemoveEndpoint& done) { done.seq = seq; });
}

// An endpoint without a delivery counts as a row: thousands of them are no single step either.
void Writer::execute(const DiscardRemoved& command) {
  std::int64_t left = command.limit;
  std::int64_t discarded = 0;
  bool more = true;
  while (left > 0 && more) {
    EndpointSeq endpoint = 0;
    {
      Cursor row(discarding_endpoint_);
      more = row.next();
      if (more) endpoint = row.integer(0);
    }
    if (!more) break;
    const std::int64_t done = discard_some(endpoint, left, command.at);
    discarded += done;
    if (done < left) end_discarding_.run(endpoint);
    left -= std::max<std::int64_t>(done, 1);
  }
  answer<DiscardRemoved>([discarded, more](DiscardRemoved& done) {
    done.discarded = discarded;
    done.more = more;
  });
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

void Writer::execute(const ChangeDelivery& command) {
  const auto stored = find_delivery(command.key);
  if (!stored) return refuse(not_found("delivery"));
  if (!operator_may_move(stored->state, command.state)) {
    return refuse({ProblemCode::kConflict, "a delivery that is " + std::string(to_string(stored->state)) +
                                               " cannot become " + std::string(to_string(command.state))});
  }
  std::optional<DeliveryKey> set_back;
  std::optional<NewHead> next_in_order;
  if (command.state == DeliveryState::kPending) {
    const auto ordering = ordering_of(command.key.endpoint);
    if (!ordering) return refuse({ProblemCode::kConflict, "its endpoint was removed"});
    const auto order_key = order_key_of(*ordering, ordering_key_of(command.key.event));
    set_back = make_pending(*stored, order_key, command.at);
  } else {
    next_in_order = discard(command, stored->state);
  }
  answer<ChangeDelivery>([=, delivery = *find_delivery(command.key)](ChangeDelivery& done) {
    done.delivery = delivery;
    done.set_back = set_back;
    done.next_in_order = next_in_order;
  });
}

std::optional<NewHead> Writer::discard(const ChangeDelivery& command, DeliveryState from) {
  const auto order_key = order_key_of_pending(command.key);
  change_delivery_.run(command.key.event, command.key.endpoint, to_string(command.state), std::nullopt,
                       millis(command.at), std::nullopt, 0);
  count_move(from, command.state);
  return order_key ? promote(command.key.endpoint, *order_key) : std::nullopt;
}

void Writer::execute(const ReplayEvent& command) {
  EventSeq event = 0;
  int priority = 0;
  std::optional<std::string> ordering_key;
  {
    Cursor row(find_event_to_replay_, as_blob(command.id.uuid));
    if (!row.next()) return refuse(not_found("event"));
    event = row.integer(0);
    priority = row.number(1);
    ordering_key = row.optional_text(2);
  }
  std::vector<Ordering> orderings;
  for (const EndpointSeq endpoint : command.endpoints) {
    const auto ordering = ordering_of(endpoint);
    if (!ordering) return refuse(not_found("endpoint"));
    orderings.push_back(*ordering);
  }
  std::int64_t made = 0;
  std::vector<DeliveryKey> all_set_back;
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
    if (set_back) all_set_back.push_back(*set_back);
  }
  if (made > 0) add_event_deliveries_.run(event, made);
  answer<ReplayEvent>([all_set_back = std::move(all_set_back)](ReplayEvent& done) {
    done.set_back = all_set_back;
    done.deliveries = static_cast<std::int64_t>(done.endpoints.size());
  });
}

}  // namespace outboxd::sqlite
