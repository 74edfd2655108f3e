// Reading the JSON form of an endpoint: what its fields' readers share. For json_endpoint.cpp and json_endpoint_shape.cpp.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/words.h"

namespace outboxd {

inline constexpr std::size_t kMaxReportedErrors = 64;  // keeps the answer small however bad the body is

// The endpoint being filled in, and the errors found so far.
struct EndpointReading {
  Endpoint endpoint;
  std::vector<FieldError> errors = {};
  std::string field = {};  // JSON Pointer of the field being read

  void refuse(std::string detail, const std::string& below = "") {
    if (errors.size() < kMaxReportedErrors) errors.push_back({field + below, std::move(detail)});
  }

  // The text of a JSON string; nullptr, with an error reported, if `value` is not a string.
  const std::string* text(const Json& value, const std::string& below = "") {
    if (!value.is_string()) refuse("must be a string", below);
    return value.get_ptr<const std::string*>();
  }
};

// A field whose value is one of a few words.
template <class Enum>
void read_word(EndpointReading& in, const Json& value, std::optional<Enum> (*parse)(std::string_view),
               Enum& field, std::initializer_list<std::string_view> words) {
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  const auto word = parse(*text);
  if (!word) return in.refuse("must be " + one_of(words) + did_you_mean(*text, words));
  field = *word;
}

// The fields that give requests their shape. A null where a secret belongs keeps the one that the endpoint has.
void read_auth(EndpointReading& in, const Json& value);
void read_signatures(EndpointReading& in, const Json& value);
void read_body_template(EndpointReading& in, const Json& value);
void read_content_type(EndpointReading& in, const Json& value);
void read_disable_after(EndpointReading& in, const Json& value);
// What can only be said when all of them are read.
void check_shape(EndpointReading& in);

}  // namespace outboxd
