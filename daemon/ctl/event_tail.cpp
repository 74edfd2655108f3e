#include "ctl/event_tail.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/listing.h"
#include "ctl/terminal.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kInterval = std::chrono::milliseconds(500);
constexpr Millis kReconnect = std::chrono::seconds(1);
constexpr int kShownAtStart = 10;
constexpr int kMaxShownAtOnce = 2000;

std::string line_of(const Json& event, const Style& style) {
  const std::string deliveries = member_text(event, "deliveries");
  const bool unmatched = deliveries == "0";
  const std::string tenant = member_text(event, "tenant"), key = member_text(event, "ordering_key");
  return fitted(member_text(event, "created_at"), 24) + "  " + fitted(member_text(event, "id"), 36) + "  " +
         tinted(unmatched ? "no endpoint" : fitted("to " + deliveries, 11),
                unmatched ? Tint::kWarn : Tint::kPlain, style.color) +
         "  " + escape_control(member_text(event, "type")) +
         (tenant == "-" ? "" : "  of " + escape_control(tenant)) +
         (key == "-" ? "" : "  in order of " + escape_control(key)) + "\n";
}

// The list of events is read from its new end back to what was seen: it needs no memory in the daemon, and goes on
// across a restart.
class EventTail {
 public:
  EventTail(Session& session, const Filters& filters) : session_(session), filters_(filters) {}

  int follow() {
    show(fetch_list(session_.api(), path(), {kShownAtStart, std::nullopt}).rows);
    for (bool told = false;;) {
      if (wait_for_interrupt(told ? kReconnect : kInterval)) return kExitOk;
      try {
        show_new();
        told = false;
      } catch (const Failure& failure) {
        if (failure.exit_code != kExitUnreachable) throw;
        if (!told) session_.note("outboxd cannot be reached, trying again");
        told = true;
      }
    }
  }

 private:
  Path path() const { return filters_.applied_to(Path("/v1/events"), session_.style().now); }

  void show_new() {
    std::vector<Json> unseen;
    ListOptions page{kFirstPage, std::nullopt};
    for (bool done = false; !done;) {
      const Listed listed = fetch_list(session_.api(), path(), page);
      for (const Json& event : listed.rows) {
        done = done || member_text(event, "id") == newest_;
        if (!done) unseen.push_back(event);
      }
      // Without a newest one there was none, so all there are now are new.
      if (!listed.next_cursor.is_string()) break;
      page = {kMaxPage, listed.next_cursor.get<std::string>()};
      if (!done && unseen.size() >= kMaxShownAtOnce) {
        session_.warn("more than " + std::to_string(unseen.size()) +
                      " events came at once: the older ones of them are not shown");
        if (session_.format() == Format::kJsonl) session_.print(render_json({{"dropped", nullptr}}, false));
        break;
      }
    }
    show(std::move(unseen));
  }

  void show(std::vector<Json> newest_first) {
    if (newest_first.empty()) return;
    newest_ = member_text(newest_first.front(), "id");
    std::reverse(newest_first.begin(), newest_first.end());
    const Style style = session_.style();
    std::string text;
    if (style.format == Format::kTable || style.format == Format::kWide) {
      for (const Json& event : newest_first) text += line_of(event, style);
    } else {
      text = render_rows({}, newest_first, nullptr, style);
    }
    session_.print(text);
  }

  static constexpr int kFirstPage = 50;

  Session& session_;
  const Filters& filters_;
  std::string newest_;  // id of the newest event shown
};

}  // namespace

void add_event_tail(CLI::App& event_group, Session& session) {
  CLI::App* command = add_command(event_group, "tail", "Events as they are accepted, until Ctrl-C",
                                  "outboxctl event tail --type order.paid");
  auto filters = std::make_shared<Filters>();
  add_common_filters(command, *filters);
  command->callback([&session, filters] {
    session.action = [&session, filters] {
      if (session.format() == Format::kJson)
        throw Failure(kExitUsage, "--output: tail never ends, so it cannot be one document; use jsonl");
      hold_interrupts();
      return EventTail(session, *filters).follow();
    };
  });
}

}  // namespace outboxd::ctl
