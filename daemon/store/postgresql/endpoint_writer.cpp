#include "store/postgresql/endpoint_writer.h"

#include <algorithm>

#include "store/endpoint_changes.h"
#include "store/endpoint_columns.h"
#include "store/postgresql/changed_endpoints.h"
#include "store/postgresql/endpoint_statements.h"

namespace outboxd::postgresql {
namespace {

EndpointPtr tell(Endpoint endpoint, DirectoryVersion version, Transaction& transaction,
                 bool disabled = false) {
  EndpointPtr now = std::make_shared<const Endpoint>(std::move(endpoint));
  transaction.tell(EndpointChanged{now->seq, now, version, disabled});
  return now;
}

// On a repeat: it is stored as it is.
EndpointPtr tell_again(Endpoint endpoint, Transaction& transaction, bool disabled = false) {
  return tell(std::move(endpoint), transaction.directory().change(), transaction, disabled);
}

std::int64_t stored(DirectoryVersion version) {
  return static_cast<std::int64_t>(version);
}

}  // namespace

EndpointWriter::EndpointWriter(Connection& db, std::shared_ptr<const SecretBox> secrets)
    : secrets_(std::move(secrets)),
      insert_(db, sql::kInsertEndpoint),
      update_(db, sql::kUpdateEndpoint),
      to_change_(db, sql::kEndpointToChange),
      ever_(db, sql::kEndpointEver),
      by_name_(db, sql::kEndpointByName),
      set_state_(db, sql::kSetEndpointState),
      set_failing_since_(db, sql::kSetFailingSince),
      remove_(db, sql::kRemoveEndpoint),
      changed_(db, sql::kChangedEndpoints),
      discarding_(db, sql::kDiscardingEndpoint),
      end_discarding_(db, sql::kEndDiscarding),
      discard_some_(db, sql::kDiscardSome),
      discard_some_blocked_(db, sql::kDiscardSomeBlocked) {}

std::optional<Endpoint> EndpointWriter::find(Statement& by_id, const EndpointId& id) {
  Cursor row(by_id, id.uuid);
  if (!row.next()) return std::nullopt;
  return read_endpoint(row, secrets_.get());
}

std::optional<Problem> EndpointWriter::why_name_refused(const Endpoint& endpoint) {
  Cursor row(by_name_, endpoint.tenant, endpoint.name);
  if (!row.next() || row.integer(0) == endpoint.seq) return std::nullopt;
  return name_is_taken(EndpointId{row.uuid(1)});
}

Result<EndpointPtr> EndpointWriter::execute(const CreateEndpoint& command, Transaction& transaction) {
  Endpoint e = *command.endpoint;
  if (transaction.repeats()) {
    if (auto there = find(to_change_, e.id)) return tell_again(std::move(*there), transaction);
    // Removed since, of which everybody has been told: nobody may take it for an endpoint again.
    if (auto gone = find(ever_, e.id)) return std::make_shared<const Endpoint>(std::move(*gone));
  }
  if (auto refused = why_name_refused(e)) return tl::unexpected(std::move(*refused));
  const EndpointColumns columns(e, secrets_.get());
  const DirectoryVersion version = transaction.directory().change();
  Cursor row(insert_, e.id.uuid, e.url, e.name, e.tenant, columns.types, columns.secrets, columns.headers,
             to_string(e.format), columns.timeout, columns.retry_schedule, columns.max_in_flight,
             to_string(e.state), e.disabled_reason, e.metadata, millis(e.created_at), millis(e.updated_at),
             columns.rate_limit_count, columns.rate_limit_per, to_string(e.ordering),
             to_string(e.on_failure_in_order), millis(e.failing_since), columns.tls, columns.filter,
             columns.body_template, e.content_type, columns.auth, columns.signatures, columns.disable_after,
             stored(version));
  row.next();
  e.seq = row.integer(0);
  return tell(std::move(e), version, transaction);
}

Result<EndpointPtr> EndpointWriter::execute(const UpdateEndpoint& command, Transaction& transaction) {
  auto there = find(to_change_, command.endpoint->id);
  if (!there) return missing("endpoint");
  if (transaction.repeats() && is_in(*there, command)) return tell_again(std::move(*there), transaction);
  if (there->updated_at != command.if_updated_at) return changed_meanwhile();
  Endpoint e = updated(command, *there);
  if (auto refused = why_name_refused(e)) return tl::unexpected(std::move(*refused));
  e.updated_at = next_version(command.endpoint->updated_at, there->updated_at);
  if (!same_receiver(e, *there)) e.failing_since.reset();
  const EndpointColumns columns(e, secrets_.get());
  const DirectoryVersion version = transaction.directory().change();
  update_.run(e.seq, e.url, e.name, e.tenant, columns.types, columns.secrets, columns.headers,
              to_string(e.format), columns.timeout, columns.retry_schedule, columns.max_in_flight, e.metadata,
              millis(e.updated_at), columns.rate_limit_count, columns.rate_limit_per, to_string(e.ordering),
              to_string(e.on_failure_in_order), millis(e.failing_since), columns.tls, columns.filter,
              columns.body_template, e.content_type, columns.auth, columns.signatures, columns.disable_after,
              stored(version));
  return tell(std::move(e), version, transaction);
}

Endpoint EndpointWriter::set_state(Endpoint endpoint, EndpointState state, const std::string& reason, Time at,
                                   DirectoryVersion version) {
  endpoint = in_state(std::move(endpoint), state, reason, at);
  set_state_.run(endpoint.seq, to_string(endpoint.state), endpoint.disabled_reason,
                 millis(endpoint.updated_at), millis(endpoint.failing_since), stored(version));
  return endpoint;
}

Result<EndpointPtr> EndpointWriter::execute(const SetEndpointState& command, Transaction& transaction) {
  auto endpoint = find(to_change_, command.id);
  if (!endpoint) return missing("endpoint");
  if (transaction.repeats() && is_in(*endpoint, command))
    return tell_again(std::move(*endpoint), transaction);
  const DirectoryVersion version = transaction.directory().change();
  return tell(set_state(std::move(*endpoint), command.state, command.disabled_reason, command.at, version),
              version, transaction);
}

Result<EndpointPtr> EndpointWriter::execute(const DisableEndpoint& command, Transaction& transaction) {
  auto endpoint = find(to_change_, command.id);
  if (!endpoint) return missing("endpoint");
  if (transaction.repeats() && is_in(*endpoint, command))
    return tell_again(std::move(*endpoint), transaction, true);
  if (endpoint->updated_at != command.if_updated_at) return changed_meanwhile();
  const DirectoryVersion version = transaction.directory().change();
  return tell(set_state(std::move(*endpoint), EndpointState::kDisabled, command.reason, command.at, version),
              version, transaction, true);
}

Result<Nothing> EndpointWriter::execute(const SetFailingSince& command, Transaction& transaction) {
  set_failing_since_.run(command.endpoint, millis(command.since));
  if (set_failing_since_.changes() == 0) return Nothing{};
  if (command.since) transaction.tell(EndpointFailing{command.endpoint, *command.since, command.error});
  if (command.recovered_from) transaction.tell(EndpointRecovered{command.endpoint, *command.recovered_from});
  return Nothing{};
}

Result<EndpointPtr> EndpointWriter::execute(const RemoveEndpoint& command, Transaction& transaction) {
  auto endpoint = find(to_change_, command.id);
  const bool again = !endpoint && transaction.repeats();
  if (again) endpoint = find(ever_, command.id);
  if (!endpoint) return missing("endpoint");
  const DirectoryVersion version = transaction.directory().remove(endpoint->seq);
  if (!again) remove_.run(endpoint->seq, millis(command.at), stored(version));
  transaction.tell(EndpointChanged{.endpoint = endpoint->seq, .now = nullptr, .version = version});
  return std::make_shared<const Endpoint>(std::move(*endpoint));
}

void EndpointWriter::tell_changes(DirectoryVersion after, Transaction& transaction) {
  Facts facts;
  tell_changed_endpoints(
      changed_, after, transaction.directory().version_before(),
      [this](const EndpointId& id) { return find(ever_, id); }, facts);
  for (Fact& fact : facts) transaction.tell(std::move(fact));
}

// An endpoint without deliveries counts as one row, so that thousands of them do not make one step too long.
Result<Discarded> EndpointWriter::execute(const DiscardRemoved& command, Transaction& transaction) {
  std::int64_t left = command.limit;
  std::int64_t discarded = 0;
  bool more = true;
  while (left > 0) {
    Cursor endpoint(discarding_);
    more = endpoint.next();
    if (!more) break;
    const std::int64_t count = discard_some(endpoint.integer(0), left, command.at, transaction);
    discarded += count;
    if (count < left) end_discarding_.run(endpoint.integer(0));
    left -= std::max<std::int64_t>(count, 1);
  }
  return Discarded{discarded, more};
}

// No blocked delivery is promoted, because all of them are discarded.
std::int64_t EndpointWriter::discard_some(EndpointSeq endpoint, std::int64_t limit, Time at,
                                          Transaction& transaction) {
  std::int64_t count = 0;
  for (Statement* some : {&discard_some_, &discard_some_blocked_}) {
    Cursor of_day(*some, endpoint, limit - count, millis(at), transaction.batches());
    while (of_day.next()) {
      const std::int64_t ended = of_day.integer(1);
      transaction.counters().add(endpoint, of_day.number(0), DeliveryState::kPending, -ended);
      transaction.counters().add(endpoint, of_day.number(0), DeliveryState::kDiscarded, ended);
      count += ended;
    }
  }
  return count;
}

}  // namespace outboxd::postgresql
