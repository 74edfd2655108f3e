// `top`: how the endpoints are doing, on the whole screen, again and again. Where stdout is no terminal: once.
#include <unistd.h>

#include <cctype>
#include <memory>

#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/listing.h"
#include "ctl/terminal.h"
#include "ctl/top_view.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kInterval = std::chrono::seconds(2);
constexpr int kMaxEndpoints = 1000;
constexpr char kEscape = '\x1b', kBackspace = '\x7f';

struct Snapshot {
  Json status;
  std::vector<Json> endpoints;
};

Snapshot fetch(Session& session) {
  const Path endpoints("/v1/endpoints");
  const ListOptions all{kMaxEndpoints, std::nullopt};
  const Json status = session.api().get("/v1/status");
  try {
    return {status, fetch_list(session.api(), Path(endpoints).with("stats", "true"), all).rows};
  } catch (const Failure& failure) {
    if (failure.exit_code != kExitRefused) throw;
    return {status,
            fetch_list(session.api(), endpoints, all).rows};  // an earlier outboxd, which has no stats there
  }
}

// False: the user wants to leave.
bool take_key(TopState& state, char key) {
  if (key == FullScreen::kInterrupted) return false;
  if (state.typing) {
    if (key == '\n' || key == '\r' || key == kEscape) {
      state.typing = false;
      if (key == kEscape) state.filter.clear();
    } else if (key == kBackspace || key == '\b') {
      if (!state.filter.empty()) state.filter.pop_back();
    } else if (std::isprint(static_cast<unsigned char>(key)) != 0) {
      state.filter += key;
    }
    return true;
  }
  switch (key) {
    case 'b':
      state.order = TopOrder::kBacklog;
      break;
    case 'o':
      state.order = TopOrder::kOldest;
      break;
    case 'e':
      state.order = TopOrder::kErrors;
      break;
    case 'n':
      state.order = TopOrder::kName;
      break;
    case '/':
      state.typing = true;
      break;
    case kEscape:
      state.filter.clear();
      break;
    case 'q':
      return false;
    default:
      break;
  }
  return true;
}

int run_screen(Session& session, Snapshot snapshot) {
  hold_interrupts();
  FullScreen screen;
  TopState state;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  for (MonotonicTime next = now() + kInterval;;) {
    if (now() >= next) {
      try {
        snapshot = fetch(session);
        state.complaint.clear();
      } catch (const Failure& failure) {
        state.complaint = std::string(failure.what()) + " (trying again)";
      }
      next = now() + kInterval;
    }
    const ScreenSize size = screen_size().value_or(ScreenSize{});
    draw(render_top_screen(snapshot.status, snapshot.endpoints, state, session.style(), size.columns,
                           size.lines));
    const auto key = screen.wait_for_key(std::chrono::ceil<Millis>(next - now()));
    if (key && !take_key(state, *key)) return kExitOk;
  }
}

int run_top(Session& session) {
  Snapshot snapshot = fetch(session);
  if (session.format() == Format::kTable && can_draw() && ::isatty(STDIN_FILENO))
    return run_screen(session, std::move(snapshot));
  if (session.prints_table()) {
    session.print(render_top(snapshot.status, snapshot.endpoints, session.style()));
  } else {
    session.print_rows({}, snapshot.endpoints);
  }
  return kExitOk;
}

}  // namespace

void add_top(CLI::App& app, Session& session) {
  CLI::App* command = add_command(
      app, "top",
      "The endpoints on the whole screen, again every 2 seconds: backlog, oldest due, rates, latency, "
      "breaker, "
      "last error. b, o, e and n sort, / filters, Esc shows all, q leaves; without a terminal a table, once",
      "outboxctl top");
  command->group(kLook);
  command->callback([&session] { session.action = [&session] { return run_top(session); }; });
}

}  // namespace outboxd::ctl
