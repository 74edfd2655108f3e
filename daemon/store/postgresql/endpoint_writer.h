// Creates, changes and removes endpoints, and discards what is pending at removed ones. A part of the Writer, which holds
// the lock of the directory alone when endpoints change.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/secret_box.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class EndpointWriter {
 public:
  // Without `secrets`, the secrets of endpoints are stored in plain text.
  EndpointWriter(Connection& db, std::shared_ptr<const SecretBox> secrets);

  Result<EndpointPtr> execute(const CreateEndpoint& command, Transaction& transaction);
  Result<EndpointPtr> execute(const UpdateEndpoint& command, Transaction& transaction);
  Result<EndpointPtr> execute(const SetEndpointState& command, Transaction& transaction);
  Result<EndpointPtr> execute(const DisableEndpoint& command, Transaction& transaction);
  Result<EndpointPtr> execute(const RemoveEndpoint& command, Transaction& transaction);
  Result<Nothing> execute(const SetFailingSince& command, Transaction& transaction);
  Result<Discarded> execute(const DiscardRemoved& command, Transaction& transaction);
  // What other daemons have changed after this version, as it was when the transaction began.
  void tell_changes(DirectoryVersion after, Transaction& transaction);

 private:
  std::optional<Endpoint> find(Statement& by_id, const EndpointId& id);
  std::optional<Problem> why_name_refused(const Endpoint& endpoint);
  Endpoint set_state(Endpoint endpoint, EndpointState state, const std::string& reason, Time at,
                     DirectoryVersion version);
  std::int64_t discard_some(EndpointSeq endpoint, std::int64_t limit, Time at, Transaction& transaction);

  const std::shared_ptr<const SecretBox> secrets_;
  Statement insert_, update_, to_change_, ever_, by_name_, set_state_, set_failing_since_, remove_, changed_;
  Statement discarding_, end_discarding_, discard_some_, discard_some_blocked_;
};

}  // namespace outboxd::postgresql
