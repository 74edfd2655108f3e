// `dashboard`: the daemon's pages for whoever may use its socket, without an account.
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>

#include "ctl/commands.h"
#include "ctl/dashboard_proxy.h"
#include "ctl/interrupt.h"

namespace outboxd::ctl {
namespace {

struct Options {
  int port = 0;
  bool no_open = false;
};

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

bool has_desktop() {
  return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
}

// Starts the desktop's browser. It is not this program's: it keeps its own signals and outlives it,
// and what it prints is nobody's data.
void open_in_browser(const std::string& link) {
  std::signal(SIGCHLD, SIG_IGN);  // the kernel forgets it when it ends
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGCHLD);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  std::string program = "xdg-open", argument = link;
  char* const arguments[] = {program.data(), argument.data(), nullptr};
  pid_t child = 0;
  // Without xdg-open the link that was printed is enough.
  (void)posix_spawnp(&child, program.c_str(), &files, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
}

int run_dashboard(Session& session, const Options& options) {
  hold_interrupts();
  Session::require_stdout();
  require_dashboard(session.api());
  const bool opens = !options.no_open && has_desktop();
  DashboardProxy proxy(session.api().options(), options.port,
                       opens ? DashboardProxy::LinkFor::kOwnUser : DashboardProxy::LinkFor::kAnybody);
  proxy.start();
  if (session.prints_json()) {
    session.print(render_json({{"url", proxy.link()}}, session.format() == Format::kJson));
  } else {
    session.print(proxy.link() + "\n");
  }
  session.note("the link works once, and lets one browser in for as long as this runs; Ctrl-C ends it");
  if (opens) open_in_browser(proxy.link());
  wait_for_interrupt();
  std::_Exit(kExitOk);  // idle connections and streams would hold up an orderly end
}

}  // namespace

void add_dashboard(CLI::App& app, Session& session) {
  CLI::App* command = add_command(
      app, "dashboard",
      "The daemon's dashboard in a browser of this machine, without an account, until Ctrl-C: prints a link "
      "that works once, and opens it where there is a desktop",
      "outboxctl dashboard\n  ssh -L 8878:127.0.0.1:8878 HOST outboxctl dashboard --port 8878");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_option("--port", o->port, "Where to listen on 127.0.0.1; 0 is any free port")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->add_flag("--no-open", o->no_open, "Only print the link");
  command->callback([&session, o] { session.action = [&session, o] { return run_dashboard(session, *o); }; });
}

}  // namespace outboxd::ctl
