// outboxd(8). Commands, options and exit statuses are the daemon's own; what else there is to tell is the text here.
#include "common/roff.h"
#include "config/flags.h"
#include "ctl/man_page.h"
#include "version.h"

namespace outboxd::ctl {
namespace {

constexpr const char* kDescription = R"(.SH DESCRIPTION
.B outboxd
takes events over HTTP, over a Unix socket, or from rows that producers insert into the table
.I outbox
of its SQLite database, and POSTs each, signed, to the endpoints that subscribed to it. Every attempt is recorded; failures are retried on a
schedule and end as dead letters that
.BR outboxctl (1)
shows and replays.
)";

constexpr const char* kEnd = R"(.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
Stop: take no more events, let attempts under way finish, and exit.
.TP
.B SIGHUP
Reload the sections [ingest], [policy], [retention] and [log], and renewed TLS files; an error keeps the old values.
.SH LOG
Standard error, or the journal. Nothing waits for whoever reads it: of more than 2,048 lines that wait the oldest are dropped, counted in the metric
.IR outbox_log_dropped_total ,
and told of once there is room. A stop waits a second at most for a reader.
.SH FILES THAT ARE TAKEN AWAY
When the database, its \-wal, its \-shm or its .lock is removed, moved or replaced while
.B outboxd
serves it, it acknowledges nothing more and ends with status 70 after it has saved what can be; the last line of its log says what to do. A database that was
removed is copied to
.IR outbox.db.rescued :
rename it. An older copy of the database that is written over it in place
.RI ( cp ,
which keeps the inode) cannot be told from it: stop
.B outboxd
before a backup is restored.
.SH ENVIRONMENT
.B OUTBOXD_\fISECTION\fB__\fIKEY\fR
sets one key of the configuration.
.SH FILES
.I /etc/outboxd/outboxd.toml
(every key with its default and meaning),
.IR /etc/outboxd/conf.d/*.toml ,
.IR /var/lib/outboxd/outbox.db ,
.I /run/outboxd/ingest.sock
(producers),
.I /run/outboxd/admin.sock
(operators).
.SH SEE ALSO
.BR outboxctl (1),
.BR outboxd.toml (5),
.BR outboxd\-operations (7),
.BR outboxd\-runbook (7),
.BR outboxd\-producers (7)
)";

}  // namespace

std::string daemon_man_page() {
  CLI::App app;
  config::Flags flags;
  config::add_flags(app, flags);
  std::string synopsis, commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    synopsis += (synopsis.empty() ? "" : " | ") + command->get_name();
    commands += roff_item(command->get_name(), command->get_description() + '.');
  }
  const std::string_view mark = "Exit status: ";
  std::string statuses = app.get_footer();
  statuses.erase(0, statuses.find(mark) + mark.size());
  return ".TH OUTBOXD 8 \"\" \"outboxd " + roff_text(OUTBOXD_VERSION) + "\" \"System administration\"\n" +
         ".SH NAME\noutboxd \\- deliver events to HTTP subscribers and never lose one\n" +
         ".SH SYNOPSIS\n.B outboxd\n.RI [ options ]\n.RB [ \"" + synopsis + "\" ]\n" + kDescription +
         ".SH COMMANDS\n" + commands + ".SH OPTIONS\n" + man_options(app) + ".SH EXIT STATUS\n" +
         roff_text(statuses) + '\n' + kEnd;
}

}  // namespace outboxd::ctl
