#include "store/sqlite/endpoint_writer.h"

#include <algorithm>
#include <vector>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

Problem changed_meanwhile() {
  return {ProblemCode::kConflict, "the endpoint was changed meanwhile: read it and change it again"};
}

// `updated_at` tells versions apart, so two changes never share one.
Time next_version(Time wanted, Time last) {
  return std::max(wanted, last + Millis(1));
}

}  // namespace

void EndpointWriter::execute(const CreateEndpoint& command, Transaction& transaction) {
  const Endpoint& e = command.endpoint;
  const EndpointSeq seq = ++transaction.counters().endpoint_seq;
  const EndpointColumns columns(e, secrets_.get());
  insert_endpoint_.run(seq, as_blob(e.id.uuid), e.url, e.name, e.tenant, columns.types, columns.secrets,
                       columns.headers, to_string(e.format), columns.timeout, columns.retry_schedule,
                       columns.max_in_flight, to_string(e.state), e.disabled_reason, e.metadata,
                       millis(e.created_at), millis(e.updated_at), columns.rate_limit_count,
                       columns.rate_limit_per, to_string(e.ordering), to_string(e.on_failure_in_order),
                       millis(e.failing_since), columns.tls);
  transaction.answer<CreateEndpoint>([seq](CreateEndpoint& done) { done.endpoint.seq = seq; });
}

std::optional<Endpoint> EndpointWriter::find_or_refuse(const EndpointId& id, Transaction& transaction) {
  Cursor row(endpoint_by_id_, as_blob(id.uuid));
  if (row.next()) return read_endpoint(row, secrets_.get());
  transaction.refuse_as_missing("endpoint");
  return std::nullopt;
}

void EndpointWriter::execute(const UpdateEndpoint& command, Transaction& transaction) {
  const auto stored = find_or_refuse(command.endpoint.id, transaction);
  if (!stored) return;
  if (stored->updated_at != command.if_updated_at) return transaction.refuse(changed_meanwhile());
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
  transaction.answer<UpdateEndpoint>(
      [e = std::move(e)](UpdateEndpoint& done) mutable { done.endpoint = std::move(e); });
}

// What secrets were before stays in the free room of pages, also where b-trees were split: every page of the table is
// written anew, and the old ones are zeroed. (A DELETE without WHERE gives whole pages back.)
void EndpointWriter::wipe_pages() {
  db_.execute("PRAGMA secure_delete=ON");
  db_.execute("CREATE TEMP TABLE kept AS SELECT * FROM endpoint");
  db_.execute("DELETE FROM endpoint");
  db_.execute("INSERT INTO endpoint SELECT * FROM kept");
  db_.execute("DROP TABLE kept");
  db_.execute("PRAGMA secure_delete=OFF");
}

void EndpointWriter::execute(const EncryptSecrets& command, Transaction& transaction) {
  if (!secrets_) {
    return transaction.refuse(
        {ProblemCode::kConflict, "no key is configured: set [store] secrets_key_file and restart"});
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
        return transaction.refuse({ProblemCode::kConflict,
                                   "the secrets of endpoint " + id.to_string() + " are encrypted with key " +
                                       key + ", which [store] secrets_key_file does not have"});
      }
      rows.push_back({row.integer(0), recode_secrets(row.view(2), id, *secrets_)});
    }
  }
  for (const Row& row : rows) set_secrets_.run(row.seq, row.secrets);
  if (!next) wipe_pages();
  transaction.answer<EncryptSecrets>([next, changed = rows.size()](EncryptSecrets& done) {
    done.next = next;
    done.changed = static_cast<std::int64_t>(changed);
  });
}

void EndpointWriter::set_state(Endpoint& endpoint, EndpointState state, const std::string& reason, Time at) {
  endpoint.state = state;
  endpoint.disabled_reason = state == EndpointState::kDisabled ? reason : "";
  endpoint.updated_at = next_version(at, endpoint.updated_at);
  if (state == EndpointState::kActive) endpoint.failing_since.reset();
  set_endpoint_state_.run(endpoint.seq, to_string(endpoint.state), endpoint.disabled_reason,
                          millis(endpoint.updated_at), millis(endpoint.failing_since));
}

void EndpointWriter::execute(const SetEndpointState& command, Transaction& transaction) {
  auto endpoint = find_or_refuse(command.id, transaction);
  if (!endpoint) return;
  set_state(*endpoint, command.state, command.disabled_reason, command.at);
  transaction.answer<SetEndpointState>([changed = std::move(*endpoint)](SetEndpointState& done) mutable {
    done.endpoint = std::move(changed);
  });
}

void EndpointWriter::execute(const DisableEndpoint& command, Transaction& transaction) {
  auto endpoint = find_or_refuse(command.id, transaction);
  if (!endpoint) return;
  if (command.if_updated_at && endpoint->updated_at != *command.if_updated_at)
    return transaction.refuse(changed_meanwhile());
  set_state(*endpoint, EndpointState::kDisabled, command.reason, command.at);
  transaction.answer<DisableEndpoint>([changed = std::move(*endpoint)](DisableEndpoint& done) mutable {
    done.endpoint = std::move(changed);
  });
}

void EndpointWriter::execute(const SetFailingSince& command, Transaction&) {
  set_failing_since_.run(command.endpoint, millis(command.since));
}

void EndpointWriter::execute(const RemoveEndpoint& command, Transaction& transaction) {
  const auto stored = find_or_refuse(command.id, transaction);
  if (!stored) return;
  remove_endpoint_.run(stored->seq, millis(command.at));
  transaction.remove(stored->seq);
  transaction.answer<RemoveEndpoint>([seq = stored->seq](RemoveEndpoint& done) { done.seq = seq; });
}

std::optional<EndpointSeq> EndpointWriter::next_to_discard() {
  Cursor row(discarding_endpoint_);
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

// An endpoint without a delivery counts as a row: thousands of them are no single step either.
void EndpointWriter::execute(const DiscardRemoved& command, Transaction& transaction) {
  std::int64_t left = command.limit;
  std::int64_t discarded = 0;
  bool more = true;
  while (left > 0) {
    const auto endpoint = next_to_discard();
    more = endpoint.has_value();
    if (!more) break;
    const std::int64_t count = discard_some(*endpoint, left, command.at, transaction.counters());
    discarded += count;
    if (count < left) end_discarding_.run(*endpoint);
    left -= std::max<std::int64_t>(count, 1);
  }
  transaction.answer<DiscardRemoved>([discarded, more](DiscardRemoved& done) {
    done.discarded = discarded;
    done.more = more;
  });
}

// No blocked delivery is promoted, for all of them go.
std::int64_t EndpointWriter::discard_some(EndpointSeq endpoint, std::int64_t limit, Time at,
                                          Counters& counters) {
  std::int64_t count = 0;
  for (Statement* some : {&pending_of_endpoint_, &pending_in_order_of_endpoint_}) {
    // First read, then written: the updates take rows out of the index that is read.
    std::vector<EventSeq> events;
    {
      Cursor row(*some, endpoint, limit - count);
      while (row.next()) events.push_back(row.integer(0));
    }
    for (const EventSeq event : events) discard_pending_.run(event, endpoint, millis(at));
    count += static_cast<std::int64_t>(events.size());
  }
  counters.pending -= count;
  counters.discarded += count;
  return count;
}

}  // namespace outboxd::sqlite
