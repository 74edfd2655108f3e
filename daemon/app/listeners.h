// The sockets that the API is served on: those systemd handed over, else those the configuration names.
#pragma once

#include <memory>
#include <vector>

#include "api/auth.h"
#include "api/front.h"
#include "config/config.h"
#include "outbound/address_policy.h"

namespace outboxd {

// Both throw std::runtime_error with a message for the user.
std::shared_ptr<const api::Authenticator> make_authenticator(const config::Config& config);
std::vector<api::Listener> open_listeners(const config::Config& config);
// Where they can be reached by TCP: what no attempt may reach.
std::vector<AddressPolicy::OwnListener> own_listeners(const std::vector<api::Listener>& listeners);

}  // namespace outboxd
