// An endpoint of the daemon that leads to a receiver of ours, for as long as that runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/api_client.h"
#include "ctl/verification.h"

namespace outboxd::ctl {

struct Subscription {
  std::string id, name, secret;
};

// Registers the endpoint. Throws Failure, which says what the daemon has to allow where it refuses the URL.
Subscription subscribe(ApiClient& api, int port, const std::vector<std::string>& types,
                       const std::optional<std::string>& tenant);
// Removes it; what is pending for it is discarded. False: it could not be removed, and `why` says why.
bool unsubscribe(ApiClient& api, const Subscription& subscription, std::string& why);

// Asks the daemon, through a client of its own, what it has sent. May be called from several threads.
SentBody body_known_to(ApiClient::Options daemon);

}  // namespace outboxd::ctl
