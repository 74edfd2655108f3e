// Carries out EncryptSecrets (store/secret_encryption.h). A part of the Writer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/secret_box.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class SecretsWriter {
 public:
  SecretsWriter(Connection& db, std::shared_ptr<const SecretBox> secrets);

  Result<Nothing> execute(const RunStoreTask& command, Transaction& transaction);

 private:
  struct Found;
  Result<Found> find(EndpointSeq after, std::int64_t limit);
  void rewrite_table();

  Connection& db_;
  const std::shared_ptr<const SecretBox> secrets_;
  Statement secrets_after_, set_secrets_;
};

}  // namespace outboxd::postgresql
