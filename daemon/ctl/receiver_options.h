// The options that `listen` and `dev` share: what the receiver does with a delivery, and how it is shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/commands.h"
#include "ctl/receiver.h"

namespace outboxd::ctl {

struct ReceiverFlags {
  std::vector<std::string> fail, fail_types;
  std::optional<std::string> delay, forward_to;
};
void add_receiver_flags(CLI::App* command, ReceiverFlags& flags);
Receiver::Options receiver_options(const ReceiverFlags& flags);

// A delivery in the wanted format. kJson: none, because a list without an end is no document.
std::string render_received(const Received& received, const Style& style);
// Prints each delivery as it comes, from several threads; ends the program when nobody reads the output any more.
Receiver::OnReceived printing_received(const Session& session);
// Ends the program at once: destruction would wait until every idle connection's keep-alive time is over.
[[noreturn]] void end_listening();

}  // namespace outboxd::ctl
