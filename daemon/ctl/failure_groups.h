// What `failures` shows: dead deliveries, and pending ones whose last attempt failed, gathered by what they
// have in common. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

enum class GroupBy { kError, kEndpoint, kType };

// Objects with group, dead, retrying, oldest, newest (created_at of the deliveries), example (the newest
// one's id); the largest group first. By error a dead delivery counts under its error, or its reason where no
// attempt was made.
std::vector<Json> group_failures(std::span<const Json> deliveries, GroupBy by);

}  // namespace outboxd::ctl
