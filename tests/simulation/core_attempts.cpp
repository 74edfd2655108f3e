#include "simulation/core_attempts.h"

#include <algorithm>

#include "simulation/core_trace.h"

namespace outboxd::simulation {

void CoreAttempts::require(bool holds, const std::string& what, DeliveryKey key) const {
  if (!holds)
    fail_(what + ": event " + std::to_string(key.event) + ", endpoint " + std::to_string(key.endpoint));
}

void CoreAttempts::started(int daemon, std::int64_t commits) {
  life(daemon) = {.own = commits, .hints = commits, .given_up = {}, .succeeded = {}, .gone = {}};
}

void CoreAttempts::ended(int daemon) {
  std::erase_if(under_way_, [daemon](const UnderWay& u) { return u.daemon == daemon; });
  life(daemon) = {};
}

bool CoreAttempts::has_heard(int daemon, const Commit& commit) const {
  return commit.number <= (commit.daemon == daemon ? life(daemon).own : life(daemon).hints);
}

std::optional<DeliveryKey> CoreAttempts::key_of(const SendRequest& request) const {
  const auto fields = request.headers.fields();
  const auto header = std::ranges::find(fields, "webhook-id", &HeaderField::name);
  if (header == fields.end()) return std::nullopt;
  const auto id = EventId::parse(header->value);
  const auto event = id ? ledger_.event(*id) : std::nullopt;
  if (!event) return std::nullopt;
  return DeliveryKey{*event, request.group};
}

void CoreAttempts::check_owner(int daemon, DeliveryKey key) const {
  if (store_.is_fenced(daemon)) return;  // it does not know yet that it has lost them
  const Partition partition = partition_of(key.endpoint);
  require(store_.owner_of(partition) == daemon, "an attempt by who does not own the partition", key);
  require(!life(daemon).given_up.test(static_cast<std::size_t>(partition)),
          "an attempt after the partition was given up", key);
}

void CoreAttempts::check_endpoint(int daemon, const SendRequest& request, DeliveryKey key) const {
  const EndpointEntry* endpoint = ledger_.find_endpoint(key.endpoint);
  if (endpoint == nullptr) return require(false, "an attempt to an unknown endpoint", key);
  if (!has_heard(daemon, endpoint->since)) return;
  if (!endpoint->now) return require(false, "an attempt to an endpoint that was removed", key);
  require(endpoint->now->state == EndpointState::kActive, "an attempt to an endpoint that is not active",
          key);
  require(endpoint->now->url == request.to->url.text, "an attempt to a URL that is not the endpoint's", key);
}

void CoreAttempts::check_order(int daemon, DeliveryKey key) const {
  const auto before =
      ledger_.predecessor(key, [&](const Commit& commit) { return has_heard(daemon, commit); });
  require(!before, "an attempt before one that it has to wait for", key);
}

void CoreAttempts::check_under_way(int daemon, const UnderWay& mine) {
  for (const UnderWay& other : under_way_) {
    const bool same = other.key == mine.key;
    const bool in_order = mine.sequence_key && other.key.endpoint == mine.key.endpoint &&
                          other.sequence_key == mine.sequence_key;
    if (!same && !in_order) continue;
    if (other.daemon != daemon && (store_.is_fenced(daemon) || store_.is_fenced(other.daemon))) {
      ++twice_;
      continue;
    }
    require(false, same ? "an attempt while another one is under way" : "two attempts of one sequence key",
            mine.key);
  }
}

void CoreAttempts::attempt_begins(int daemon, const SendRequest& request) {
  ++attempts_;
  const auto key = key_of(request);
  if (!key) return fail_("an attempt of an event that was not accepted");
  note_(std::to_string(daemon) + " sends " + describe(*key));
  const DeliveryEntry* delivery = ledger_.find(*key);
  if (delivery == nullptr) return require(false, "an attempt of a delivery that is not stored", *key);
  require(request.body && !request.body->empty(), "an attempt without the payload", *key);
  check_owner(daemon, *key);
  check_endpoint(daemon, request, *key);
  require(delivery->state == DeliveryState::kPending || !has_heard(daemon, delivery->since) ||
              store_.is_fenced(daemon) || ledger_.is_uncertain(*key),
          "an attempt of a delivery that has ended", *key);
  require(!life(daemon).succeeded.contains(*key) || store_.is_fenced(daemon),
          "an attempt of what was delivered", *key);
  require(!delivery->deliver_at || *delivery->deliver_at <= clock_.wall(), "an attempt before deliver_at",
          *key);
  check_order(daemon, *key);
  const UnderWay mine{daemon, *key, delivery->sequence_key};
  check_under_way(daemon, mine);
  under_way_.push_back(mine);
}

void CoreAttempts::attempt_ends(int daemon, const SendRequest& request, const SendResult& result) {
  const auto key = key_of(request);
  const auto mine = std::ranges::find_if(
      under_way_, [&](const UnderWay& u) { return u.daemon == daemon && key && u.key == *key; });
  if (mine == under_way_.end()) return fail_("an attempt ended that was not under way");
  under_way_.erase(mine);
  note_(std::to_string(daemon) + " got an answer, " + describe(*key) + ": " +
        std::string(to_string(result.outcome)) + (result.aborted ? " (aborted)" : ""));
  if (result.aborted) return;
  if (result.outcome == Outcome::kSuccess) life(daemon).succeeded.insert(*key);
  if (result.status != 410) return;
  gone_urls_.insert(request.to->url.text);
  const EndpointEntry* endpoint = ledger_.find_endpoint(key->endpoint);
  const bool current = endpoint != nullptr && endpoint->now && endpoint->now->url == request.to->url.text &&
                       endpoint->now->state == EndpointState::kActive && has_heard(daemon, endpoint->since);
  if (current && !life(daemon).given_up.test(static_cast<std::size_t>(partition_of(key->endpoint))))
    life(daemon).gone.emplace(key->endpoint, endpoint->since.number);
  gone_(daemon, key->endpoint);
}

// What an operator does to an event takes precedence over the outcomes that are not recorded yet.
void CoreAttempts::forget_successes(const EventId& id) {
  const auto event = ledger_.event(id);
  for (Life& one : lives_) std::erase_if(one.succeeded, [&](DeliveryKey key) { return key.event == event; });
}

void CoreAttempts::committed(int daemon, const Batch& batch, const Applied& applied) {
  for (std::size_t n = 0; n < batch.commands.size(); ++n) {
    const Command& command = *batch.commands[n];
    if (!applied.answers.at(n)) continue;
    if (const auto* outcome = std::get_if<RecordOutcome>(&command)) {
      life(daemon).succeeded.erase(outcome->key);
    } else if (const auto* change = std::get_if<ChangeDelivery>(&command)) {
      for (Life& one : lives_) one.succeeded.erase(change->key);
    } else if (const auto* step = std::get_if<StepBatch>(&command)) {
      for (const DeliveryKey key : step->step->keys) {
        for (Life& one : lives_) one.succeeded.erase(key);
      }
    } else if (const auto* replay = std::get_if<ReplayEvent>(&command)) {
      forget_successes(replay->id);
    } else if (const auto* erase = std::get_if<ErasePayload>(&command)) {
      forget_successes(erase->id);
    } else if (const auto* disable = std::get_if<DisableEndpoint>(&command)) {
      const auto& endpoint = std::get<EndpointPtr>(*applied.answers[n]);
      require(disable->reason != "gone" || gone_urls_.contains(endpoint->url),
              "an endpoint is disabled whose receiver has not asked for it", {0, endpoint->seq});
    }
  }
}

std::vector<EndpointSeq> CoreAttempts::endpoints_under_way() const {
  std::vector<EndpointSeq> found;
  for (const UnderWay& one : under_way_) found.push_back(one.key.endpoint);
  return found;
}

std::string CoreAttempts::missing() const {
  if (!under_way_.empty()) return "an attempt is under way";
  for (const Life& one : lives_) {
    if (!one.succeeded.empty())
      return "an attempt that succeeded was not recorded: event " +
             std::to_string(one.succeeded.begin()->event) + ", endpoint " +
             std::to_string(one.succeeded.begin()->endpoint);
    for (const auto& [seq, since] : one.gone) {
      const EndpointEntry* endpoint = ledger_.find_endpoint(seq);
      if (endpoint != nullptr && endpoint->now && endpoint->since.number == since)
        return "an endpoint is gone and was not disabled: " + std::to_string(seq);
    }
  }
  return "";
}

}  // namespace outboxd::simulation
