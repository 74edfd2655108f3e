#include "ctl/endpoint_apply.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/text.h"
#include "ctl/endpoint_file.h"
#include "ctl/input.h"
#include "ctl/json_text.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxShownErrors = 20;

std::vector<Json> all_endpoints(ApiClient& api, const std::optional<std::string>& tenant) {
  Path path("/v1/endpoints");
  if (tenant) path.with("tenant", *tenant);
  Listed listed = fetch_list(api, path, {kMaxListed, std::nullopt});
  if (listed.next_cursor.is_string())
    throw Failure(kExitFailed,
                  "there are more than " + std::to_string(kMaxListed) + " endpoints: name a --tenant");
  return std::move(listed.rows);
}

std::string id_of(const Json& endpoint) {
  return member_text(endpoint, "id");
}

// All that is secret about an endpoint: the texts of the signing secrets that are valid now, the newest first; auth and
// signatures as they are stored.
struct Secrets {
  std::vector<std::string> signing;
  Json credentials;
};
Secrets secrets_of(ApiClient& api, const Json& endpoint) {
  Secrets secrets;
  const Json answer = api.get(path_of_endpoint(id_of(endpoint)) + "/secrets?reveal=true");
  for (const Json& secret : answer.value("data", Json::array()))
    secrets.signing.push_back(member_text(secret, "secret"));
  secrets.credentials = {{"auth", answer.value("auth", Json())},
                         {"signatures", answer.value("signatures", Json::array())}};
  return secrets;
}

// Only its owner may read a file with secrets.
void write_file(const std::string& path, const std::string& text, bool secret) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0666);
  const bool good = fd >= 0 && (!secret || fchmod(fd, 0600) == 0) &&
                    write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!good)
    throw Failure(kExitFailed, escape_control(path) + ": cannot be written: " + std::strerror(error));
}

struct ExportOptions {
  std::string file = "-";
  std::optional<std::string> tenant;
  bool reveal = false;
};

int export_endpoints(Session& session, const ExportOptions& options) {
  std::vector<Json> endpoints = all_endpoints(session.api(), options.tenant);
  for (Json& endpoint : endpoints) {
    if (endpoint.value("name", Json()) == "")
      session.warn(escape_control(id_of(endpoint)) +
                   " has no name, and apply refuses it: outboxctl endpoint set " +
                   escape_control(id_of(endpoint)) + " --name …");
    if (!options.reveal) continue;
    const Secrets secrets = secrets_of(session.api(), endpoint);
    if (!secrets.signing.empty()) endpoint["secret"] = secrets.signing.front();
    endpoint.update(secrets.credentials);
  }
  const std::size_t count = endpoints.size();
  const std::string text = render_json(endpoint_document(std::move(endpoints)), true);
  if (options.file == "-") {
    session.print(text);
    return kExitOk;
  }
  write_file(options.file, text, options.reveal);
  if (session.prints_json()) session.print_object({{"file", options.file}, {"endpoints", count}}, {});
  session.note("wrote " + std::to_string(count) +
               " endpoints; put them back with: outboxctl endpoint apply " + escape_control(options.file));
  return kExitOk;
}

struct ApplyOptions {
  std::string file;
  bool dry_run = false, prune = false, yes = false;
};

std::vector<EndpointEntry> read_entries(const std::string& file) {
  auto entries = read_endpoint_document(read_file(file, kMaxInputBytes, "FILE"));
  if (entries) return std::move(*entries);
  const Problem& refused = entries.error();
  const std::string name = escape_control(file);
  if (refused.errors.empty()) throw Failure(kExitUsage, name + ": " + refused.detail);
  std::string what = name + ": nothing was changed";
  for (std::size_t i = 0; i < refused.errors.size() && i < kMaxShownErrors; ++i) {
    const FieldError& error = refused.errors[i];
    what += "\n  " + escape_control(error.pointer + ": " + error.detail);
  }
  if (refused.errors.size() > kMaxShownErrors)
    what += "\n  and " + std::to_string(refused.errors.size() - kMaxShownErrors) + " more";
  throw Failure(kExitUsage, what);
}

// Adds what the plan needs to know and lists do not show: secrets, where the file names one.
void add_secrets(ApiClient& api, const std::vector<EndpointEntry>& entries, std::vector<Json>& endpoints) {
  for (const EndpointEntry& entry : entries) {
    const bool credentials = !entry.given.value("auth", Json()).is_null() ||
                             !entry.given.value("signatures", Json::array()).empty();
    if (!entry.secret && !credentials) continue;
    for (Json& endpoint : endpoints) {
      if (endpoint.value("name", Json()) != entry.name || endpoint.value("tenant", Json()) != entry.tenant)
        continue;
      Secrets secrets = secrets_of(api, endpoint);
      endpoint["secrets"] = secrets.signing;
      endpoint["credentials"] = std::move(secrets.credentials);
    }
  }
}

// A refusal names the field of a request; the user knows the file.
Json sent(ApiClient& api, const EndpointChange& change, std::string_view method, const std::string& path,
          const std::string& body) {
  HttpResponse response = api.send(method, path, body, "application/json");
  if (exit_code_of_status(response.status) == kExitOk)
    return response.body.empty() ? Json() : json_of(response);
  Json refused = Json::parse(response.body, nullptr, false);
  if (change.entry != nullptr && refused.is_object() && refused.contains("errors") &&
      refused["errors"].is_array()) {
    for (Json& error : refused["errors"]) {
      if (error.is_object()) error["pointer"] = change.entry->pointer + member_text(error, "pointer");
    }
    response.body = dump(refused);
  }
  const Failure failure = failure_of(response);
  const std::string where =
      change.entry != nullptr ? change.entry->pointer + " (" + change.label() + ")" : change.label();
  throw Failure(failure.exit_code, escape_control(where) + ": " + failure.what());
}

