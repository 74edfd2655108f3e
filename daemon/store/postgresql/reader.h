// A StoreReader over PostgreSQL: one connection that only reads, made when it is first needed and again when it was lost.
// Each statement sees one moment, reads along an index, and bounds what it returns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/secret_box.h"
#include "store/list_cursor.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/due_marks.h"
#include "store/postgresql/standing.h"
#include "store/store.h"

namespace outboxd::postgresql {

struct ReaderOptions {
  std::string url;
  std::shared_ptr<const SecretBox> secrets = {};
  const Clock* clock = nullptr;          // what tests put in the place of the database's clock
  std::shared_ptr<DueMarks> marks = {};  // of all readers of this daemon; set
  const Standing* standing = nullptr;    // who this daemon is; outlives the reader
  std::function<void()> on_error = {};   // a statement failed
};

class Reader final : public StoreReader {
 public:
  explicit Reader(ReaderOptions options);
  ~Reader() override;

  // reader.cpp
  DueWindow due(EndpointSeq endpoint, int limit, std::size_t max_bytes,
                std::span<const EventSeq> held) override;
  std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) override;
  std::vector<OldestDue> oldest_due(EndpointSeq after, int limit) override;
  std::vector<FailingEndpoint> failing_endpoints(int limit) override;
  EndpointCounts counts(EndpointSeq endpoint, int limit) override;
  std::vector<EndpointDeliveries> delivery_counts(EndpointSeq after, int limit) override;
  Endpoints all_endpoints() override;
  std::optional<Endpoint> endpoint(const EndpointId& id) override;
  SecretKeys secret_keys() override;
  std::optional<EventRow> event(const EventId& id, bool with_payload) override;
  std::optional<DeliveryRow> delivery(DeliveryKey key) override;
  std::vector<Attempt> attempts(DeliveryKey key) override;
  std::vector<UnfinishedFanOut> unfinished_fan_outs(EventSeq after, int limit) override;
  SourcePlace source_place(const std::string& source) override;
  StoreStatus status() override;

  // reader_lists.cpp
  Result<Rows<Endpoint>> endpoints(const std::optional<std::string>& tenant, const Page& page) override;
  Result<Rows<EventRow>> events(const EventFilter& filter, const Page& page) override;
  Result<Rows<DeliveryRow>> deliveries(const DeliveryFilter& filter, const Page& page) override;
  Result<Rows<DeliveryRow>> batch_deliveries(const OperatorBatch& batch, const Page& page) override;

  // reader_outbox.cpp
  std::vector<OutboxRow> outbox(int limit, std::size_t max_bytes) override;
  Result<Rows<OutboxRow>> rejected_outbox(const Page& page) override;
  std::optional<OutboxRow> rejected_row(std::int64_t row) override;

  // reader_types.cpp
  Result<Rows<EventTypeRow>> event_types(const EventTypeFilter& filter, const Page& page) override;

  // reader_batches.cpp
  std::optional<OperatorBatch> batch(const BatchId& id) override;
  Result<Rows<OperatorBatch>> batches(const Page& page) override;
  std::vector<OperatorBatch> running_batches() override;
  BatchEvents batch_events(const OperatorBatch& batch, EventSeq from, int limit) override;

  // reader_rollup.cpp
  Failures failures(const FailureQuery& query) override;
  std::vector<RollupPoint> series(const std::optional<EndpointId>& endpoint, Time since, Time until,
                                  Millis step) override;

 private:
  struct Session;  // reader_session.h
  class DeliveryScan;
  struct Range;
  struct Window;

  // Runs `read` on the connection, once more if that turns out to be lost.
  template <class Read>
  auto read(Read read);
  void connect();
  std::optional<std::int64_t> now_for_tests() const;
  // How far the database's clock is ahead of this daemon's, in whole seconds.
  Millis ahead(Session& session);

  struct EventPlace {
    EventSeq seq = 0;
    std::int64_t day = 0;
  };
  std::optional<EventPlace> place_of(Session& session, const EventId& id);
  std::optional<EndpointSeq> seq_of(Session& session, const EndpointId& id);
  EventSeq newest_before(Session& session, const std::optional<Time>& until);
  EventSeq oldest_since(Session& session, const std::optional<Time>& since);
  Window window_below(Session& session, EventSeq before, std::int64_t size);
  Window window_above(Session& session, EventSeq from, std::int64_t size);
  void scan_down(Session& session, DeliveryScan& scan, Statement& statement, DeliveryKey from,
                 bool of_endpoint);
  void scan_up(Session& session, DeliveryScan& scan, Statement& statement, DeliveryKey from, EventSeq end,
               bool of_endpoint);
  Result<Rows<DeliveryRow>> pending_of_endpoint(Session& session, const DeliveryFilter& filter,
                                                EndpointSeq endpoint, const Page& page,
                                                const OperatorBatch* batch);
  DueWindow due_now(Session& session, EndpointSeq endpoint, int limit, std::size_t max_bytes,
                    std::span<const EventSeq> held);

  const ReaderOptions options_;
  std::unique_ptr<Session> session_;
  int joins_ = 0;  // of `standing`, when it connected
};

}  // namespace outboxd::postgresql
