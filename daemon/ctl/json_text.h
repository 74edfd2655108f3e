// A JSON object written member by member. Texts that are JSON already are spliced in as they are, so what a user gave
// (`1.10`, `12345678901234567890`, the order of keys) reaches the daemon byte for byte.
#pragma once

#include <string>
#include <string_view>

#include "common/json.h"

namespace outboxd::ctl {

class ObjectText {
 public:
  ObjectText& add(std::string_view name, const Json& value) { return add_raw(name, dump(value)); }
  ObjectText& add_raw(std::string_view name, std::string_view json) {
    text_ += text_.empty() ? "{" : ",";
    text_.append(dump(Json(std::string(name)))).append(":").append(json);
    return *this;
  }
  template <class T>
  ObjectText& add_if(std::string_view name, const std::optional<T>& value) {
    return value ? add(name, Json(*value)) : *this;
  }
  bool empty() const { return text_.empty(); }
  std::string text() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  std::string text_;
};

}  // namespace outboxd::ctl
