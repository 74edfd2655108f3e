// Accepts events: with their deliveries, the source's place, the outbox row and the idempotency key. A part of the Writer.
//
// AcceptEvents and AnnounceEvent come in runs of commands that are carried out together, in three round trips at most:
//
//   expect() each, ask()   what must be known of them: keys used before, rows of the outbox, places of sources
//   ask_numbers()          under the locks of their orders, if they have any
//   execute() each         in memory, one after the other; what it stores is gathered
//   write()                what was gathered
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "store/idempotency.h"
#include "store/postgresql/days.h"
#include "store/postgresql/new_events.h"
#include "store/postgresql/pending_rows.h"
#include "store/postgresql/run_orders.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class EventWriter {
 public:
  EventWriter(Connection& db, RunOrders& orders, PendingRows& pending);

  void expect(const AcceptEvents& command);
  void expect(const AnnounceEvent& command);
  void ask(Pipeline& pipeline, bool repeats);
  void hear(const Pipeline& pipeline);
  // `ordered`: their orders are locked, and only what is drawn now is higher than all others.
  void ask_numbers(Pipeline& pipeline, Transaction& transaction, bool ordered);
  void hear_numbers(const Pipeline& pipeline, bool ordered);

  Result<Accepted> execute(const AcceptEvents& command, Transaction& transaction);
  Result<Accepted> execute(const AnnounceEvent& command, Transaction& transaction);
  void write(Pipeline& pipeline) { new_.write(pipeline); }
  void end_run();
  void committed() { new_.committed(); }
  void rolled_back();
  void begin_batch();
  // Partitions may have been dropped since.
  void forget_days() { new_.forget_days(); }

 private:
  // What the database knows of an event or of an idempotency key, or the run has stored.
  struct Stored {
    EventSeq seq = 0;
    std::optional<AcceptedEvent> event = {};  // absent: it is gone
    std::string digest = {};
    std::int64_t expires_at = 0;
    std::optional<EventSeq> replaces = {};  // the key's row is of this event in the database
  };
  struct Asked {
    std::optional<std::size_t> keys, rows, places, events, numbers, newest_endpoint;
  };

  void expect(const NewEvent& event, DirectoryVersion matched);
  std::optional<KeyUse> find_key_use(const NewEvent& event) const;
  std::optional<Problem> check_place(const SourceStep& step, const Transaction& transaction);
  std::optional<AcceptedEvent> find_accepted_before(const NewEvent& event, Transaction& transaction);
  bool find_accepted_before(const AcceptEvents& command, std::vector<Disposition>& dispositions,
                            Transaction& transaction);
  AcceptedEvent accept(const AcceptEvents& command, std::size_t i, const Disposition& disposition,
                       const std::vector<AcceptedEvent>& before, Transaction& transaction);
  AcceptedEvent insert(const NewEvent& accepted, Millis idempotency_window, Transaction& transaction);
  void use_key(const NewEvent& event, EventSeq seq, Time expires_at, const AcceptedEvent& answer);

  RunOrders& orders_;
  PendingRows& pending_;
  NewEvents new_;

  // Of the run: what is asked.
  std::vector<const NewEvent*> expected_;
  std::vector<DirectoryVersion> matched_;  // of each of them
  std::vector<std::int64_t> outbox_rows_;
  std::vector<std::string> sources_;
  bool fans_out_ = false;
  Asked asked_;
  // What was heard.
  std::unordered_map<std::string, Stored> keys_;        // tenant NUL key
  std::unordered_map<const NewEvent*, Stored> before_;  // on a repeat: those that are stored
  std::unordered_set<std::int64_t> waiting_;            // rows of the outbox
  std::map<std::string, SourcePlace> places_;
  std::vector<EventSeq> numbers_;  // the next one last
  // Drawn in this transaction; and in those of the batch that were rolled back, to be used instead of others. Descending.
  std::vector<EventSeq> drawn_, spare_;
  EndpointSeq newest_endpoint_ = 0;

  Statement find_keys_, find_events_, waiting_rows_, source_places_, next_numbers_, find_newest_endpoint_;
};

}  // namespace outboxd::postgresql
