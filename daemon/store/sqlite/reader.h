// A StoreReader: one connection that cannot write. Each call is one short read transaction and examines a bounded
// number of rows.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/secret_box.h"
#include "store/sqlite/batch_statements.h"
#include "store/sqlite/database.h"
#include "store/sqlite/due_statements.h"
#include "store/sqlite/endpoint_statements.h"
#include "store/sqlite/event_statements.h"
#include "store/sqlite/event_type_statements.h"
#include "store/sqlite/list_statements.h"
#include "store/sqlite/rollup_statements.h"
#include "store/sqlite/shared.h"
#include "store/sqlite/transaction_statements.h"
#include "store/store.h"

namespace outboxd::sqlite {

class Reader final : public StoreReader {
 public:
  Reader(const Location& location, Millis busy_timeout, int cache_kib, std::shared_ptr<Shared> shared,
         std::shared_ptr<const SecretBox> secrets, std::function<void()> on_error);

  DueWindow due(EndpointSeq endpoint, int limit, std::size_t max_bytes,
                std::span<const EventSeq> held) override;
  std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) override;
  std::vector<OldestDue> oldest_due(EndpointSeq after, int limit) override;
  EndpointCounts counts(EndpointSeq endpoint, int limit) override;
  std::vector<EndpointDeliveries> delivery_counts(EndpointSeq after, int limit) override;

  Endpoints all_endpoints() override;
  std::optional<Endpoint> endpoint(const EndpointId& id) override;
  Result<Rows<Endpoint>> endpoints(const std::optional<std::string>& tenant, const Page& page) override;
  SecretKeys secret_keys() override;

  std::optional<EventRow> event(const EventId& id, bool with_payload) override;
  Result<Rows<EventRow>> events(const EventFilter& filter, const Page& page) override;
  Result<Rows<EventTypeRow>> event_types(const EventTypeFilter& filter, const Page& page) override;
  std::optional<DeliveryRow> delivery(DeliveryKey key) override;
  Result<Rows<DeliveryRow>> deliveries(const DeliveryFilter& filter, const Page& page) override;
  std::vector<Attempt> attempts(DeliveryKey key) override;

  // reader_batches.cpp
  std::optional<OperatorBatch> batch(const BatchId& id) override;
  Result<Rows<OperatorBatch>> batches(const Page& page) override;
  std::vector<OperatorBatch> running_batches() override;
  Result<Rows<DeliveryRow>> batch_deliveries(const OperatorBatch& batch, const Page& page) override;
  BatchEvents batch_events(const OperatorBatch& batch, EventSeq from, int limit) override;

  std::vector<UnfinishedFanOut> unfinished_fan_outs(EventSeq after, int limit) override;

  std::vector<OutboxRow> outbox(int limit, std::size_t max_bytes) override;
  Result<Rows<OutboxRow>> rejected_outbox(const Page& page) override;
  std::optional<OutboxRow> rejected_row(std::int64_t row) override;

  SourcePlace source_place(const std::string& source) override;

  StoreStatus status() override;

  Failures failures(const FailureQuery& query) override;
  std::vector<RollupPoint> series(const std::optional<EndpointId>& endpoint, Time since, Time until,
                                  Millis step) override;

 private:
  class Snapshot;  // one read transaction
  class DueScan;

  // reader_lists.cpp
  class DeliveryScan;
  Result<Rows<DeliveryRow>> pending_of_endpoint(const DeliveryFilter& filter, EndpointSeq endpoint,
                                                const Page& page, const OperatorBatch* batch = nullptr);
  std::optional<EventSeq> seq_of(const EventId& id);
  std::optional<EndpointSeq> seq_of(const EndpointId& id);
  EventSeq newest_before(const std::optional<Time>& until);
  EventSeq oldest_since(const std::optional<Time>& since);

