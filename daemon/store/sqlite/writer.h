// The StoreWriter: what surrounds a batch (its transaction, the disk, the files); what a command does is the matter of
// the parts. One connection, one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/secret_box.h"
#include "store/due_clock.h"
#include "store/sqlite/ballast.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/endpoint_writer.h"
#include "store/sqlite/event_writer.h"
#include "store/sqlite/operator_writer.h"
#include "store/sqlite/outcome_writer.h"
#include "store/sqlite/retention_writer.h"
#include "store/sqlite/served_files.h"
#include "store/sqlite/transaction.h"
#include "store/store.h"

namespace outboxd::sqlite {

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
  // One transaction over the batch without what is refused already. False: a command broke a constraint;
  // everything was undone and it alone is refused now.
  bool try_apply(std::span<Write*> batch);
  void apply_until_legal(std::span<Write*> batch);
  void refuse_growth(std::span<Write*> batch) const;  // while the disk is full
  void execute(const Command& command);
  void rollback() noexcept;
  void fail(const std::string& what);
  void check_files();  // before anything is acknowledged
  bool all_files_due() const;

  Ballast ballast_;  // before the connection is opened: what it gives up must not be in the way
  Database db_;
  std::optional<Checkpoint> checkpoint_;
  Transaction transaction_;
  DeliveryOrder order_{db_};
  EventWriter events_{db_, order_};
  OutcomeWriter outcomes_{db_, order_};
  EndpointWriter endpoints_;
  OperatorWriter operator_{db_, order_};
  RetentionWriter retention_{db_};
  bool failed_ = false;
  std::optional<ServedFiles> files_;  // when everything is open
  MonotonicTime files_checked_{};
};

}  // namespace outboxd::sqlite
