#include "ctl/event_stream.h"

#include <algorithm>
#include <utility>

#include "ctl/failure.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxLine = 1u << 20;

}  // namespace

void EventStreamReader::feed(std::string_view bytes,
                             const std::function<void(const ServerEvent&)>& on_event) {
  for (const char c : bytes) {
    const bool second_half = std::exchange(after_cr_, c == '\r') && c == '\n';  // of a line's end "\r\n"
    if (second_half) continue;
    if (c == '\n' || c == '\r') {
      end_line(on_event);
    } else if (line_.size() < kMaxLine) {
      line_ += c;
    } else {
      throw Failure(kExitFailed, "the answer is no stream of events; is it outboxd that listens there?");
    }
  }
}

void EventStreamReader::begin_anew() {
  line_.clear();
  after_cr_ = false;
  event_ = {};
  has_data_ = false;
  id_ = last_id_;
}

void EventStreamReader::end_line(const std::function<void(const ServerEvent&)>& on_event) {
  const std::string line = std::exchange(line_, {});
  if (!line.empty()) return take_field(line);
  const ServerEvent event = std::exchange(event_, {});
  if (std::exchange(has_data_, false)) on_event(event);
  last_id_ = id_;  // after the event: whoever fails on it has not seen it
}

void EventStreamReader::take_field(std::string_view line) {
  const std::string_view name = line.substr(0, line.find(':'));
  std::string_view value = line.substr(std::min(name.size() + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "event") event_.name = value;
  if (name == "id" && value.find('\0') == std::string_view::npos) id_ = value;
  if (name != "data") return;  // a comment has no name
  if (has_data_) event_.data += '\n';
  event_.data += value;
  has_data_ = true;
}

}  // namespace outboxd::ctl
