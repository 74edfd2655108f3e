// Why a delivery does not verify, as precisely as it can be told: which header, which clock, the secret or the body, and
// where the body begins to differ. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/signature.h"

namespace outboxd::ctl {

// The body that outboxd sent with this event; absent: not known.
using SentBody = std::function<std::optional<std::string>(const std::string& event)>;

// "" when a signature verifies with one of the secrets (at least one). `sent` is asked only when it is the signature that
// does not.
std::string why_not_verified(const std::vector<std::string>& secrets, const SignedMessage& message, Time now,
                             const SentBody& sent = nullptr);

// "34 bytes came, 33 were sent, and the first difference is at byte 12: came "x", sent "y"".
std::string difference(std::string_view came, std::string_view sent);

}  // namespace outboxd::ctl
