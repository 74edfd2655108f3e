// Checks whatever the daemons of a simulated world send: against what the store has committed (core_ledger.h), and
// against how much of that each daemon's delivery side has heard.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/core_ledger.h"
#include "simulation/core_network.h"
#include "simulation/shared_store.h"

namespace outboxd::simulation {

class CoreAttempts final : public SimulatedNetwork::Watch {
 public:
  using Gone = std::function<void(int daemon, EndpointSeq)>;  // a receiver answers 410, before anybody knows
  CoreAttempts(const Ledger& ledger, const SharedStore& store, const Clock& clock, Ledger::Fail fail,
               Ledger::Fail note, Gone gone)
      : ledger_(ledger),
        store_(store),
        clock_(clock),
        fail_(std::move(fail)),
        note_(std::move(note)),
        gone_(std::move(gone)) {}

  // The lives of the daemons. A daemon knows from its start what the store has committed by then (`commits`).
  void started(int daemon, std::int64_t commits);
  void ended(int daemon);
  // The daemon's delivery side has heard of its own commits, or of those of others, up to number `number`.
  void heard_own(int daemon, std::int64_t number) { life(daemon).own = number; }
  void heard_hint(int daemon, std::int64_t number) { life(daemon).hints = number; }
  void gave_up(int daemon, const PartitionSet& partitions) { life(daemon).given_up |= partitions; }
  void owns(int daemon, const PartitionSet& partitions) { life(daemon).given_up &= ~partitions; }

  void committed(int daemon, const Batch& batch, const Applied& applied);

  void attempt_begins(int daemon, const SendRequest& request) override;
  void attempt_ends(int daemon, const SendRequest& request, const SendResult& result) override;

  // To be asked when nothing is under way any more: what should have followed and has not; empty: nothing.
  std::string missing() const;
  bool has_unrecorded(int daemon) const { return !life(daemon).succeeded.empty(); }
  std::vector<EndpointSeq> endpoints_under_way() const;
  std::int64_t attempts() const { return attempts_; }
  std::int64_t twice() const { return twice_; }  // sent while a former owner's request was under way

 private:
  struct Life {
    std::int64_t own = 0, hints = 0;
    PartitionSet given_up;
    std::set<DeliveryKey> succeeded;  // sent successfully, not recorded yet
    // Endpoints that have answered 410, each with the number of the commit that had changed it last.
    std::map<EndpointSeq, std::int64_t> gone;
  };
  struct UnderWay {
    int daemon;
    DeliveryKey key;
    std::optional<std::string> sequence_key;
  };
  Life& life(int daemon) { return lives_.at(static_cast<std::size_t>(daemon)); }
  const Life& life(int daemon) const { return lives_.at(static_cast<std::size_t>(daemon)); }
  bool has_heard(int daemon, const Commit& commit) const;
  std::optional<DeliveryKey> key_of(const SendRequest& request) const;
  void check_owner(int daemon, DeliveryKey key) const;
  void check_endpoint(int daemon, const SendRequest& request, DeliveryKey key) const;
  void check_order(int daemon, DeliveryKey key) const;
  void check_under_way(int daemon, const UnderWay& mine);
  void forget_successes(const EventId& event);
  void require(bool holds, const std::string& what, DeliveryKey key) const;

  const Ledger& ledger_;
  const SharedStore& store_;
  const Clock& clock_;
  const Ledger::Fail fail_, note_;
  const Gone gone_;
  std::array<Life, kMaxDaemons> lives_;
  std::vector<UnderWay> under_way_;
  std::set<std::string> gone_urls_;  // URLs that have answered 410
  std::int64_t attempts_ = 0, twice_ = 0;
};

}  // namespace outboxd::simulation
