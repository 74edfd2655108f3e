#include "ctl/endpoint_file.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "common/json_number.h"
#include "common/text.h"
#include "common/words.h"
#include "ctl/output.h"

namespace outboxd::ctl {
namespace {

using Key = std::pair<std::string, std::string>;  // tenant, name

// What the API shows of an endpoint and does not let anybody set.
constexpr std::array<std::string_view, 5> kReadOnly = {"id", "disabled_reason", "failing_since", "created_at",
                                                       "updated_at"};
constexpr std::array<std::string_view, 2> kMembers = {"version", "endpoints"};
constexpr std::string_view kHidden = "(hidden)";

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A null where a secret belongs keeps the one that is stored, whatever that is: while the file is read, something stands
// in for it.
Json with_stand_ins(Json endpoint) {
  const auto fill = [](Json& object, const char* member) {
    if (object.is_object() && object.value(member, Json()).is_null()) object[member] = "stored";
  };
  if (Json& auth = endpoint["auth"]; auth.is_object()) {
    if (auth.contains("bearer")) fill(auth, "bearer");
    if (auth.contains("basic")) fill(auth["basic"], "password");
    if (auth.contains("header")) fill(auth["header"], "value");
  }
  if (Json& signatures = endpoint["signatures"]; signatures.is_array())
    for (Json& signature : signatures) fill(signature, "secret");
  return endpoint;
}

// Does `stored` have everything that `given` names?
bool agrees(const Json& given, const Json& stored) {
  if (given.is_null()) return true;
  if (given.is_array())
    return stored.is_array() && std::equal(given.begin(), given.end(), stored.begin(), stored.end(), agrees);
  if (!given.is_object()) return given == stored;
  const auto items = given.items();
  return stored.is_object() && std::all_of(items.begin(), items.end(), [&](const auto& item) {
           return agrees(item.value(), stored.value(item.key(), Json()));
         });
}

Key key_of(const Json& endpoint) {
  return {text_of(endpoint, "tenant"), text_of(endpoint, "name")};
}

std::string label_of(const Key& key, const std::string& id) {
  const std::string name = key.second.empty() ? id : key.second;
  return key.first.empty() ? name : key.first + "/" + name;
}

// Does not mind the order of members.
bool same(const Json& a, const Json& b) {
  return nlohmann::json::parse(dump(a)) == nlohmann::json::parse(dump(b));
}

class Reader {
 public:
  void refuse(std::string pointer, std::string detail) {
    errors_.push_back({std::move(pointer), std::move(detail)});
  }

  void document(const Json& json) {
    if (!json.is_object()) return refuse("", "must be an object with the members version and endpoints");
    for (const auto& item : json.items()) {
      if (std::ranges::find(kMembers, item.key()) == kMembers.end())
        refuse(pointer_to(item.key()), "is not a member of this file" + did_you_mean(item.key(), kMembers));
    }
    if (json.value("version", Json()) != kEndpointFileVersion)
      refuse("/version", "must be " + std::to_string(kEndpointFileVersion));
    const Json endpoints = json.value("endpoints", Json());
    if (!endpoints.is_array()) return refuse("/endpoints", "must be an array of endpoints");
    for (std::size_t i = 0; i < endpoints.size(); ++i) entry("/endpoints/" + std::to_string(i), endpoints[i]);
  }

  Result<std::vector<EndpointEntry>> finish() {
    if (errors_.empty()) return std::move(entries_);
    std::string detail = summary_of(errors_);
    return problem(ProblemCode::kInvalidEndpoint, std::move(detail), std::move(errors_));
  }

 private:
  void entry(const std::string& pointer, const Json& given) {
    const auto read = endpoint_from_json(given.is_object() ? with_stand_ins(given) : given, Endpoint{});
    if (!read) {
      for (const FieldError& error : read.error().errors) refuse(pointer + error.pointer, error.detail);
      return;
    }
    if (read->name.empty())
      return refuse(pointer + "/name", "is required: an endpoint is found again by its name in its tenant");
    const auto [first, fresh] = seen_.emplace(Key{read->tenant, read->name}, pointer);
    if (!fresh) return refuse(pointer + "/name", "is the name of " + first->second + " already");
    EndpointEntry made{pointer, read->tenant, read->name, given, to_json(*read), std::nullopt};
    made.given.erase("secret");
    if (!read->secrets.empty()) made.secret = read->secrets.front().text;
    entries_.push_back(std::move(made));
  }

