// What the whole process asks of the kernel, before any thread is made.
#pragma once

#include <csignal>
#include <cstdint>

namespace outboxd {

std::int64_t raise_descriptor_limit();  // to the hard limit; returns how many files may be open now
void forbid_core_dumps();               // memory holds signing secrets and events
void handle_fatal_signals();            // SIGPIPE is ignored, SIGBUS ends in kFailStopStatus

// The signals that a serving daemon acts on: SIGTERM, SIGINT and SIGHUP.
sigset_t handled_signals();
void hold_signals();     // from now on they wait until somebody reads them (signalfd)
void release_signals();  // gives them their default effects back

}  // namespace outboxd
