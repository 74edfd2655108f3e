// Native journald entries: MESSAGE, PRIORITY and SYSLOG_IDENTIFIER, and each field as OUTBOXD_<KEY>, so that
// `journalctl OUTBOXD_ENDPOINT=ep_…` works. For log.cpp and log_sink.cpp alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "telemetry/log.h"

namespace outboxd::log {

// "NAME=value" for each field; pure. Values are kept byte for byte: the journal stores them with their
// length.
std::vector<std::string> journal_fields(Level level, std::string_view message, Fields fields);

// Waits until the journal has room for the entry. False: the journal did not take it.
bool send_to_journal(std::vector<std::string> entry);

}  // namespace outboxd::log
