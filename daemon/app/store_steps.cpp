#include "app/store_steps.h"

#include <memory>
#include <utility>

#include "store/secret_encryption.h"

namespace outboxd {

void encrypt_secrets(GroupCommit& commits, EndpointSeq after,
                     std::function<void(Result<api::SecretsEncrypted>)> done) {
  const auto task = std::make_shared<EncryptSecrets>(after);
  commits.submit(RunStoreTask{task},
                 [task, done = std::move(done)](const RunStoreTask&, const Result<Nothing>& answer) {
                   if (!answer) return done(tl::unexpected(answer.error()));
                   done(api::SecretsEncrypted{.endpoints = task->changed, .next = task->next});
                 });
}

void prune(Retention& retention, const api::PrunePeriods& asked, DeliveryKey after,
           std::function<void(Result<Pruned>)> done) {
  RetentionPeriods wanted = retention.periods();
  wanted.delivered = asked.delivered.value_or(wanted.delivered);
  wanted.dead = asked.dead.value_or(wanted.dead);
  retention.step(wanted, after, std::move(done));
}

}  // namespace outboxd
