#include "simulation/shared_store.h"

#include <utility>

namespace outboxd::simulation {
namespace {

// What another daemon may learn of a fact: nothing that only this daemon has in memory.
Fact as_hint(const Fact& fact) {
  if (const auto* ready = std::get_if<DeliveryReady>(&fact))
    return DueOnDisk{ready->delivery.key.endpoint, ready->delivery.due_in};
  if (std::holds_alternative<FanOutWaits>(fact)) return FanOutWaits{};
  if (std::holds_alternative<BatchChanged>(fact)) return BatchChanged{};
  if (const auto* changed = std::get_if<EndpointChanged>(&fact))  // whoever disabled it announces that
    return EndpointChanged{changed->endpoint, changed->now, changed->version};
  if (const auto* recorded = std::get_if<OutcomeRecorded>(&fact)) {
    OutcomeRecorded hint = *recorded;
    hint.attempt.reset();
    hint.subject.reset();
    return hint;
  }
  return fact;
}

}  // namespace

// A reader that now and then finds the store busy, as if others were using it.
class SharedStore::MemberReader final : public StoreReader {
 public:
  explicit MemberReader(SharedStore& shared) : shared_(shared), real_(shared.real_->new_reader()) {}

  DueWindow due(EndpointSeq endpoint, int limit, std::size_t max_bytes,
                std::span<const EventSeq> held) override {
    return real().due(endpoint, limit, max_bytes, held);
  }
  std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) override {
    return real().expired(now, after, limit);
  }
  std::vector<OldestDue> oldest_due(EndpointSeq after, int limit) override {
    return real().oldest_due(after, limit);
  }
  EndpointCounts counts(EndpointSeq endpoint, int limit) override { return real().counts(endpoint, limit); }
  std::vector<EndpointDeliveries> delivery_counts(EndpointSeq after, int limit) override {
    return real().delivery_counts(after, limit);
  }
  Endpoints all_endpoints() override { return real_->all_endpoints(); }
  std::optional<Endpoint> endpoint(const EndpointId& id) override { return real().endpoint(id); }
  Result<Rows<Endpoint>> endpoints(const std::optional<std::string>& tenant, const Page& page) override {
    return real().endpoints(tenant, page);
  }
  SecretKeys secret_keys() override { return real().secret_keys(); }
  std::optional<EventRow> event(const EventId& id, bool with_payload) override {
    return real().event(id, with_payload);
  }
  Result<Rows<EventRow>> events(const EventFilter& filter, const Page& page) override {
    return real().events(filter, page);
  }
  Result<Rows<EventTypeRow>> event_types(const EventTypeFilter& filter, const Page& page) override {
    return real().event_types(filter, page);
  }
  std::optional<DeliveryRow> delivery(DeliveryKey key) override { return real().delivery(key); }
  Result<Rows<DeliveryRow>> deliveries(const DeliveryFilter& filter, const Page& page) override {
    return real().deliveries(filter, page);
  }
  std::vector<Attempt> attempts(DeliveryKey key) override { return real().attempts(key); }
  std::optional<OperatorBatch> batch(const BatchId& id) override { return real().batch(id); }
  Result<Rows<OperatorBatch>> batches(const Page& page) override { return real().batches(page); }
  std::vector<OperatorBatch> running_batches() override { return real().running_batches(); }
  SourcePlace source_place(const std::string& source) override { return real().source_place(source); }
  Result<Rows<DeliveryRow>> batch_deliveries(const OperatorBatch& batch, const Page& page) override {
    return real().batch_deliveries(batch, page);
  }
  BatchEvents batch_events(const OperatorBatch& batch, EventSeq from, int limit) override {
    return real().batch_events(batch, from, limit);
  }
  std::vector<UnfinishedFanOut> unfinished_fan_outs(EventSeq after, int limit) override {
    return real().unfinished_fan_outs(after, limit);
  }
  std::vector<OutboxRow> outbox(int limit, std::size_t max_bytes) override {
    return real().outbox(limit, max_bytes);
  }
  Result<Rows<OutboxRow>> rejected_outbox(const Page& page) override { return real().rejected_outbox(page); }
  std::optional<OutboxRow> rejected_row(std::int64_t row) override { return real().rejected_row(row); }
  StoreStatus status() override { return real().status(); }
  Failures failures(const FailureQuery& query) override { return real().failures(query); }
  std::vector<RollupPoint> series(const std::optional<EndpointId>& endpoint, Time since, Time until,
                                  Millis step) override {
    return real().series(endpoint, since, until, step);
  }

 private:
  StoreReader& real() {
    if (shared_.chance(shared_.faults_.busy_read)) throw StoreError(StoreError::Kind::kBusy, "busy");
    return *real_;
  }

  SharedStore& shared_;
  const std::unique_ptr<StoreReader> real_;
};

class SharedStore::Member final : public Store, private StoreWriter {
 public:
  Member(SharedStore& shared, int daemon, OwnerToken token)
      : shared_(shared), daemon_(daemon), token_(std::move(token)) {}

  StoreWriter& writer() override { return *this; }
  std::unique_ptr<StoreReader> new_reader() override { return std::make_unique<MemberReader>(shared_); }
  Ownership ownership() const override { return {token_, shared_.owned_by(daemon_)}; }
  Facts wait_for_changes(Millis timeout) override {
    Facts facts = shared_.real_->wait_for_changes(timeout);
    shared_.tell_others(daemon_, facts);
    return facts;
  }
  void interrupt() override {}
  void release(const PartitionSet& partitions) override { shared_.release(daemon_, partitions); }

