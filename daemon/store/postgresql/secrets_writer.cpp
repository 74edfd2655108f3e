#include "store/postgresql/secrets_writer.h"

#include <utility>

#include "store/endpoint_secrets.h"
#include "store/postgresql/endpoint_statements.h"
#include "store/secret_encryption.h"

namespace outboxd::postgresql {

struct SecretsWriter::Found {
  std::vector<std::int64_t> endpoints;  // whose secrets change
  std::vector<std::string> secrets;     // the new values of the column
  std::optional<EndpointSeq> last;      // absent: there was no endpoint left to look at
};

SecretsWriter::SecretsWriter(Connection& db, std::shared_ptr<const SecretBox> secrets)
    : db_(db),
      secrets_(std::move(secrets)),
      secrets_after_(db, sql::kSecretsToEncrypt),
      set_secrets_(db, sql::kSetSecrets) {}

Result<SecretsWriter::Found> SecretsWriter::find(EndpointSeq after, std::int64_t limit) {
  Found found;
  Cursor row(secrets_after_, after, limit);
  while (row.next()) {
    found.last = row.integer(0);
    const EndpointId id{row.uuid(1)};
    auto changed = recode_if_needed(row.view(2), id, *secrets_);
    if (!changed) return tl::unexpected(std::move(changed.error()));
    if (changed->empty()) continue;
    found.endpoints.push_back(row.integer(0));
    found.secrets.push_back(std::move(*changed));
  }
  return found;
}

// Former secrets are in the versions of rows that were replaced, and remain in their pages when those are reused. So the
// table gets new files, and the old ones are deleted. (What the write-ahead log and backups hold is not the daemon's to
// change.)
void SecretsWriter::rewrite_table() {
  db_.execute(
      "LOCK TABLE endpoint IN ACCESS EXCLUSIVE MODE;"
      " CREATE TEMP TABLE kept_endpoint ON COMMIT DROP AS SELECT * FROM endpoint;"
      " TRUNCATE endpoint; INSERT INTO endpoint SELECT * FROM kept_endpoint");
}

Result<Nothing> SecretsWriter::execute(const RunStoreTask& command, Transaction& transaction) {
  auto* const task = dynamic_cast<EncryptSecrets*>(command.task.get());
  if (task == nullptr) return problem(ProblemCode::kConflict, "PostgreSQL's store does not know this task");
  if (!secrets_) {
    return problem(ProblemCode::kConflict, "no key is configured: set [store] secrets_key_file and restart");
  }
  auto found = find(task->after, task->limit);
  if (!found) return tl::unexpected(std::move(found.error()));
  if (!found->endpoints.empty()) set_secrets_.run(found->endpoints, found->secrets);
  if (!found->last) rewrite_table();
  const auto changed = static_cast<std::int64_t>(found->endpoints.size());
  transaction.when_committed([task, changed] { task->changed = changed; });
  if (found->last) transaction.when_committed([task, last = *found->last] { task->next = last; });
  return Nothing{};
}

}  // namespace outboxd::postgresql
