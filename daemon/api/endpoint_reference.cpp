#include "api/endpoint_reference.h"

#include <algorithm>
#include <vector>

#include "api/handling.h"
#include "common/words.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxDescribed = 5;

std::string suggestion(const EndpointDirectory& directory, const Request& request, std::string_view word) {
  const auto all = directory.all();
  std::vector<std::string_view> names;
  for (const EndpointPtr& endpoint : all) {
    if (!endpoint->name.empty() && request.may_see(endpoint->tenant)) names.push_back(endpoint->name);
  }
  return did_you_mean(word, names);
}

std::string describe(const std::vector<EndpointPtr>& endpoints) {
  std::string text;
  for (std::size_t n = 0; n < endpoints.size(); ++n) {
    if (n == kMaxDescribed) return text + ", …";
    const EndpointPtr& endpoint = endpoints[n];
    if (n > 0) text += ", ";
    text += endpoint->id.to_string();
    if (!endpoint->name.empty()) text += " " + in_quotes(endpoint->name);
    if (!endpoint->tenant.empty()) text += " of tenant " + in_quotes(endpoint->tenant);
  }
  return text;
}

}  // namespace

Result<EndpointPtr> find_endpoint(const EndpointDirectory& directory, const Request& request,
                                  std::string_view word) {
  auto meant = directory.meant_by(word);
  std::erase_if(meant, [&](const EndpointPtr& endpoint) { return !request.may_see(endpoint->tenant); });
  if (meant.size() == 1) return meant.front();
  if (meant.empty()) {
    auto none = not_found("endpoint", word);
    none.value().detail += suggestion(directory, request, word);
    return none;
  }
  return problem(ProblemCode::kConflict,
                 in_quotes(word) + " means more than one endpoint, give the id: " + describe(meant));
}

Result<EndpointPtr> endpoint_of_path(const Context& context, const Request& request) {
  return find_endpoint(context.directory, request, request.path_parameters.at(0));
}

Result<EndpointPtr> find_endpoint_of_tenant(const EndpointDirectory& directory, std::string_view word,
                                            std::string_view tenant, std::string_view pointer) {
  auto meant = directory.meant_by(word);
  std::erase_if(meant, [&](const EndpointPtr& endpoint) { return endpoint->tenant != tenant; });
  if (meant.size() == 1) return meant.front();
  return invalid_parameter(std::string(pointer),
                           meant.empty() ? "names no endpoint of the event's tenant"
                                         : "means more than one endpoint, give the id: " + describe(meant));
}

std::optional<EndpointId> endpoint_parameter(const EndpointDirectory& directory, Query& query,
                                             std::string_view name) {
  const auto word = query.text(name);
  if (!word) return std::nullopt;
  if (const auto id = EndpointId::parse(*word)) return id;
  const auto endpoint = find_endpoint(directory, query.request(), *word);
  if (endpoint) return (*endpoint)->id;
  query.refuse(
      name, "must be the name of an endpoint, or its id (ep_ and 32 hex digits, or the beginning of them): " +
                endpoint.error().detail);
  return std::nullopt;
}

}  // namespace outboxd::api
