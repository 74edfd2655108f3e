// Which headers may not go out: those that would change the framing, begin a header of their own, or pass for one of
// outboxd's. libcurl refuses nothing of it.
#pragma once

#include <optional>
#include <string>

namespace outboxd {

struct SendRequest;

// Why, for people; nothing when all of them may.
std::optional<std::string> why_headers_refused(const SendRequest& request);

}  // namespace outboxd
