// Server-sent events (HTML, section 9.2), read from bytes as they come. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace outboxd::ctl {

struct ServerEvent {
  std::string name = "message";
  std::string data;
};

class EventStreamReader {
 public:
  // Calls `on_event` for each event that these bytes complete. Throws Failure when a line is longer than any that outboxd
  // sends: something else is answering.
  void feed(std::string_view bytes, const std::function<void(const ServerEvent&)>& on_event);
  // Begins anew with another connection; half an event is dropped.
  void begin_anew();
  // Of the last block that had one, of an event or not; "": none yet.
  const std::string& last_id() const { return last_id_; }

 private:
  void end_line(const std::function<void(const ServerEvent&)>& on_event);
  void take_field(std::string_view line);

  std::string line_;
  bool after_cr_ = false;
  ServerEvent event_;
  bool has_data_ = false;
  std::string id_;
  std::string last_id_;
};

}  // namespace outboxd::ctl
