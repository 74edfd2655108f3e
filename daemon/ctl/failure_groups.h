// What `failures` shows, grouped by what they have in common: dead deliveries, pending ones whose last attempt failed,
// and those held back by an endpoint that fails or is disabled. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

enum class GroupBy { kError, kEndpoint, kType };

// Returns objects with group, dead, retrying, held, oldest, newest (created_at of the deliveries), example (the newest
// one's id); the largest group first. When grouped by error, a dead delivery counts under its error, or under its
// reason if no attempt was made; a held one counts under the error of its endpoint.
std::vector<Json> group_failures(std::span<const Json> deliveries, GroupBy by);

// Prepares the pending deliveries of one endpoint for those groups: those without an error of their own are marked as
// held back by its `error`. Those with one are left out, because they are retrying.
std::vector<Json> held_deliveries(std::span<const Json> pending, const std::string& error);

}  // namespace outboxd::ctl
