// The query of a request's target, which is what follows its '?': name=value pairs between ampersands, with '+' for a
// space, as forms write them. Pure. What the parameters mean is query.h's business.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "common/problem.h"

namespace outboxd::api {

// Bounds what one target of 8,000 bytes can make us allocate; no request that we serve has a tenth of these.
inline constexpr std::size_t kMaxQueryParameters = 100;

// Names and values decoded. A pair without '=' has the value "", an empty pair is skipped, and a repeated name stays
// repeated so that handlers can refuse it. kInvalidParameter: more than kMaxQueryParameters. kMalformed: a broken
// escape (parse_head() refuses it earlier).
Result<std::multimap<std::string, std::string>> parse_query(std::string_view query);

}  // namespace outboxd::api
