#include "store/sqlite/secrets_writer.h"

#include <utility>

#include "store/endpoint_secrets.h"
#include "store/secret_encryption.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

struct SecretsWriter::Found {
  struct Row {
    EndpointSeq seq;
    std::string secrets;  // the new value of the column
  };
  std::vector<Row> rows;            // read first, then written
  std::optional<EndpointSeq> last;  // absent: there was no endpoint left to look at
};

Result<SecretsWriter::Found> SecretsWriter::find(EndpointSeq after, std::int64_t limit) {
  Found found;
  Cursor row(secrets_after_, after, limit);
  while (row.next()) {
    found.last = row.integer(0);
    auto changed = recode_if_needed(row.view(2), EndpointId{read_uuid(row.view(1))}, *secrets_);
    if (!changed) return tl::unexpected(std::move(changed.error()));
    if (!changed->empty()) found.rows.push_back({row.integer(0), std::move(*changed)});
  }
  return found;
}

// Former secrets remain in the unused space of pages, also where b-trees were split. So every page of the table is
// rewritten and the old ones are overwritten with zeros. (A DELETE without WHERE frees whole pages.)
void SecretsWriter::wipe_pages() {
  db_.execute("PRAGMA secure_delete=ON");
  db_.execute("CREATE TEMP TABLE kept AS SELECT * FROM endpoint");
  db_.execute("DELETE FROM endpoint");
  db_.execute("INSERT INTO endpoint SELECT * FROM kept");
  db_.execute("DROP TABLE kept");
  db_.execute("PRAGMA secure_delete=OFF");
}

Result<Nothing> SecretsWriter::execute(const RunStoreTask& command, Transaction& transaction) {
  auto* const task = dynamic_cast<EncryptSecrets*>(command.task.get());
  if (task == nullptr) return problem(ProblemCode::kConflict, "SQLite's store does not know this task");
  if (!secrets_) {
    return problem(ProblemCode::kConflict, "no key is configured: set [store] secrets_key_file and restart");
  }
  auto found = find(task->after, task->limit);
  if (!found) return tl::unexpected(std::move(found.error()));
  for (const Found::Row& row : found->rows) set_secrets_.run(row.seq, row.secrets);
  if (!found->last) wipe_pages();
  const auto changed = static_cast<std::int64_t>(found->rows.size());
  transaction.when_committed([task, changed] { task->changed = changed; });
  if (found->last) transaction.when_committed([task, last = *found->last] { task->next = last; });
  return Nothing{};
}

}  // namespace outboxd::sqlite
