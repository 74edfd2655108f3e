// The StoreWriter: each kind of command is a few prepared statements. One connection, one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/secret_box.h"
#include "store/due_clock.h"
#include "store/sqlite/ballast.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/database.h"
#include "store/sqlite/served_files.h"
#include "store/sqlite/statements.h"
#include "store/store.h"

namespace outboxd::sqlite {

// What the row of `counter` holds.
struct Tally {
  EventSeq event_seq = 0;        // the last one given
  EndpointSeq endpoint_seq = 0;  // the last one given
  std::int64_t events = 0;
  std::int64_t pending = 0, delivered = 0, dead = 0, discarded = 0;

  std::int64_t& of(DeliveryState state);
};
Tally read_tally(Statement& read_counter);

class Writer final : public StoreWriter {
 public:
  struct Options {
    Location location;
    Millis busy_timeout{};
    int cache_kib = 0;
    std::int64_t ballast_bytes = 0;
    bool checkpoints = true;  // false: another program does
    std::shared_ptr<const SecretBox> secrets;
    std::function<void()> on_error = {};
  };
  Writer(const Options& options, ReadGate& gate, DueClock& due_clock);

  void apply(std::span<Write*> batch) override;
  void tidy() override;
  void finish() override;

 private:
  // One transaction over the batch without what is refused already. False: `write` broke a constraint;
  // everything was undone and it alone is refused now.
  bool try_apply(std::span<Write*> batch);
  void apply_until_legal(std::span<Write*> batch);
  void refuse_growth(std::span<Write*> batch) const;  // while the disk is full
  void begin();
  void commit();
  // As the column due_at has it: `due` as it was decided at `at`, which lies in the future when the clock was set
  // back since.
  std::int64_t due_millis(Time due, Time at) const {
    return millis(due + ahead_ - std::max(at - wall_ - DueClock::kStep, Millis(0)));
  }
  void rollback() noexcept;
  void fail(const std::string& what);
  void check_files();  // before anything is acknowledged
  bool all_files_due() const;

  // In a transaction a command is const. What it answers is put into it when the commit is certain: what was undone
  // leaves no trace in it, and the next try is the same again.
  template <class C, class Put>
  void answer(Put put) {
    answers_.push_back(
        [write = current_, put = std::move(put)]() mutable { put(std::get<C>(write->command)); });
  }
  void refuse(Problem problem);

  void execute(const AcceptEvents& command);
  void execute(const AnnounceEvent& command);
  void execute(const ExpandEvent& command);
  void execute(const RejectOutboxRow& command);
  void execute(const RecordOutcome& command);
  void execute(const SetFailingSince& command);
  void execute(const CreateEndpoint& command);
  void execute(const UpdateEndpoint& command);
  void execute(const EncryptSecrets& command);
  void execute(const SetEndpointState& command);
  void execute(const DisableEndpoint& command);
  void execute(const RemoveEndpoint& command);
  void execute(const DiscardRemoved& command);
  void execute(const ChangeDelivery& command);
  void execute(const ReplayEvent& command);
  void execute(const Prune& command);

  // writer_events.cpp
  struct Fate;
  std::optional<Problem> judge(const AcceptEvents& command, std::vector<Fate>& fates);
  struct Stored;
  Stored insert(const NewEvent& event, Millis idempotency_window);
  void insert_delivery(Statement& insert, const Event& event, EventSeq seq, FirstAttempt& first);
  bool is_removed(EndpointSeq endpoint) const;
  std::vector<FirstAttempt> without_removed(const std::vector<FirstAttempt>& endpoints) const;
  bool move_pending(Statement& move, const RecordOutcome& outcome);
  bool expires(DeliveryKey key);
  void insert_attempt(DeliveryKey key, const Attempt& attempt);

  // writer_operator.cpp
  void wipe_endpoint_pages();
  std::optional<Endpoint> find_endpoint(const EndpointId& id);  // absent: the command is refused
  std::optional<Endpoint> set_state(const EndpointId& id, EndpointState state, const std::string& reason,
                                    Time at);
  std::optional<Delivery> find_delivery(DeliveryKey key);
  std::optional<Ordering> ordering_of(EndpointSeq endpoint);  // absent: there is no such endpoint
  std::optional<std::string> ordering_key_of(EventSeq event);
  void count_move(DeliveryState from, DeliveryState to);
  // Answers what was the head and is behind now.
  std::optional<DeliveryKey> make_pending(const Delivery& from, const std::optional<std::string>& order_key,
                                          Time at);
  std::optional<NewHead> discard(const ChangeDelivery& command, DeliveryState from);
  std::int64_t discard_some(EndpointSeq endpoint, std::int64_t limit, Time at);

  // writer_events.cpp
  void number_anew(std::int64_t outbox_row);

  // writer_order.cpp
  struct First;
  std::optional<First> first_in_order(EndpointSeq endpoint, const std::string& order_key);
  // Where a delivery stands that will be pending with this order key and is not yet. A head that it comes
  // before is set back.
  struct Place {
    bool behind = false;
    std::optional<DeliveryKey> set_back;
  };
  Place place(DeliveryKey key, const std::optional<std::string>& order_key);
  // After one has left: answers the next one if it was behind and is the head now.
  std::optional<NewHead> promote(EndpointSeq endpoint, const std::string& order_key);
  std::optional<std::string> order_key_of_pending(DeliveryKey key);

