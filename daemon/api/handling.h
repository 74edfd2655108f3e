// What the API's handlers have in common: reading bodies and path parameters, shaping answers, and turning
// what the store throws into problems.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/context.h"
#include "api/exchange.h"
#include "common/id.h"
#include "common/json.h"

namespace outboxd::api {

// Runs a part of a request's work, for a request that continues on another thread. What it throws is answered: with 503
// if the store is busy, 507 if it is full; anything else is logged and answered with 500.
void guarded(const ExchangePtr& exchange, const std::function<void()>& work);

// Handlers made from functions that answer at once, and from functions that answer later. Query parameters other than
// `parameters`, and any given twice, are refused. Exceptions are answered as by guarded().
using Parameters = std::vector<std::string_view>;
Handler answering(Context& context, Result<Answer> (*function)(Context&, const Request&),
                  Parameters parameters = {});
Handler deferring(Context& context, void (*function)(Context&, const ExchangePtr&),
                  Parameters parameters = {});

// The Content-Type without its parameters, in lower case. kUnsupportedMediaType when there is none, or its
// charset is not UTF-8.
Result<std::string> media_type(const Request& request);

// The body as a JSON object, in which no object has a member twice. Refused: another Content-Type, an empty body, bad JSON,
// anything but an object.
Result<Json> json_body(const Request& request);
// The same for actions whose body may be left out, restricted to these members.
Result<Json> action_body(const Request& request, std::initializer_list<std::string_view> members);
// Member `name` of such a body, nullopt when absent; kInvalidParameter when it is not a string.
Result<std::optional<std::string>> text_member(const Json& body, std::string_view name);

Answer json_answer(int status, const Json& json);
// {"data": [...], "next_cursor": ...}
Answer list_answer(Json data, const std::optional<std::string>& next);

// kForbidden where [dashboard] payloads forbids it: a browser asks, by the session's cookie, for what a producer sent.
Result<void> check_payload_shown(const Context& context, const Request& request);

tl::unexpected<Problem> not_found(std::string_view what, std::string_view id);
tl::unexpected<Problem> invalid_parameter(std::string pointer, std::string detail);

// The endpoint's name; null when it has none or was removed.
Json name_of(const EndpointDirectory& directory, const EndpointId& endpoint);

// The id in the route's first placeholder. An id of another kind, or text that is not an id, is kNotFound.
template <class Id>
Result<Id> path_id(const Request& request, std::string_view what) {
  const std::string& text = request.path_parameters.at(0);
  if (const auto id = Id::parse(text)) return *id;
  return not_found(what, text);
}

}  // namespace outboxd::api
