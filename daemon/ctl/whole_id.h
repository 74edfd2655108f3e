// An id may be cut to a beginning that no other id has. Which one is meant is looked up in the daemon's lists: an id begins
// with its time in milliseconds (UUIDv7, RFC 9562 5.7), so a beginning is a span of time, and only that is listed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/time.h"
#include "ctl/session.h"

namespace outboxd::ctl {

inline constexpr std::size_t kIdDigits = 32;    // hexadecimal
inline constexpr std::size_t kMinIdDigits = 8;  // with so many, what was made within 66 s looks the same

// "evt_" and between kMinIdDigits and kIdDigits hexadecimal digits.
bool begins_id(std::string_view text, std::string_view prefix);

struct IdSpan {
  Time first{}, last{};  // of the ids that begin so
};
IdSpan span_of_ids(std::string_view digits);

// The whole id of an event, a delivery or a batch; one that is not cut as it is, without asking. Throws Failure when none
// begins so, when several do, and when so many are of that time that they are not all looked at.
std::string whole_id(Session& session, const std::string& id);

}  // namespace outboxd::ctl