  // writer_retention.cpp
  std::int64_t prune_keys(Time now, std::int64_t limit);
  std::int64_t prune_rejected(Time before, std::int64_t limit);
  std::int64_t prune_endpoints(Time before, std::int64_t limit);
  struct PruneStep;
  bool prune_deliveries(EventSeq event, PruneStep& step);
  bool prune_event(EventSeq event, bool old, PruneStep& step);
  void prune_events(PruneStep& step);
  bool give_back_pages();  // true: there are more

  Ballast ballast_;  // before the connection is opened: what it gives up must not be in the way
  Database db_;
  std::optional<Checkpoint> checkpoint_;
  DueClock& due_clock_;
  const std::shared_ptr<const SecretBox> secrets_;  // null: they are stored in plain
  Millis ahead_{0};                                 // due time - wall time, in the transaction under way
  Time wall_{};                                     // when it began
  Tally committed_;
  Tally now_;  // with what the transaction under way has changed
  // Those that are not removed, as committed. A command made before a removal may still name that endpoint: it
  // matches no more.
  std::unordered_set<EndpointSeq> endpoints_;
  std::unordered_set<EndpointSeq> removing_;  // of them, in the transaction under way
  Write* current_ = nullptr;                  // the command that is carried out
  std::vector<std::function<void()>> answers_;
  bool failed_ = false;
  std::optional<ServedFiles> files_;  // when everything is open
  MonotonicTime files_checked_{};

  Statement begin_{db_, sql::kBegin}, commit_{db_, sql::kCommit}, rollback_{db_, sql::kRollback};
  Statement add_to_counter_{db_, sql::kAddToCounter};
  Statement insert_event_{db_, sql::kInsertEvent}, insert_delivery_{db_, sql::kInsertDelivery};
  Statement insert_delivery_unless_there_{db_, sql::kInsertDeliveryUnlessThere};
  Statement first_in_order_{db_, sql::kFirstInOrder}, set_behind_{db_, sql::kSetBehind};
  Statement insert_fan_out_{db_, sql::kInsertFanOut}, advance_fan_out_{db_, sql::kAdvanceFanOut};
  Statement delete_fan_out_{db_, sql::kDeleteFanOut},
      count_event_deliveries_{db_, sql::kCountEventDeliveries};
  Statement find_idempotency_{db_, sql::kFindIdempotency}, put_idempotency_{db_, sql::kPutIdempotency};
  Statement outbox_row_waits_{db_, sql::kOutboxRowWaits}, delete_outbox_row_{db_, sql::kDeleteOutboxRow};
  Statement reject_outbox_row_{db_, sql::kRejectOutboxRow};
  Statement insert_attempt_{db_, sql::kInsertAttempt}, last_attempt_{db_, sql::kLastAttempt};
  Statement move_pending_{db_, sql::kMovePending}, move_pending_in_order_{db_, sql::kMovePendingInOrder};
  Statement order_key_of_pending_{db_, sql::kOrderKeyOfPending};
  Statement expires_{db_, sql::kExpires}, count_attempt_{db_, sql::kCountAttempt};
  Statement find_delivery_{db_, sql::kFindDelivery}, change_delivery_{db_, sql::kChangeDelivery};
  Statement find_event_to_replay_{db_, sql::kFindEventToReplay},
      add_event_deliveries_{db_, sql::kAddEventDeliveries};
  Statement event_ordering_key_{db_, sql::kEventOrderingKey}, endpoint_ordering_{db_, sql::kEndpointOrdering};
  Statement insert_endpoint_{db_, sql::kInsertEndpoint}, update_endpoint_{db_, sql::kUpdateEndpoint};
  Statement secrets_after_{db_, sql::kSecretsAfter}, set_secrets_{db_, sql::kSetSecrets};
  Statement set_endpoint_state_{db_, sql::kSetEndpointState}, remove_endpoint_{db_, sql::kRemoveEndpoint};
  Statement set_failing_since_{db_, sql::kSetFailingSince}, endpoint_by_id_{db_, sql::kEndpointById};
  Statement discarding_endpoint_{db_, sql::kDiscardingEndpoint},
      pending_of_endpoint_{db_, sql::kPendingOfEndpoint};
  Statement pending_in_order_of_endpoint_{db_, sql::kPendingInOrderOfEndpoint};
  Statement discard_pending_{db_, sql::kDiscardPending}, end_discarding_{db_, sql::kEndDiscarding};
  Statement events_after_{db_, sql::kEventsAfter}, finish_of_deliveries_{db_, sql::kFinishOfDeliveries};
  Statement fan_out_of_{db_, sql::kFanOutOf}, any_delivery_of_{db_, sql::kAnyDeliveryOf};
  Statement delete_attempts_{db_, sql::kDeleteAttempts};
  Statement delete_delivery_{db_, sql::kDeleteDelivery}, delete_event_{db_, sql::kDeleteEvent};
  Statement expired_idempotency_{db_, sql::kExpiredIdempotency};
  Statement delete_idempotency_{db_, sql::kDeleteIdempotency};
  Statement rejected_after_{db_, sql::kRejectedAfter}, delete_rejected_{db_, sql::kDeleteRejected};
  Statement removed_endpoints_{db_, sql::kRemovedEndpoints}, delete_endpoint_{db_, sql::kDeleteEndpoint};
};

}  // namespace outboxd::sqlite
