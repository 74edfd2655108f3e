// Who wants an event: by tenant and type, which the directory knows, and by what is in it, which filters ask
// (common/payload_filter.h). The payload is taken apart once for all of them, and only if there is a filter.
#pragma once

#include "ingest/endpoint_directory.h"

namespace outboxd {

// A payload that is no JSON passes no filter.
EndpointDirectory::Matches matches_of(const EndpointDirectory& directory, const Event& event);

}  // namespace outboxd
