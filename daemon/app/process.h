// What the whole process asks of the kernel, before any thread is made.
#pragma once

#include <cstdint>

namespace outboxd {

std::int64_t raise_descriptor_limit();  // to the hard limit; answers how many files may be open now
void forbid_core_dumps();               // memory holds signing secrets and events
void handle_fatal_signals();            // SIGPIPE is ignored, SIGBUS ends in kExitStoreFailure

}  // namespace outboxd