 private:
  Applied apply(const Batch& batch) override {
    if (batch.owner != token_) shared_.watch_.violation("a batch with the token of another");
    try {
      return shared_.apply(daemon_, batch);
    } catch (const StoreError&) {
      ++shared_.failed_commits_;
      throw;
    }
  }
  void maintain() override { shared_.real_->writer().maintain(); }
  void finish() override { shared_.real_->writer().finish(); }

  SharedStore& shared_;
  const int daemon_;
  const OwnerToken token_;
};

SharedStore::SharedStore(SqliteOptions options, Watch& watch, std::mt19937_64& random)
    : options_(std::move(options)), watch_(watch), random_(random) {
  promised_.fill(kNobody);
}

SharedStore::~SharedStore() = default;

void SharedStore::open() {
  real_ = open_sqlite_store(options_);
}

void SharedStore::close() {
  real_.reset();
}

std::unique_ptr<Store> SharedStore::join(int daemon) {
  up_.at(index(daemon)) = true;
  fenced_.at(index(daemon)) = false;
  hints_.at(index(daemon)).clear();
  return std::make_unique<Member>(*this, daemon, OwnerToken{"daemon " + std::to_string(++joins_)});
}

void SharedStore::leave(int daemon) {
  up_.at(index(daemon)) = false;
  hints_.at(index(daemon)).clear();
  for (std::size_t p = 0; p < owner_.size(); ++p) {
    if (owner_[p] == daemon) promised_[p] = kNobody;
  }
}

PartitionSet SharedStore::owned_by(int daemon) const {
  PartitionSet owned;
  for (std::size_t p = 0; p < owner_.size(); ++p) owned.set(p, owner_[p] == daemon);
  return owned;
}

bool SharedStore::is_moving(int daemon) const {
  for (std::size_t p = 0; p < owner_.size(); ++p) {
    if (owner_[p] == daemon && promised_[p] != kNobody) return true;
  }
  return false;
}

void SharedStore::promise(const PartitionSet& partitions, int from, int to, bool abort) {
  for (std::size_t p = 0; p < owner_.size(); ++p) {
    if (partitions.test(p)) promised_[p] = to;
  }
  hint(from, {commits_, {PartitionsLost{partitions, abort}}});
}

void SharedStore::take(const PartitionSet& partitions, int to) {
  for (std::size_t p = 0; p < owner_.size(); ++p) {
    if (!partitions.test(p)) continue;
    owner_[p] = to;
    promised_[p] = kNobody;
  }
  if (is_up(to) && partitions.any()) hint(to, {commits_, {PartitionsOwned{partitions}}});
}

void SharedStore::release(int daemon, const PartitionSet& partitions) {
  for (int to = 0; to < kMaxDaemons; ++to) {
    PartitionSet theirs;
    for (std::size_t p = 0; p < owner_.size(); ++p)
      theirs.set(p, partitions.test(p) && owner_[p] == daemon && promised_[p] == to);
    take(theirs, to);
  }
}

SharedStore::Hint SharedStore::take_hint(int daemon) {
  auto& hints = hints_.at(index(daemon));
  Hint hint = std::move(hints.front());
  hints.pop_front();
  return hint;
}

void SharedStore::check_owner(int daemon, const Batch& batch) {
  for (const Command* command : batch.commands) {
    const auto* outcome = std::get_if<RecordOutcome>(command);
    if (outcome != nullptr && owner_of(partition_of(outcome->key.endpoint)) != daemon)
      watch_.violation("an outcome recorded by who does not own the partition");
  }
}

void SharedStore::tell_others(int daemon, const Facts& facts) {
  Facts hints;
  for (const Fact& fact : facts) {
    if (!std::holds_alternative<EndpointFailing>(fact) && !std::holds_alternative<EndpointRecovered>(fact))
      hints.push_back(as_hint(fact));
  }
  for (int other = 0; other < kMaxDaemons && !hints.empty(); ++other) {
    if (is_up(other) && other != daemon) hint(other, {commits_, hints});
  }
}

// The daemon does not know that the commit was its own, and sees its changes of endpoints among those of others.
void SharedStore::tell_itself(int daemon, const Facts& facts) {
  Facts hints;
  for (const Fact& fact : facts) {
    if (std::holds_alternative<EndpointChanged>(fact)) hints.push_back(as_hint(fact));
  }
  if (!hints.empty()) hint(daemon, {commits_, std::move(hints)});
}

Applied SharedStore::apply(int daemon, const Batch& batch) {
  if (is_fenced(daemon)) throw StoreError(StoreError::Kind::kFenced, "another daemon has taken over");
  check_owner(daemon, batch);
  const bool unknown = chance(faults_.unknown);
  if (unknown && chance(0.5)) throw StoreError(StoreError::Kind::kUnknown, "the connection was lost");
  const Batch mine{batch.commands, real_->ownership().token, batch.repeat};
  Applied applied;
  try {
    applied = real_->writer().apply(mine);
  } catch (const StoreError& error) {
    if (!error.may_try_again()) watch_.uncertain(batch);
    throw;
  }
  watch_.committed(daemon, ++commits_, batch, applied);
  tell_others(daemon, applied.facts);
  if (unknown) tell_itself(daemon, applied.facts);
  if (unknown) throw StoreError(StoreError::Kind::kUnknown, "the connection was lost");
  return applied;
}

}  // namespace outboxd::simulation