void create(ApiClient& api, const EndpointChange& change) {
  ObjectText body;
  for (const auto& item : change.entry->given.items()) body.add(item.key(), item.value());
  if (change.entry->secret) body.add("secret", *change.entry->secret);
  sent(api, change, "POST", "/v1/endpoints", body.text());
}

// A new secret takes over as in `secret rotate`: the one before it goes on signing for a day.
void change_fields(ApiClient& api, const EndpointChange& change) {
  const std::string path = path_of_endpoint(id_of(change.current));
  ObjectText body;
  bool new_secret = false;
  for (const FieldChange& field : change.fields) {
    if (field.field == "secret") {
      new_secret = true;
    } else {
      body.add(field.field, change.entry->given[field.field]);
    }
  }
  if (!body.empty()) sent(api, change, "PATCH", path, body.text());
  if (!new_secret) return;
  sent(api, change, "POST", path + "/secrets/rotate",
       ObjectText().add("secret", *change.entry->secret).text());
}

void carry_out(ApiClient& api, const EndpointChange& change) {
  switch (change.kind) {
    case EndpointChange::Kind::kCreate:
      return create(api, change);
    case EndpointChange::Kind::kChange:
      return change_fields(api, change);
    case EndpointChange::Kind::kRemove:
      sent(api, change, "DELETE", path_of_endpoint(id_of(change.current)), "");
  }
}

// Stops at the first refusal: what is done is done, and applying the file again does the rest.
int carry_out_all(Session& session, const std::vector<EndpointChange>& changes) {
  int created = 0, changed = 0, removed = 0, done = 0;
  for (const EndpointChange& change : changes) {
    try {
      carry_out(session.api(), change);
    } catch (const Failure& failure) {
      throw Failure(failure.exit_code, std::string(failure.what()) + "\n" + std::to_string(done) + " of " +
                                           std::to_string(changes.size()) +
                                           " changes were made; apply the file again when this is mended");
    }
    ++done;
    created += change.kind == EndpointChange::Kind::kCreate;
    changed += change.kind == EndpointChange::Kind::kChange;
    removed += change.kind == EndpointChange::Kind::kRemove;
  }
  session.note(
      "created " + std::to_string(created) + ", changed " + std::to_string(changed) + ", removed " +
      std::to_string(removed) +
      (created > 0 ? "; outboxctl endpoint secret reveal NAME shows what a new one signs with" : ""));
  return kExitOk;
}

int apply(Session& session, const ApplyOptions& options) {
  const std::vector<EndpointEntry> entries = read_entries(options.file);
  std::vector<Json> endpoints = all_endpoints(session.api(), std::nullopt);
  add_secrets(session.api(), entries, endpoints);
  std::vector<EndpointChange> changes = plan_changes(entries, endpoints, options.prune);
  for (EndpointChange& change : changes) {
    if (change.kind == EndpointChange::Kind::kRemove)
      change.current["pending"] = count_pending(session.api(), id_of(change.current));
  }
  if (session.prints_json()) {
    session.print(render_json(json_of_changes(changes), session.format() == Format::kJson));
  } else {
    session.print(render_changes(changes, session.style().color));
  }
  if (changes.empty()) {
    session.note("nothing to change");
    return kExitOk;
  }
  if (options.dry_run) {
    session.note("nothing was changed: --dry-run");
    return kExitOk;
  }
  if (!options.yes && !session.confirm("Make these " + std::to_string(changes.size()) + " changes?")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  return carry_out_all(session, changes);
}

}  // namespace

void add_endpoint_export(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "export", "All endpoints as one file, for `endpoint apply`",
                                  "outboxctl endpoint export endpoints.json");
  auto o = std::make_shared<ExportOptions>();
  command->add_option("file", o->file, "Where to write it (- is stdout)")->capture_default_str();
  command->add_option("--tenant", o->tenant, "Only this tenant's")->check(has_length(0, kMaxTenantLength));
  command->add_flag("--reveal", o->reveal,
                    "With all that is secret about them: keep the file as safe as that");
  command->callback(
      [&session, o] { session.action = [&session, o] { return export_endpoints(session, *o); }; });
}

void add_endpoint_apply(CLI::App& group, Session& session) {
  CLI::App* command =
      add_command(group, "apply", "Make the endpoints what a file says; shows what changes, and asks",
                  "outboxctl endpoint apply endpoints.json --dry-run");
  auto o = std::make_shared<ApplyOptions>();
  command->add_option("file", o->file, "As `endpoint export` writes it (- is stdin)")->required();
  command->add_flag("--dry-run", o->dry_run, "Only show what would change");
  command->add_flag("--prune", o->prune, "Remove the endpoints of its tenants that the file does not name");
  command->add_flag("--yes", o->yes, "Do not ask");
  command->callback([&session, o] { session.action = [&session, o] { return apply(session, *o); }; });
}

}  // namespace outboxd::ctl
