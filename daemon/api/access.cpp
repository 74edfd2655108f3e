#include "api/access.h"

#include <array>

#include "common/words.h"

namespace outboxd::api {
namespace {

struct Rule {
  bool none, ingest, view;  // is this scope enough? admin always is
  bool all_tenants;         // and not one tenant's
  std::string_view needed;
};

// In the order of enum Access.
constexpr std::array<Rule, 7> kRules{{
    {true, true, true, false, ""},
    {false, true, false, false, "ingest or admin"},
    {false, true, true, false, "ingest, view or admin"},
    {false, false, true, false, "view or admin"},
    {false, false, true, true, "view or admin"},
    {false, false, false, false, "admin"},
    {false, false, false, true, "admin"},
}};

const Rule& rule_of(Access access) {
  return kRules.at(static_cast<std::size_t>(access));
}

}  // namespace

bool allows(Access access, Scope scope) {
  const Rule& rule = rule_of(access);
  switch (scope) {
    case Scope::kNone:
      return rule.none;
    case Scope::kIngest:
      return rule.ingest;
    case Scope::kView:
      return rule.view;
    case Scope::kAdmin:
      return true;
  }
  return false;
}

Result<void> check_access(Access access, const Grant& grant) {
  const Rule& rule = rule_of(access);
  if (!allows(access, grant.scope)) {
    return problem(ProblemCode::kForbidden, "The token's scope is " + std::string(to_string(grant.scope)) +
                                                ", and this needs a token of scope " +
                                                std::string(rule.needed) + '.');
  }
  if (grant.tenant && rule.all_tenants) {
    return problem(ProblemCode::kForbidden, "The token is for tenant " + in_quotes(*grant.tenant) +
                                                " alone, and this concerns all tenants: it needs a token "
                                                "without a tenant.");
  }
  return {};
}

std::string_view to_string(Scope scope) {
  constexpr std::array<std::string_view, 4> kNames{"none", "ingest", "view", "admin"};
  return kNames.at(static_cast<std::size_t>(scope));
}

}  // namespace outboxd::api
