// The StoreWriter: it handles what surrounds a batch (the transaction, the disk, the files); its parts carry out the
// commands. One connection, one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/secret_box.h"
#include "store/sqlite/ballast.h"
#include "store/sqlite/batch_writer.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/endpoint_writer.h"
#include "store/sqlite/event_type_writer.h"
#include "store/sqlite/event_writer.h"
#include "store/sqlite/operator_writer.h"
#include "store/sqlite/outcome_writer.h"
#include "store/sqlite/payload_eraser.h"
#include "store/sqlite/payload_pruner.h"
#include "store/sqlite/retention_writer.h"
#include "store/sqlite/secrets_writer.h"
#include "store/sqlite/served_files.h"
#include "store/sqlite/shared.h"
#include "store/sqlite/transaction.h"
#include "store/store.h"

namespace outboxd::sqlite {

class Writer final : public StoreWriter {
 public:
  struct Options {
    Location location;
    OwnerToken owner;  // a batch with another token is refused
    Millis busy_timeout{};
    int cache_kib = 0;
    std::int64_t ballast_bytes = 0;
    bool checkpoints = true;  // false: another program checkpoints
    std::shared_ptr<const SecretBox> secrets;
    std::function<void()> on_error = {};
  };
  Writer(const Options& options, Shared& shared);

  Applied apply(const Batch& batch) override;
  void maintain() override;
  void finish() override;

 private:
  using Refusals = std::vector<std::optional<Problem>>;  // one per command
  // Runs one transaction over the commands that are not refused yet. Absent: one of them violated a constraint;
  // everything was rolled back, and that command is now refused.
  std::optional<Applied> try_apply(const Batch& batch, Refusals& refused, bool& gathers_rows);
  Applied apply_until_legal(const Batch& batch);
  Applied execute_all(const Batch& batch, const Refusals& refused, std::size_t& at);
  Result<AnyAnswer> execute(const Command& command);
  void insert_gathered();
  void rollback() noexcept;
  [[noreturn]] void fail(const std::string& what);
  void check_files();  // before anything is acknowledged
  bool all_files_due() const;
  void purge_log();

  const OwnerToken owner_;
  Ballast ballast_;  // before the connection, so that any space it gives up is free by then
  Database db_;
  std::optional<Checkpoint> checkpoint_;
  Transaction transaction_;
  DeliveryOrder order_{db_};
  EventWriter events_{db_, order_};
  OutcomeWriter outcomes_{db_, order_};
  EndpointWriter endpoints_;
  SecretsWriter secrets_;
  PayloadEraser eraser_{db_};
  OperatorWriter operator_{db_, order_, eraser_};
  BatchWriter batches_{db_, operator_};
  EventTypeWriter types_{db_};
  RetentionWriter retention_{db_, types_};
  PayloadPruner payloads_{db_, eraser_};
  bool failed_ = false;
  bool purging_;                      // erased bytes may be in the write-ahead log yet
  std::optional<ServedFiles> files_;  // set when everything is open
  MonotonicTime files_checked_{};
};

}  // namespace outboxd::sqlite
