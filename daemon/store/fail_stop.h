// Promise 5, fail stop: after the store failed nothing more may be acknowledged, by anybody. Ends the process
// at once, without running destructors; recovery is the next start's.
#pragma once

#include <string_view>

namespace outboxd {

[[noreturn]] void fail_stop(std::string_view what);

}  // namespace outboxd
