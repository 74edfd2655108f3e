// What `doctor` finds in the figures of a store on a server: the daemons that share it, and whether the server is set up,
// and left alone, as they need. Pure.
#pragma once

#include <vector>

#include "common/json.h"
#include "ctl/doctor_findings.h"

namespace outboxd::ctl {

// `status`: of GET /v1/status. Empty: the store is for one daemon alone.
std::vector<Finding> findings_of_members(const Json& status);
// Of what the store tells of its server. Empty: it has none.
std::vector<Finding> findings_of_server(const Json& status);

}  // namespace outboxd::ctl
