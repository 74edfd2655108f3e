// How a request names an endpoint, in its path, its query or its body: by its id, by the beginning of its id when no other
// begins so, or by its name, which only endpoints of different tenants share.
#pragma once

#include <string_view>

#include "api/context.h"
#include "api/query.h"
#include "common/problem.h"

namespace outboxd::api {

// Among those that the caller may see. kNotFound, with the name that was probably meant; kConflict when several are meant.
Result<EndpointPtr> find_endpoint(const EndpointDirectory& directory, const Request& request,
                                  std::string_view word);
// The one that the path names.
Result<EndpointPtr> endpoint_of_path(const Context& context, const Request& request);
// Only among those of a tenant: kInvalidParameter at `pointer`, whatever else there is.
Result<EndpointPtr> find_endpoint_of_tenant(const EndpointDirectory& directory, std::string_view word,
                                            std::string_view tenant, std::string_view pointer);
// Of a filter. A whole id is taken as it is: what a removed endpoint left behind is still listed.
std::optional<EndpointId> endpoint_parameter(const EndpointDirectory& directory, Query& query,
                                             std::string_view name);

}  // namespace outboxd::api
