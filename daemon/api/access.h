// Who may call what. Every route declares what it asks of its caller; there is no default.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/problem.h"

namespace outboxd::api {

// What a caller may do: nothing, send events, read what is no secret, everything.
enum class Scope { kNone, kIngest, kView, kAdmin };

// What a route asks of its caller. A caller may be limited to one tenant. The routes that end in All refuse him; all
// others must neither show nor change anything of another tenant (Request::tenant).
enum class Access {
  kOpen,      // nothing, because it says nothing about anybody's events
  kSend,      // scope ingest
  kLookUp,    // ingest or view: shows one thing, to a caller who holds its id
  kView,      // view
  kViewAll,   // view, of all tenants
  kAdmin,     // admin
  kAdminAll,  // admin, of all tenants
};

struct Grant {
  Scope scope = Scope::kNone;
  std::optional<std::string> tenant = {};  // the only one that the caller may see and touch; absent: all
};

// Scope kAdmin is enough for every route.
bool allows(Access access, Scope scope);
// kForbidden, with what is needed instead.
Result<void> check_access(Access access, const Grant& grant);
std::string_view to_string(Scope scope);

}  // namespace outboxd::api
