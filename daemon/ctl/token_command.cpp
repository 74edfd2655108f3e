// `token`: who may call the API over TCP. Works on the file of [listen] tokens_file, on this machine, without the
// daemon, which notices a change within seconds. The file holds hashes only: a token is shown when it is made, and
// never again.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "common/api_token.h"
#include "common/event.h"
#include "common/secret_file.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/configuration.h"
#include "ctl/input.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxFileBytes = 1u << 20;
constexpr mode_t kMode = 0640;  // the daemon can read it through its group

struct Options {
  std::optional<std::string> config, file;
  std::string scope = "ingest";
  std::optional<std::string> tenant;
  std::string name;
};

std::string path_of(const Session& session, const Options& options) {
  if (options.file) return *options.file;
  std::string name = load_configuration(session, options.config).config.listen.tokens_file;
  if (name.empty())
    throw Failure(kExitUsage, "[listen] tokens_file is not set: set it, or name the file with --file");
  if (!name.starts_with('/'))
    throw Failure(kExitUsage,
                  "[listen] tokens_file is a credential: name the file it is loaded from with --file");
  return name;
}

std::string read_if_there(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return "";
  try {
    return read_file(path, kMaxFileBytes, "tokens file");
  } catch (const Failure& failure) {
    throw Failure(kExitFailed, failure.what());  // not a usage error: the caller may not have named the file
  }
}

std::vector<ApiToken> tokens_in(const std::string& text, const std::string& path) {
  auto tokens = parse_tokens(text, path);
  if (!tokens) throw Failure(kExitFailed, escape_control(tokens.error().detail));
  return std::move(*tokens);
}

// Replaces the file as a whole or not at all, keeping its owner and mode: a daemon that reads it meanwhile sees the old
// file or the new one.
void replace(const std::string& path, const std::string& text) {
  const std::string next = path + ".new";
  const auto failed = [&](const char* what) -> Failure {
    const std::string why = std::strerror(errno);
    unlink(next.c_str());
    return {kExitFailed, escape_control(next) + ": " + what + ": " + why};
  };
  struct stat old {};
  const bool existed = stat(path.c_str(), &old) == 0;
  unlink(next.c_str());
  const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) throw failed("cannot be made");
  bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (existed) good = good && (fchown(fd, old.st_uid, old.st_gid) == 0 || errno == EPERM);
  good = good && fchmod(fd, existed ? old.st_mode & 07777 : kMode) == 0 && fsync(fd) == 0;
  close(fd);
  if (!good) throw failed("cannot be written");
  if (rename(next.c_str(), path.c_str()) != 0) throw failed("cannot take the place of the file");
}

Json json_of(const ApiToken& token) {
  return {{"id", token.id()},
          {"name", token.name},
          {"scope", to_string(token.scope)},
          {"tenant", token.tenant ? Json(*token.tenant) : Json(nullptr)}};
}

int create(Session& session, const Options& options) {
  if (!is_token_name(options.name))
    throw Failure(kExitUsage,
                  "--name: 1 to 64 visible characters without # are needed, such as shop-backend");
  if (options.tenant && (options.tenant->empty() || !is_tenant(*options.tenant)))
    throw Failure(kExitUsage,
                  "--tenant: 1 to 128 letters, digits or characters of _.:- are needed, such as acme");
  Session::require_stdout();
  const std::string path = path_of(session, options);
  std::string text = read_if_there(path);
  const auto tokens = tokens_in(text, path);
  const auto same = [&](const ApiToken& token) { return token.name == options.name; };
  if (std::any_of(tokens.begin(), tokens.end(), same))
    throw Failure(kExitRefused,
                  "there is a token named " + options.name + " already: revoke it, or choose another name");
  if (tokens.size() >= kMaxTokens) throw Failure(kExitRefused, "there are 1000 tokens already");
  const std::string secret = new_token();
  const ApiToken token = token_of(secret, *parse_token_scope(options.scope), options.tenant, options.name);
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  replace(path, text + line_of(token) + "\n");
  const bool table = session.prints_table();
  Json made = json_of(token);
  made["token"] = secret;
  Session::print_once(
      [&] {
        // Alone on its line, so that `token create … > FILE` makes a file for --token-file.
        if (table) return session.print(secret + "\n");
        session.print_object(made, {}, "token");
      },
      "; the token is lost: outboxctl token revoke " + token.name + ", then make another");
  session.note("token " + escape_control(token.name) + " (" + std::string(to_string(token.scope)) +
               (token.tenant ? " of tenant " + *token.tenant : "") +
               ") is shown this once; outboxd takes it within seconds. Send it as: Authorization: Bearer …");
  return kExitOk;
}

