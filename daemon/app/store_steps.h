// One step each of what operators let the store do in steps, so that no commit takes long.
#pragma once

#include <functional>

#include "api/context.h"
#include "maintenance/retention.h"
#include "store/group_commit.h"

namespace outboxd {

// As api::Context::encrypt_secrets.
void encrypt_secrets(GroupCommit& commits, EndpointSeq after,
                     std::function<void(Result<api::SecretsEncrypted>)> done);
// As api::Context::prune.
void prune(Retention& retention, const api::PrunePeriods& asked, DeliveryKey after,
           std::function<void(Result<Pruned>)> done);

}  // namespace outboxd
