// The StoreWriter: it handles what surrounds a batch (the connection, the transaction, this daemon's standing); its parts
// carry out the commands. One connection, one thread.
//
// Commands of which a batch may have hundreds (AcceptEvents, AnnounceEvent, RecordOutcome) are gathered in runs and carried
// out together, in two or three round trips whatever their number. All others are carried out one by one, between runs.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/secret_box.h"
#include "store/postgresql/batch_writer.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/delivery_moves.h"
#include "store/postgresql/delivery_order.h"
#include "store/postgresql/endpoint_writer.h"
#include "store/postgresql/event_type_writer.h"
#include "store/postgresql/event_writer.h"
#include "store/postgresql/fan_out_writer.h"
#include "store/postgresql/housekeeper.h"
#include "store/postgresql/operator_writer.h"
#include "store/postgresql/outbox_writer.h"
#include "store/postgresql/outcome_writer.h"
#include "store/postgresql/payload_writer.h"
#include "store/postgresql/pending_rows.h"
#include "store/postgresql/retention_writer.h"
#include "store/postgresql/run_orders.h"
#include "store/postgresql/secrets_writer.h"
#include "store/postgresql/standing.h"
#include "store/postgresql/transaction.h"
#include "store/store.h"

namespace outboxd::postgresql {

class Writer final : public StoreWriter {
 public:
  struct Options {
    ConnectionOptions connection;
    OwnerToken owner;  // a batch with another token is refused
    std::shared_ptr<const SecretBox> secrets;
    const Clock* clock = nullptr;  // for tests
  };
  Writer(Options options, Standing& standing);

  Applied apply(const Batch& batch) override;
  void maintain() override;

 private:
  using Refusals = std::vector<std::optional<Problem>>;  // one per command
  struct Attempt;                                        // to apply a batch
  // Runs one transaction over the commands that are not refused yet. Absent: it was rolled back, and `attempt` says
  // what is to be done otherwise.
  std::optional<Applied> try_apply(const Batch& batch, Attempt& attempt);
  Applied execute_all(const Batch& batch, Attempt& attempt);
  void begin_alone(const Batch& batch, Attempt& attempt);
  void run_together(const Batch& batch, Attempt& attempt, Applied& applied, bool last);
  void ask_first(Pipeline& first, const Batch& batch, Attempt& attempt, Applied& applied, bool& numbered);
  void ask_second(bool numbered);
  void write_run(Pipeline& last);
  Result<AnyAnswer> execute_in_run(const Command& command);
  Result<AnyAnswer> execute(const Command& command);
  bool handle(const ConstraintViolation& violation, const Batch& batch, Attempt& attempt);
  void make_days(const Batch& batch);
  void end_run();
  void rollback() noexcept;
  [[noreturn]] void fail(const std::string& what);

  const Options options_;
  Standing& standing_;
  Connection db_;
  Transaction transaction_;
  DeliveryOrder order_{db_};
  RunOrders orders_{order_};
  PendingRows pending_{db_};
  EventWriter events_{db_, orders_, pending_};
  OutcomeWriter outcomes_{db_, orders_, pending_};
  FanOutWriter fan_outs_{db_, order_, pending_};
  EndpointWriter endpoints_;
  DeliveryMoves moves_{db_, order_};
  OperatorWriter operator_{db_, order_, moves_};
  BatchWriter batches_{db_, operator_};
  EventTypeWriter types_{db_};
  OutboxWriter outbox_{db_};
  PayloadWriter payloads_{db_, moves_};
  RetentionWriter retention_{db_, types_};
  SecretsWriter secrets_;
  Housekeeper housekeeper_;
  Statement make_day_{db_, "SELECT make_day($1::integer)"};
  std::set<int> days_;  // that have partitions
  bool failed_ = false;
};

}  // namespace outboxd::postgresql
