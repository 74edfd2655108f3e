// What the values of options must look like: checks that CLI11 runs while parsing, so that a bad value ends with the
// usage status and a message that names the option.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "common/event.h"
#include "common/time.h"

namespace outboxd::ctl {

CLI::Validator is_duration();     // "90s", "2h30m"
CLI::Validator is_time_or_age();  // RFC 3339, or a duration before now
CLI::Validator is_event_type_();  // "order.paid"
CLI::Validator is_patterns();     // "order.*,invoice.**"
CLI::Validator is_header();       // "name: value" that may be sent to a subscriber
// What an operator may call an endpoint: its name, its id, or the beginning of its id.
CLI::Validator names_endpoint();
inline constexpr const char* kEndpointHelp = "Its name, its id, or the beginning of its id";
inline constexpr const char* kNameOrId = "NAME|ID";  // the type of such an option
CLI::Validator is_event_id();
CLI::Validator is_delivery_id();
CLI::Validator is_delivery_or_event_id();
CLI::Validator is_batch_id();
CLI::Validator is_endpoint_url();
CLI::Validator is_json_object();
CLI::Validator is_retry_schedule();  // "0s,5s,5m"
CLI::Validator is_rate_limit();      // "100/s", "none"
CLI::Validator has_length(std::size_t min, std::size_t max);

// For values that passed the checks above.
HeaderField split_header(const std::string& text);
std::vector<std::string> split_list(const std::string& text);  // at commas, spaces around them dropped
std::string to_rfc3339(const std::string& time_or_age, Time now);

}  // namespace outboxd::ctl
