#include "ctl/man_page.h"

#include <doctest/doctest.h>

#include "common/roff.h"

using namespace outboxd;
using namespace outboxd::ctl;

TEST_CASE("text in a manual page means nothing to roff") {
  CHECK(roff_text(".TH is 'a\\b' --x\n.nf\n'so") == "\\&.TH is 'a\\eb' \\-\\-x\n\\&.nf\n\\&'so");
  CHECK(roff_text("1…2") == "1\\[u2026]2");
}

TEST_CASE("the manual page has every command and option, and nothing that is not for people") {
  CLI::App app("Looks", "outboxctl");
  std::string socket, state;
  std::vector<std::string> ids;
  app.add_option("--socket", socket, "The socket");
  CLI::App* group = app.add_subcommand("delivery", "list, retry")->require_subcommand(1);
  CLI::App* retry =
      group->add_subcommand("retry", "Deliver again")->footer("Example:\n  outboxctl delivery retry dlv_…");
  retry->add_option("ids", ids, "Deliveries")->required();
  retry->add_option("--state", state, "Only those")
      ->check(CLI::IsMember({"dead", "pending"}))
      ->default_str("dead");
  app.add_subcommand("man", "A page")->group("");
  const std::string page = man_page(app);
  for (const char* part :
       {".TH OUTBOXCTL 1", "\\fB\\-\\-socket TEXT\\fR\nThe socket.\n",
        ".SS outboxctl delivery retry\nDeliver again.", "\\fBids...\\fR\nDeliveries; required.",
        "\\fB\\-\\-state TEXT\\fR\nOnly those; one of dead,pending; default dead.",
        ".nf\noutboxctl delivery retry dlv_\\[u2026]\n.fi"}) {
    CAPTURE(part);
    CHECK(page.find(part) != std::string::npos);
  }
  CHECK(page.find("outboxctl man") == std::string::npos);
  CHECK(page.find("\\-\\-help") == std::string::npos);
}