  // reader_rollup.cpp
  Time rolled_up();

  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<const SecretBox> secrets_;
  Database db_;
  const EventSeq last_unchecked_;  // see read_checked_event; does not change while the store is open
  Statement begin_{db_, sql::kBeginRead}, commit_{db_, sql::kCommit};
  Statement next_priority_{db_, sql::kNextPriority}, count_due_{db_, sql::kCountDue};
  Statement due_of_priority_{db_, sql::kDueOfPriority}, first_due_after_{db_, sql::kFirstDueAfter};
  Statement expired_after_{db_, sql::kExpiredAfter};
  Statement next_pending_endpoint_{db_, sql::kNextPendingEndpoint};
  Statement next_endpoint_blocked_{db_, sql::kNextEndpointBlocked};
  Statement count_later_{db_, sql::kCountLater}, count_blocked_{db_, sql::kCountBlocked};
  Statement read_endpoint_count_{db_, sql::kReadEndpointCount};
  Statement endpoint_counts_after_{db_, sql::kEndpointCountsAfter};
  Statement secrets_after_{db_, sql::kSecretsAfter};
  Statement endpoint_lives_{db_, sql::kEndpointLives}, endpoint_by_id_{db_, sql::kEndpointById};
  Statement endpoints_after_{db_, sql::kEndpointsAfter},
      endpoints_of_tenant_after_{db_, sql::kEndpointsOfTenantAfter};
  Statement endpoint_seq_by_id_{db_, sql::kEndpointSeqById}, event_seq_by_id_{db_, sql::kEventSeqById};
  Statement event_by_id_{db_, sql::kEventById}, events_before_{db_, sql::kEventsBefore};
  Statement unmatched_before_{db_, sql::kUnmatchedBefore};
  Statement event_types_after_{db_, sql::kEventTypesAfter};
  Statement event_types_of_tenant_after_{db_, sql::kEventTypesOfTenantAfter};
  Statement types_counted_{db_, sql::kTypesCounted}, events_to_count_{db_, sql::kEventsToCount};
  Statement last_event_before_id_{db_, sql::kLastEventBeforeId};
  Statement delivery_by_key_{db_, sql::kDeliveryByKey}, deliveries_of_event_{db_, sql::kDeliveriesOfEvent};
  Statement deliveries_before_{db_, sql::kDeliveriesBefore}, dead_before_{db_, sql::kDeadBefore};
  Statement dead_of_endpoint_before_{db_, sql::kDeadOfEndpointBefore};
  Statement pending_of_endpoint_from_{db_, sql::kPendingOfEndpointFrom};
  Statement in_order_of_endpoint_from_{db_, sql::kInOrderOfEndpointFrom};
  Statement deliveries_after_{db_, sql::kDeliveriesAfter}, dead_after_{db_, sql::kDeadAfter};
  Statement dead_of_endpoint_after_{db_, sql::kDeadOfEndpointAfter};
  Statement last_attempt_before_{db_, sql::kLastAttemptBefore}, events_to_replay_{db_, sql::kEventsToReplay};
  Statement batch_by_id_{db_, sql::kBatchById}, batches_before_{db_, sql::kBatchesBefore};
  Statement running_batches_{db_, sql::kRunningBatches};
  Statement unfinished_fan_outs_{db_, sql::kUnfinishedFanOuts};
  Statement attempts_{db_, sql::kAttempts};
  Statement outbox_waiting_{db_, sql::kOutboxWaiting}, outbox_rejected_{db_, sql::kOutboxRejected};
  Statement rejected_row_{db_, sql::kRejectedRow};
  Statement source_place_{db_, sql::kSourcePlace};
  Statement count_rejected_{db_, sql::kCountRejected}, read_counter_{db_, sql::kReadCounter};
  Statement rolled_up_{db_, sql::kRolledUp}, endpoint_identity_{db_, sql::kEndpointIdentity};
  Statement rollup_of_endpoint_{db_, sql::kRollupOfEndpoint}, rollup_failing_{db_, sql::kRollupFailing};
};

}  // namespace outboxd::sqlite
