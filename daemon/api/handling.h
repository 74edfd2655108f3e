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

// Does a piece of a request's work. Of what it throws a store that is busy becomes 503, one that is full 507, and all else is
// logged and becomes 500: for a request that goes on on another thread.
void guarded(const ExchangePtr& exchange, const std::function<void()>& work);

// Handlers from functions that answer at once, and from functions that answer later. Query parameters other
// than `parameters`, and any given twice, are refused. What the functions throw is answered as by
// guarded().
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
// Member `name` of such a body, nullopt when absent; kInvalidParameter when it is no string.
Result<std::optional<std::string>> text_member(const Json& body, std::string_view name);

Answer json_answer(int status, const Json& json);
// {"data": [...], "next_cursor": ...}
Answer list_answer(Json data, const std::optional<std::string>& next);

tl::unexpected<Problem> not_found(std::string_view what, std::string_view id);
tl::unexpected<Problem> invalid_parameter(std::string pointer, std::string detail);

// What a person calls an endpoint; null: it has no name, or is not there any more.
Json name_of(const EndpointDirectory& directory, const EndpointId& endpoint);
// A delivery as lists show it.
Json json_of_row(const Context& context, const DeliveryRow& row);

// The route's first placeholder. An id of another kind, or none at all, names nothing: kNotFound.
template <class Id>
Result<Id> path_id(const Request& request, std::string_view what) {
  const std::string& text = request.path_parameters.at(0);
  if (const auto id = Id::parse(text)) return *id;
  return not_found(what, text);
}

}  // namespace outboxd::api
