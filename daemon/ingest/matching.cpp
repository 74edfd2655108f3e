#include "ingest/matching.h"

namespace outboxd {

EndpointDirectory::Matches matches_of(const EndpointDirectory& directory, const Event& event) {
  EndpointDirectory::Matches matches = directory.match(event.tenant, event.type);
  if (matches.filters == 0) return matches;
  const auto payload = JsonTree::parse(event.payload);
  auto wanting = std::make_shared<std::vector<EndpointPtr>>();
  for (const EndpointPtr& endpoint : *matches.endpoints) {
    if (!endpoint->filter || (payload && endpoint->filter->holds(*payload))) wanting->push_back(endpoint);
  }
  matches.endpoints = std::move(wanting);
  return matches;
}

}  // namespace outboxd
