#include "store/sqlite/endpoint_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "store/endpoint_changes.h"
#include "store/endpoint_columns.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

EndpointPtr tell_changed(Endpoint endpoint, Transaction& transaction, bool disabled = false) {
  EndpointPtr now = std::make_shared<const Endpoint>(std::move(endpoint));
  transaction.tell(EndpointChanged{now->seq, now, transaction.directory().change(), disabled});
  return now;
}

}  // namespace

std::optional<Endpoint> EndpointWriter::find(Statement& by_id, const EndpointId& id) {
  Cursor row(by_id, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return read_endpoint(row, secrets_.get());
}

std::optional<Problem> EndpointWriter::why_name_refused(const Endpoint& endpoint) {
  Cursor row(endpoint_by_name_, endpoint.tenant, endpoint.name);
  if (!row.next() || row.integer(0) == endpoint.seq) return std::nullopt;
  return name_is_taken(EndpointId{read_uuid(row.view(1))});
}

Result<EndpointPtr> EndpointWriter::execute(const CreateEndpoint& command, Transaction& transaction) {
  Endpoint e = *command.endpoint;
  if (transaction.repeats()) {
    if (auto stored = find(endpoint_by_id_, e.id)) return tell_changed(std::move(*stored), transaction);
    // Removed since, of which everybody has been told: nobody may take it for an endpoint again.
    if (auto gone = find(endpoint_by_id_ever_, e.id))
      return std::make_shared<const Endpoint>(std::move(*gone));
  }
  if (auto refused = why_name_refused(e)) return tl::unexpected(std::move(*refused));
  e.seq = ++transaction.counters().endpoint_seq;
  const EndpointColumns columns(e, secrets_.get());
  insert_endpoint_.run(e.seq, as_blob(e.id.uuid), e.url, e.name, e.tenant, columns.types, columns.secrets,
                       columns.headers, to_string(e.format), columns.timeout, columns.retry_schedule,
                       columns.max_in_flight, to_string(e.state), e.disabled_reason, e.metadata,
                       millis(e.created_at), millis(e.updated_at), columns.rate_limit_count,
                       columns.rate_limit_per, to_string(e.ordering), to_string(e.on_failure_in_order),
                       millis(e.failing_since), columns.tls, columns.filter, columns.body_template,
                       e.content_type, columns.auth, columns.signatures, columns.disable_after);
  return tell_changed(std::move(e), transaction);
}

Result<EndpointPtr> EndpointWriter::execute(const UpdateEndpoint& command, Transaction& transaction) {
  auto stored = find(endpoint_by_id_, command.endpoint->id);
  if (!stored) return missing("endpoint");
  if (transaction.repeats() && is_in(*stored, command)) return tell_changed(std::move(*stored), transaction);
  if (stored->updated_at != command.if_updated_at) return changed_meanwhile();
  Endpoint e = updated(command, *stored);
  if (auto refused = why_name_refused(e)) return tl::unexpected(std::move(*refused));
  e.updated_at = next_version(command.endpoint->updated_at, stored->updated_at);
  if (!same_receiver(e, *stored)) {
    e.failing_since.reset();
    set_failing_since_.run(e.seq, std::nullopt);
  }
  const EndpointColumns columns(e, secrets_.get());
  update_endpoint_.run(e.seq, e.url, e.name, e.tenant, columns.types, columns.secrets, columns.headers,
                       to_string(e.format), columns.timeout, columns.retry_schedule, columns.max_in_flight,
                       e.metadata, millis(e.updated_at), columns.rate_limit_count, columns.rate_limit_per,
                       to_string(e.ordering), to_string(e.on_failure_in_order), columns.tls, columns.filter,
                       columns.body_template, e.content_type, columns.auth, columns.signatures,
                       columns.disable_after);
  return tell_changed(std::move(e), transaction);
}

void EndpointWriter::set_state(Endpoint& endpoint, EndpointState state, const std::string& reason, Time at) {
  endpoint = in_state(std::move(endpoint), state, reason, at);
  set_endpoint_state_.run(endpoint.seq, to_string(endpoint.state), endpoint.disabled_reason,
                          millis(endpoint.updated_at), millis(endpoint.failing_since));
}

Result<EndpointPtr> EndpointWriter::execute(const SetEndpointState& command, Transaction& transaction) {
  auto endpoint = find(endpoint_by_id_, command.id);
  if (!endpoint) return missing("endpoint");
  if (!transaction.repeats() || !is_in(*endpoint, command))
    set_state(*endpoint, command.state, command.disabled_reason, command.at);
  return tell_changed(std::move(*endpoint), transaction);
}

Result<EndpointPtr> EndpointWriter::execute(const DisableEndpoint& command, Transaction& transaction) {
  auto endpoint = find(endpoint_by_id_, command.id);
  if (!endpoint) return missing("endpoint");
  if (!transaction.repeats() || !is_in(*endpoint, command)) {
    if (endpoint->updated_at != command.if_updated_at) return changed_meanwhile();
    set_state(*endpoint, EndpointState::kDisabled, command.reason, command.at);
  }
  return tell_changed(std::move(*endpoint), transaction, true);
}

Result<Nothing> EndpointWriter::execute(const SetFailingSince& command, Transaction& transaction) {
  set_failing_since_.run(command.endpoint, millis(command.since));
  if (set_failing_since_.changes() == 0) return Nothing{};
  if (command.since) transaction.tell(EndpointFailing{command.endpoint, *command.since, command.error});
  if (command.recovered_from) transaction.tell(EndpointRecovered{command.endpoint, *command.recovered_from});
  return Nothing{};
}

Result<EndpointPtr> EndpointWriter::execute(const RemoveEndpoint& command, Transaction& transaction) {
  auto endpoint = find(endpoint_by_id_, command.id);
  if (endpoint) {
    remove_endpoint_.run(endpoint->seq, millis(command.at));
  } else if (transaction.repeats()) {
    endpoint = find(endpoint_by_id_ever_, command.id);
  }
  if (!endpoint) return missing("endpoint");
  transaction.tell(EndpointChanged{
      .endpoint = endpoint->seq, .now = nullptr, .version = transaction.directory().remove(endpoint->seq)});
  return std::make_shared<const Endpoint>(std::move(*endpoint));
}

std::optional<EndpointSeq> EndpointWriter::next_to_discard() {
  Cursor row(discarding_endpoint_);
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

// An endpoint without deliveries counts as one row, so that thousands of them do not make one step too long.
Result<Discarded> EndpointWriter::execute(const DiscardRemoved& command, Transaction& transaction) {
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
  return Discarded{discarded, more};
}

// No blocked delivery is promoted, because all of them are discarded.
std::int64_t EndpointWriter::discard_some(EndpointSeq endpoint, std::int64_t limit, Time at,
                                          Counters& counters) {
  std::int64_t count = 0;
  for (Statement* some : {&pending_of_endpoint_, &pending_in_order_of_endpoint_}) {
    // Read first, then written, because the updates remove rows from the index being read.
    std::vector<EventSeq> events;
    {
      Cursor row(*some, endpoint, limit - count);
      while (row.next()) events.push_back(row.integer(0));
    }
    for (const EventSeq event : events) discard_pending_.run(event, endpoint, millis(at), counters.batches);
    count += static_cast<std::int64_t>(events.size());
  }
  counters.add(endpoint, DeliveryState::kPending, -count);
  counters.add(endpoint, DeliveryState::kDiscarded, count);
  return count;
}

}  // namespace outboxd::sqlite
