// Carries out EncryptSecrets (store/secret_encryption.h), the only StoreTask of this store. A part of the Writer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/secret_box.h"
#include "store/sqlite/database.h"
#include "store/sqlite/endpoint_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class SecretsWriter {
 public:
  SecretsWriter(Database& db, std::shared_ptr<const SecretBox> secrets)
      : db_(db), secrets_(std::move(secrets)) {}

  Result<Nothing> execute(const RunStoreTask& command, Transaction& transaction);

 private:
  struct Found;
  Result<Found> find(EndpointSeq after, std::int64_t limit);
  void wipe_pages();

  Database& db_;
  const std::shared_ptr<const SecretBox> secrets_;
  Statement secrets_after_{db_, sql::kSecretsAfter}, set_secrets_{db_, sql::kSetSecrets};
};

}  // namespace outboxd::sqlite
