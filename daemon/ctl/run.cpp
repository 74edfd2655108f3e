#include "ctl/run.h"

#include <curl/curl.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/text.h"
#include "common/words.h"
#include "ctl/commands.h"
#include "ctl/completion.h"
#include "ctl/listing.h"
#include "ctl/validators.h"
#include "version.h"

namespace outboxd::ctl {
namespace {

// CLI11 writes "--delay TEXT:DURATION Excludes: …"; the last word of the type is enough to know what to write.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string type = option->get_type_name();
    if (type.starts_with("TEXT:")) type.erase(0, 5);
    if (type.starts_with("INT:INT")) type.erase(0, 4);
    if (!type.empty()) type.insert(0, " ");
    if (!option->get_default_str().empty()) type += " = " + option->get_default_str();
    return type + (option->get_required() ? " (required)" : "");
  }
};

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.add_option("--socket", options.socket,
                 "The daemon's admin or ingest socket [$OUTBOXD_SOCKET, /run/outboxd/admin.sock]")
      ->check(has_length(1, 107));
  app.add_option("--url", options.url, "The daemon over TCP instead: http://127.0.0.1:8877 [$OUTBOXD_URL]");
  app.add_option("--token-file", options.token_file,
                 "A file with the bearer token for TCP [$OUTBOXD_TOKEN_FILE]")
      ->check(has_length(1, 4096));
  app.add_option("--ca-file", options.ca_file,
                 "Certificates (PEM) to trust for an https:// URL instead of the system's [$OUTBOXD_CA_FILE]")
      ->check(has_length(1, 4096));
  app.add_option("-o,--output", options.format, "table, wide, json, jsonl or id")
      ->check(CLI::IsMember({"table", "wide", "json", "jsonl", "id"}))
      ->capture_default_str();
  app.add_option("--color", options.color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("-q,--quiet", options.quiet, "No messages on stderr but errors");
}

void add_version(CLI::App& app, Session& session) {
  CLI::App* command = add_command(app, "version", "The version of outboxctl");
  command->group(kRun)->callback([&session] {
    session.action = [&session] {
      const Json version = {{"version", OUTBOXD_VERSION}};
      session.print_object(version, {{"outboxctl", {OUTBOXD_VERSION}}}, "version");
      return kExitOk;
    };
  });
}

// The innermost command that was parsed, and its name: "outboxctl event send".
CLI::App* deepest(CLI::App* app, std::string& name) {
  name = app->get_name();
  for (auto chosen = app->get_subcommands(); !chosen.empty(); chosen = app->get_subcommands()) {
    app = chosen.front();
    name += " " + app->get_name();
  }
  return app;
}

// What the line has that the command does not know, and what was probably meant; nullopt: it is no name of anything.
std::optional<std::string> describe_unknown(const CLI::App& command, const std::vector<std::string>& rest) {
  const auto option =
      std::ranges::find_if(rest, [](const std::string& word) { return word.starts_with('-'); });
  if (option == rest.end() && command.get_require_subcommand_min() == 0) return std::nullopt;
  const auto names = option != rest.end() ? options_of(command) : subcommands_of(command);
  const std::string word = option != rest.end() ? option->substr(0, option->find('=')) : rest.front();
  const std::vector<std::string_view> known(names.begin(), names.end());
  return (option != rest.end() ? "unknown option: " : "unknown command: ") + word + did_you_mean(word, known);
}

int report_parse_error(CLI::App& app, const CLI::ParseError& error) {
  std::string name;
  CLI::App* command = deepest(&app, name);
  if (error.get_name() == "CallForVersion") {
    std::fprintf(stdout, "%s\n", error.what());
    return std::fflush(stdout) == 0 ? kExitOk : kExitFailed;
  }
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    const std::size_t parent_end = name.rfind(' ');
    std::fputs(command->help(parent_end == std::string::npos ? "" : name.substr(0, parent_end)).c_str(),
               stdout);
    return kExitOk;
  }
  std::string what = error.what();
  if (const auto rest = app.remaining(true); !rest.empty())
    what = describe_unknown(*command, rest).value_or(what);
  std::fprintf(stderr, "outboxctl: %s\nSee: %s --help\n", escape_control(what).c_str(),
               escape_control(name).c_str());
  return kExitUsage;
}

// libsmartcols measures text by the locale, and names and payloads may be in any language.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

// An answer that could not be written must not pass for an empty one.
int with_stdout_written(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  if (status != kExitOk) return status;
  std::fprintf(stderr, "outboxctl: cannot write to stdout: %s\n", std::strerror(errno));
  return kExitFailed;
}

// The shell asks at every Tab: what cannot be answered is left out, without a word.
std::vector<std::string> endpoint_names(Session& session) try {
  std::vector<std::string> names;
  for (const Json& row : fetch_list(session.api(), Path("/v1/endpoints"), {kMaxPage, std::nullopt}).rows) {
    names.push_back(escape_control(name_of_endpoint(row)));
  }
  return names;
} catch (const Failure&) {
  return {};
}

int print_completions(const CLI::App& app, Session& session, const std::vector<std::string>& words) {
  for (const std::string& word : complete(app, words, [&session] { return endpoint_names(session); }))
    std::printf("%s\n", word.c_str());
  return kExitOk;
}

int run_parsed(CLI::App& app, Session& session, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_parse_error(app, error);
  }
  try {
    return session.action();
  } catch (const Failure& failure) {
    std::fprintf(stderr, "outboxctl: %s\n", failure.what());
    return failure.exit_code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "outboxctl: %s\n", escape_control(error.what()).c_str());
    return kExitFailed;
  }
}

}  // namespace

int run(int argc, char** argv, const DatabaseTools& tools) {
  use_utf8();
  std::signal(SIGPIPE, SIG_IGN);  // print() gets an error instead: a command finishes what it has begun
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CLI::App app("Look at and steer outboxd, the event delivery daemon.", "outboxctl");
  app.formatter(std::make_shared<HelpFormatter>());  // inherited by the commands
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 ok, 1 failed or partly done, 2 usage, 3 not found, 4 refused, 5 daemon unreachable, 78 "
      "configuration.\n"
      "Start with: outboxctl status");
  app.set_version_flag("--version", "outboxctl " OUTBOXD_VERSION);
  GlobalOptions options;
  Session session(options, tools);
  add_global_options(app, options);
  add_status(app, session);
  add_why(app, session);
  add_failures(app, session);
  add_tail(app, session);
  add_top(app, session);
  add_dashboard(app, session);
  add_event(app, session);
  add_endpoint(app, session);
  add_delivery(app, session);
  add_batch(app, session);
  add_outbox(app, session);
  add_source(app, session);
  add_db(app, session);
  add_doctor(app, session);
  add_config(app, session);
  add_token(app, session);
  add_version(app, session);
  add_listen(app, session);
  add_trigger(app, session);
  add_dev(app, session);
  add_signature(app, session);
  add_help(app, session);
  add_completion(app, session);
  add_man(app, session);
  if (argc > 2 && std::string_view(argv[1]) == "complete" && std::string_view(argv[2]) == "--")
    return with_stdout_written(print_completions(app, session, {argv + 3, argv + argc}));
  return with_stdout_written(run_parsed(app, session, argc, argv));
}

}  // namespace outboxd::ctl