  std::vector<EndpointEntry> entries_;
  std::vector<FieldError> errors_;
  std::map<Key, std::string> seen_;  // where
};

// "line 3, column 7"
std::string place_of(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, std::min(byte, text.size()));
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return "line " + std::to_string(line) + ", column " +
         std::to_string(std::max<std::size_t>(byte, start + 1) - start);
}

void add_secret(EndpointChange& change) {
  const EndpointEntry& entry = *change.entry;
  if (!entry.secret) return;
  const Json known =
      change.current.is_object() ? change.current.value("secrets", Json::array()) : Json::array();
  if (std::find(known.begin(), known.end(), Json(*entry.secret)) == known.end())
    change.fields.push_back({"secret", known.empty() ? Json() : Json(kHidden), Json(kHidden)});
}

EndpointChange change_of(const EndpointEntry& entry, const Json* current) {
  EndpointChange change{current != nullptr ? EndpointChange::Kind::kChange : EndpointChange::Kind::kCreate,
                        &entry, current != nullptr ? *current : Json()};
  for (const auto& item : entry.given.items()) {
    const Json from = current != nullptr ? current->value(item.key(), Json()) : Json();
    const Json to = entry.wanted.value(item.key(), item.value());
    if (current == nullptr || !same(from, to)) {
      change.fields.push_back({item.key(), from, to});
      continue;
    }
    // What is not shown may differ all the same.
    const Json stored = current->value("credentials", Json::object()).value(item.key(), Json());
    if (!stored.is_null() && !agrees(item.value(), stored))
      change.fields.push_back({item.key(), from, Json(kHidden)});
  }
  add_secret(change);
  return change;
}

std::string shown(const Json& value) {
  return escape_control(dump(value));
}

}  // namespace

Json endpoint_document(std::vector<Json> endpoints) {
  std::ranges::sort(endpoints, [](const Json& a, const Json& b) {
    return std::pair(key_of(a), text_of(a, "id")) < std::pair(key_of(b), text_of(b, "id"));
  });
  for (Json& endpoint : endpoints) {
    for (const auto& field : kReadOnly) endpoint.erase(std::string(field));
  }
  return {{"version", kEndpointFileVersion}, {"endpoints", std::move(endpoints)}};
}

Result<std::vector<EndpointEntry>> read_endpoint_document(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    return problem(ProblemCode::kMalformed, "is not JSON: " + place_of(text, error.byte));
  } catch (const Json::exception&) {
    return problem(ProblemCode::kMalformed, "holds a number beyond a double");
  }
  if (const auto number = first_changed_number(text))
    return problem(ProblemCode::kMalformed, "holds the number " + std::string(*number) +
                                                ", of which a double keeps another: write it as a string");
  Reader reader;
  reader.document(json);
  return reader.finish();
}

std::string EndpointChange::label() const {
  if (entry != nullptr) return label_of({entry->tenant, entry->name}, "");
  return label_of(key_of(current), text_of(current, "id"));
}

std::vector<EndpointChange> plan_changes(const std::vector<EndpointEntry>& entries,
                                         const std::vector<Json>& current, bool prune) {
  std::map<Key, const Json*> there;
  for (const Json& endpoint : current) {
    const Key key = key_of(endpoint);
    if (!key.second.empty()) there.emplace(key, &endpoint);
  }
  std::vector<EndpointChange> changes;
  std::set<Key> kept;
  std::set<std::string> tenants;
  for (const EndpointEntry& entry : entries) {
    const Key key{entry.tenant, entry.name};
    kept.insert(key);
    tenants.insert(entry.tenant);
    const auto found = there.find(key);
    EndpointChange change = change_of(entry, found == there.end() ? nullptr : found->second);
    if (!change.fields.empty()) changes.push_back(std::move(change));
  }
  for (const Json& endpoint : current) {
    const Key key = key_of(endpoint);
    if (prune && tenants.contains(key.first) && !kept.contains(key))
      changes.push_back({EndpointChange::Kind::kRemove, nullptr, endpoint});
  }
  return changes;
}

std::string render_changes(const std::vector<EndpointChange>& changes, bool color) {
  std::string text;
  for (const EndpointChange& change : changes) {
    const std::string label = escape_control(change.label());
    if (change.kind == EndpointChange::Kind::kRemove) {
      const std::string pending = text_of(change.current, "pending");
      text += tinted("- remove " + label, Tint::kBad, color) +
              (pending.empty() ? "" : " (" + pending + " pending deliveries are discarded)") + "\n";
      continue;
    }
    const bool create = change.kind == EndpointChange::Kind::kCreate;
    text += tinted((create ? "+ create " : "~ change ") + label, create ? Tint::kGood : Tint::kWarn, color) +
            "\n";
    for (const FieldChange& field : change.fields) {
      text +=
          "    " + field.field + ": " + (create ? "" : shown(field.from) + " -> ") + shown(field.to) + "\n";
    }
  }
  return text;
}

Json json_of_changes(const std::vector<EndpointChange>& changes) {
  Json json = {{"create", Json::array()}, {"change", Json::array()}, {"remove", Json::array()}};
  for (const EndpointChange& change : changes) {
    Json one = {
        {"tenant", change.entry != nullptr ? change.entry->tenant : text_of(change.current, "tenant")},
        {"name", change.entry != nullptr ? change.entry->name : text_of(change.current, "name")}};
    if (change.current.is_object()) one["id"] = text_of(change.current, "id");
    for (const FieldChange& field : change.fields)
      one["fields"][field.field] = {{"from", field.from}, {"to", field.to}};
    const char* const kind = change.kind == EndpointChange::Kind::kCreate   ? "create"
                             : change.kind == EndpointChange::Kind::kChange ? "change"
                                                                            : "remove";
    json[kind].push_back(std::move(one));
  }
  return json;
}

}  // namespace outboxd::ctl
