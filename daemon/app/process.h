// What the process asks of the kernel.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>

#include "common/time.h"

namespace outboxd {

// Before any thread is made, like the signals below.
std::int64_t raise_descriptor_limit();  // to the hard limit; returns how many files may be open now
void forbid_core_dumps();               // memory holds signing secrets and events
void handle_fatal_signals();            // SIGPIPE is ignored, SIGBUS ends in kFailStopStatus

// The signals that a serving daemon acts on: SIGTERM, SIGINT and SIGHUP.
sigset_t handled_signals();
void hold_signals();     // from now on they wait until somebody reads them (signalfd)
void release_signals();  // gives them their default effects back
// For who waits before it serves: whether SIGTERM or SIGINT, which are held, comes in that time.
bool stop_signal_within(Millis time);

std::string path_if_there(const std::string& file);  // absolute; "" when there is no such file
std::optional<std::int64_t> free_bytes_beside(const std::string& file);  // on its disk

}  // namespace outboxd
