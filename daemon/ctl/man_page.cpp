#include "ctl/man_page.h"

#include <vector>

#include "common/roff.h"
#include "version.h"

namespace outboxd::ctl {
namespace {

constexpr const char* kIntroduction = R"(.SH DESCRIPTION
A client of the API of
.BR outboxd (8),
over its admin socket or over TCP. Without a command it says what there is;
.B outboxctl status
is where to begin,
.B outboxctl why
says what holds something and which command helps. An endpoint is called by its name, its id, or the beginning of its id. Data goes to
standard output, messages to standard error. A table fits its terminal; \fB\-o wide\fR has every column.
)";

constexpr const char* kEnd = R"(.SH EXIT STATUS
0 ok; 1 failed, or failed in part, or its answer could not be written; 2 usage; 3 not found; 4 refused; 5 the daemon cannot be reached;
78 configuration.
.SH SEE ALSO
.BR outboxd (8),
.BR outboxd.toml (5),
.BR outboxd\-runbook (7),
.BR outboxd\-endpoints (7),
.BR outboxd\-reference (7)
)";

// "--state STATE", "-o, --output FORMAT", "id...".
std::string term_of(const CLI::Option& option) {
  std::string type = option.get_type_name();
  if (const auto colon = type.find_first_of(":{"); colon != type.npos) type.erase(colon);
  const bool many = option.get_items_expected_max() > 1;
  if (option.get_positional()) return option.get_single_name() + (many ? "..." : "");
  std::string term;
  for (const std::string& name : option.get_snames()) term += (term.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) term += (term.empty() ? "--" : ", --") + name;
  return type.empty() || option.get_items_expected_max() == 0 ? term : term + ' ' + type;
}

std::string meaning_of(const CLI::Option& option) {
  std::string meaning = option.get_description();
  const std::string type = option.get_type_name();
  const std::size_t begin = type.find('{'), end = type.rfind('}');
  if (begin != type.npos && end != type.npos && begin < end)
    meaning += (meaning.empty() ? "One of " : "; one of ") + type.substr(begin + 1, end - begin - 1);
  if (!option.get_default_str().empty()) meaning += "; default " + option.get_default_str();
  if (option.get_required()) meaning += "; required";
  return meaning + '.';
}

std::string first_line_after_example(const std::string& footer) {
  const std::string_view mark = "Example:\n  ";
  const auto at = footer.find(mark);
  return at == footer.npos ? std::string() : footer.substr(at + mark.size());
}

void write_commands(const CLI::App& app, const std::string& name, std::string& out) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty() && app.get_parent() == nullptr)
      continue;  // for programs, not for people
    const std::string full = name + ' ' + command->get_name();
    if (command->get_require_subcommand_min() > 0) {
      write_commands(*command, full, out);
      continue;
    }
    out += ".SS " + roff_text(full) + '\n' + roff_text(command->get_description()) + ".\n" +
           man_options(*command);
    if (const std::string example = first_line_after_example(command->get_footer()); !example.empty())
      out += ".PP\nExample:\n.PP\n.RS\n.nf\n" + roff_text(example) + "\n.fi\n.RE\n";
  }
}

}  // namespace

std::string man_options(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : app.get_options()) {
    if (option->check_name("--help")) continue;
    out += roff_item(term_of(*option), meaning_of(*option));
  }
  return out;
}

std::string man_page(const CLI::App& app) {
  std::string out = ".TH OUTBOXCTL 1 \"\" \"outboxd " + roff_text(OUTBOXD_VERSION) + "\" \"User commands\"\n";
  out += ".SH NAME\noutboxctl \\- look into outboxd, and mend what is stuck\n";
  out += ".SH SYNOPSIS\n.B outboxctl\n.RI [ options ]\n.I command\n.RI [ arguments ]\n";
  out += kIntroduction;
  out += ".SH OPTIONS\nThey may stand anywhere on the line.\n" + man_options(app);
  out += ".SH COMMANDS\n";
  write_commands(app, "outboxctl", out);
  return out + kEnd;
}

}  // namespace outboxd::ctl