int list(Session& session, const Options& options) {
  const std::string path = path_of(session, options);
  std::vector<Json> rows;
  for (const ApiToken& token : tokens_in(read_if_there(path), path)) rows.push_back(json_of(token));
  const Column tenant{"TENANT", [](const Json& row, const Style&) {
                        return Cell{row["tenant"].is_null() ? "all" : row["tenant"].get<std::string>()};
                      }};
  session.print_rows({column("ID", "id"), column("NAME", "name"), column("SCOPE", "scope"), tenant}, rows,
                     nullptr, "id");
  return kExitOk;
}

// Removes the token's line; all others, comments too, stay as they are.
int revoke(Session& session, const Options& options) {
  const std::string path = path_of(session, options);
  const std::string text = read_if_there(path);
  tokens_in(text, path);
  std::string kept;
  Json gone;
  int revoked = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const auto token = parse_tokens(line, path);
    const bool chosen = token && !token->empty() &&
                        (token->front().name == options.name || token->front().id() == options.name);
    revoked += chosen;
    if (chosen) {
      gone = json_of(token->front());
    } else {
      kept += line + "\n";
    }
  }
  if (revoked == 0)
    throw Failure(kExitNotFound, "there is no token of that name or id: " + escape_control(options.name));
  if (revoked > 1)
    throw Failure(kExitRefused, "several tokens have that name: revoke them by id (outboxctl token list)");
  replace(path, kept);
  gone["revoked"] = true;
  if (!session.prints_table()) session.print_object(gone, {});
  session.note("revoked " + options.name + "; outboxd refuses it within seconds");
  return kExitOk;
}

}  // namespace

void add_token(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "token", "create, list, revoke: who may call the API over TCP");
  group->group(kRun);
  auto o = std::make_shared<Options>();
  CLI::App* create_command = add_command(*group, "create", "Make a token; prints it, this once",
                                         "outboxctl token create shop-backend --scope ingest > shop.token");
  create_command->add_option("name", o->name, "A name for people, and to revoke it by")->required();
  create_command
      ->add_option("--scope", o->scope,
                   "ingest (send events), view (read all but secrets) or admin (everything)")
      ->check(CLI::IsMember({"ingest", "view", "admin"}))
      ->capture_default_str();
  create_command->add_option("--tenant", o->tenant, "For this tenant alone (default: for all)")
      ->type_name("TENANT");
  CLI::App* list_command = add_command(*group, "list", "The tokens there are, without their text");
  CLI::App* revoke_command =
      add_command(*group, "revoke", "Take a token out of service", "outboxctl token revoke shop-backend");
  revoke_command->add_option("name", o->name, "Its name, or its id")->required();
  for (CLI::App* command : {create_command, list_command, revoke_command}) {
    add_config_option(*command, o->config);
    command->add_option("--file", o->file, "The file (default [listen] tokens_file)")->type_name("FILE");
  }
  create_command->callback([&session, o] { session.action = [&session, o] { return create(session, *o); }; });
  list_command->callback([&session, o] { session.action = [&session, o] { return list(session, *o); }; });
  revoke_command->callback([&session, o] { session.action = [&session, o] { return revoke(session, *o); }; });
}

}  // namespace outboxd::ctl
