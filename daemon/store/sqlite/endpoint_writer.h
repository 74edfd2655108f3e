// Creates, changes and removes endpoints, and discards what is pending at removed ones. A part of the Writer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/secret_box.h"
#include "store/sqlite/database.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/endpoint_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class EndpointWriter {
 public:
  // Without `secrets`, the secrets of endpoints are stored in plain text.
  EndpointWriter(Database& db, std::shared_ptr<const SecretBox> secrets)
      : db_(db), secrets_(std::move(secrets)) {}

  Result<EndpointPtr> execute(const CreateEndpoint& command, Transaction& transaction);
  Result<EndpointPtr> execute(const UpdateEndpoint& command, Transaction& transaction);
  Result<EndpointPtr> execute(const SetEndpointState& command, Transaction& transaction);
  Result<EndpointPtr> execute(const DisableEndpoint& command, Transaction& transaction);
  Result<EndpointPtr> execute(const RemoveEndpoint& command, Transaction& transaction);
  Result<Nothing> execute(const SetFailingSince& command, Transaction& transaction);
  Result<Discarded> execute(const DiscardRemoved& command, Transaction& transaction);

 private:
  std::optional<Endpoint> find(Statement& by_id, const EndpointId& id);
  std::optional<Problem> why_name_refused(const Endpoint& endpoint);
  void set_state(Endpoint& endpoint, EndpointState state, const std::string& reason, Time at);
  std::optional<EndpointSeq> next_to_discard();
  std::int64_t discard_some(EndpointSeq endpoint, std::int64_t limit, Time at, Counters& counters);

  Database& db_;
  const std::shared_ptr<const SecretBox> secrets_;
  Statement insert_endpoint_{db_, sql::kInsertEndpoint}, update_endpoint_{db_, sql::kUpdateEndpoint};
  Statement endpoint_by_id_{db_, sql::kEndpointById}, endpoint_by_id_ever_{db_, sql::kEndpointByIdEver};
  Statement endpoint_by_name_{db_, sql::kEndpointByName};
  Statement set_endpoint_state_{db_, sql::kSetEndpointState}, set_failing_since_{db_, sql::kSetFailingSince};
  Statement remove_endpoint_{db_, sql::kRemoveEndpoint};
  Statement discarding_endpoint_{db_, sql::kDiscardingEndpoint}, end_discarding_{db_, sql::kEndDiscarding};
  Statement pending_of_endpoint_{db_, sql::kPendingOfEndpoint};
  Statement pending_in_order_of_endpoint_{db_, sql::kPendingInOrderOfEndpoint};
  Statement discard_pending_{db_, sql::kDiscardPending};
};

}  // namespace outboxd::sqlite
