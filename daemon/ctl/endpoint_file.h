// The file of endpoints that `endpoint export` writes and `endpoint apply` reads, and what applying it would change.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

inline constexpr int kEndpointFileVersion = 1;

// One endpoint of the file. It is the endpoint of that name in that tenant.
struct EndpointEntry {
  std::string pointer;  // into the file: "/endpoints/3"
  std::string tenant, name;
  Json given;                         // as the file has it, without the secret
  Json wanted;                        // as the API would show it
  std::optional<std::string> secret;  // absent: whatever it is stays
};

// {"version": 1, "endpoints": [...]}, by tenant and name; of each endpoint (as the API shows it) what may be set.
Json endpoint_document(std::vector<Json> endpoints);
// Reads such a text strictly. Everything that is wrong is named, with pointers into the file; a text that is no JSON by
// line and column.
Result<std::vector<EndpointEntry>> read_endpoint_document(std::string_view text);

struct FieldChange {
  std::string field;
  Json from, to;
};
struct EndpointChange {
  enum class Kind { kCreate, kChange, kRemove };
  Kind kind = Kind::kCreate;
  const EndpointEntry* entry = nullptr;  // null: to be removed
  Json current;                          // as the API shows it; null: to be created
  std::vector<FieldChange> fields = {};
  std::string label() const;  // "acme/orders"
};

// What has to be done so that `current` (the endpoints as the API shows them) is what the file says, in the file's
// order. A field that the file does not name stays. With `prune` the endpoints that are not in the file are removed, but
// only of tenants that the file has endpoints of. `entries` must outlive the result.
std::vector<EndpointChange> plan_changes(const std::vector<EndpointEntry>& entries,
                                         const std::vector<Json>& current, bool prune);
// The same for people, and for programs. Secrets are not shown.
std::string render_changes(const std::vector<EndpointChange>& changes, bool color);
Json json_of_changes(const std::vector<EndpointChange>& changes);

}  // namespace outboxd::ctl
