// The ledger's own idea of what operators' batches do: each step is checked against the states that the commits before it
// have left, and since when.
#include "simulation/core_ledger.h"

namespace outboxd::simulation {

std::vector<BatchId> Ledger::running_batches() const {
  std::vector<BatchId> running;
  for (const auto& [id, batch] : batches_) {
    if (batch->state == BatchState::kRunning) running.push_back(id);
  }
  return running;
}

void Ledger::apply(const CreateBatch& command, const AnyAnswer& answer) {
  const auto& made = std::get<OperatorBatchPtr>(answer);
  if (repeat_ && batches_.contains(command.batch->id)) return;
  require(made->number > batches_made_, "two batches have one number");
  require(made->number == batches_made_ + 1 || batches_uncertain_, "a batch was made that nobody asked for");
  batches_made_ = made->number;
  batches_uncertain_ = false;
  batches_[command.batch->id] = made;
}

void Ledger::apply(const CancelBatch& command, const AnyAnswer& answer) {
  batches_[command.id] = std::get<OperatorBatchPtr>(answer);
}

// Pruned rows, and those of removed endpoints, may be gone or swept without a commit that says so.
Ledger::Act Ledger::must_act(const OperatorBatch& batch, DeliveryKey key) const {
  const DeliveryEntry* entry = find(key);
  if (entry == nullptr || may_be_gone(key, *entry) || entry->after_batch < 0) return Act::kUnknown;
  // What is to be sent again needs an endpoint; that may have been removed since.
  const auto* endpoint = find_endpoint(key.endpoint);
  if (batch.action != BatchAction::kDiscard && (endpoint == nullptr || !endpoint->now)) return Act::kUnknown;
  if (batch.action != BatchAction::kDiscard && erased_.contains(key.event)) return Act::kNo;
  if (batch.action != BatchAction::kDiscard && may_be_pruned(key.event)) return Act::kUnknown;
  return entry->after_batch < batch.number && may_act(batch.action, entry->state) ? Act::kYes : Act::kNo;
}

void Ledger::act(const OperatorBatch& batch, DeliveryKey key, Time at) {
  if (batch.action != BatchAction::kDiscard) return make_pending(key);
  finish(deliveries_.at(place_of(key)), DeliveryState::kDiscarded, at);
}

// Of the filters those that CoreWorld::make_batch() gives.
bool Ledger::matches(const DeliveryFilter& filter, DeliveryKey key) const {
  const auto* endpoint = find_endpoint(key.endpoint);
  const Event* event = event_of(key.event);
  if (event == nullptr || endpoint == nullptr || !endpoint->now) return false;
  return (!filter.state || filter.state == find(key)->state) &&
         (!filter.endpoint || filter.endpoint == endpoint->now->id) &&
         (!filter.type || filter.type == event->type);
}

// Whatever matches and has not changed since the batch was made matched then.
void Ledger::check_finished(const OperatorBatch& batch) const {
  if (batch.state != BatchState::kFinished) return;
  for (const DeliveryKey key : all_deliveries()) {
    if (matches(batch.filter, key) && must_act(batch, key) == Act::kYes)
      return fail_("a batch has ended and left out event " + std::to_string(key.event) + ", endpoint " +
                   std::to_string(key.endpoint));
  }
}

void Ledger::apply(const StepBatch& command, const AnyAnswer& answer) {
  const auto& now = std::get<OperatorBatchPtr>(answer);
  const BatchStep& step = *command.step;
  const OperatorBatchPtr before = std::exchange(batches_[command.id], now);
  if (!before) {  // nobody knows which of its steps were made
    for (const DeliveryKey key : step.keys) uncertain_.deliveries.insert(key);
    return check_finished(*now);
  }
  const std::int64_t done = now->done - before->done;
  if (before->state != BatchState::kRunning || before->place != step.from)
    return require(done == 0, "a step of a batch was made twice");
  std::vector<DeliveryKey> surely, perhaps;
  for (const DeliveryKey key : step.keys) {
    const Act act = must_act(*now, key);
    if (act == Act::kYes) surely.push_back(key);
    if (act == Act::kUnknown) perhaps.push_back(key);
  }
  const auto least = static_cast<std::int64_t>(surely.size()),
             unknown = static_cast<std::int64_t>(perhaps.size());
  require(done >= least, "a batch leaves out what matched when it was made");
  require(done <= least + unknown, "a batch acts upon what has changed since it was made");
  for (const DeliveryKey key : surely) act(*now, key, step.at);
  for (const DeliveryKey key : perhaps) {
    const bool there = find(key) != nullptr;
    if (done == least + unknown && there && find_endpoint(key.endpoint) && find_endpoint(key.endpoint)->now)
      act(*now, key, step.at);
    if (done != least) uncertain_.deliveries.insert(key);
  }
  check_finished(*now);
}

}  // namespace outboxd::simulation
