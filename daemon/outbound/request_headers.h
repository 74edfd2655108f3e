// Which headers may not be sent: those that would change the framing, inject another header, or imitate one of
// outboxd's. libcurl refuses none of them.
#pragma once

#include <optional>
#include <string>

namespace outboxd {

struct SendRequest;

// The reason, for people; nullopt if all headers may be sent.
std::optional<std::string> why_headers_refused(const SendRequest& request);

}  // namespace outboxd
