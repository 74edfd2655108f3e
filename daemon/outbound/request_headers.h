// The header fields of a request, written as they are sent: one line each. A field that must not be sent is refused when
// it is added: one that would change the framing, inject another header, or imitate one of outboxd's. So what many
// requests have in common is checked and written once.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"

namespace outboxd {

class RequestHeaders {
 public:
  // One of outboxd's own, except Host and Content-Length.
  void add(std::string_view name, std::string_view value);
  // One that an endpoint or an event asks for (common/event.h, why_header_refused). It is checked again, because a row
  // may have been edited by hand.
  void add_extra(std::string_view name, std::string_view value);
  void reserve(std::size_t bytes) { lines_.reserve(bytes); }

  // "name: value" and a line end for each, in the order in which they were added; "name:" if the value is blank. Without
  // those that were refused.
  const std::string& lines() const { return lines_; }
  std::vector<HeaderField> fields() const;  // the same, for people
  bool has_accept() const { return has_accept_; }
  // Why the first that was refused must not be sent, for people; "": none was. A request with one is not sent at all.
  const std::string& refusal() const { return refusal_; }

 private:
  void write(std::string_view name, std::string_view value);
  void refuse(std::string why);

  std::string lines_;
  std::string refusal_;
  bool has_accept_ = false;
};

}  // namespace outboxd
