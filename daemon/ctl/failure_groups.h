// What `failures` shows: dead deliveries, pending ones whose last attempt failed, and those held back behind an
// endpoint that fails or is disabled, gathered by what they have in common. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

enum class GroupBy { kError, kEndpoint, kType };

// Objects with group, dead, retrying, held, oldest, newest (created_at of the deliveries), example (the newest
// one's id); the largest group first. By error a dead delivery counts under its error, or its reason where no
// attempt was made; one that is held, under the error of its endpoint.
std::vector<Json> group_failures(std::span<const Json> deliveries, GroupBy by);

// Pending deliveries of one endpoint as what they are in those groups: those without an error of their own are held
// back by its `error`. Those with one are left out: they are retrying.
std::vector<Json> held_deliveries(std::span<const Json> pending, const std::string& error);

}  // namespace outboxd::ctl
