"""Two PostgreSQL servers of which one confirms what the other commits: the primary dies, the standby takes its place."""
import statistics
import time

from framework import fault, wait_until
from several_daemons import TRUST
from shared_load import IN_FLIGHT, Load, backlog, members, require_postgresql, server, spawn, wait_for_shares

FAILOVER = "several machines: accepted = survives the loss of the database's server"
DETECTED = 1  # seconds until whoever watches the servers promotes the standby
# Seconds of a primary without its standby: longer than a statement may take, after which the server gives up waiting for it and says that
# the commit has succeeded, or than a daemon waits for that.
ALONE = 16
DATABASE = "shop"


class Pair:
    """Two servers; which of them is the primary changes."""

    def __init__(self, run):
        self.primary = server(run, synchronous_standby_names="").create().start()
        self.standby = server(run, synchronous_standby_names="").copy_of(self.primary).start()
        self.servers = [self.primary, self.standby]
        self.primary.new_database(DATABASE)

    def url(self):
        """As every client names it: both servers, and that it wants the one that takes writes."""
        return self.servers[0].url(DATABASE, *self.servers[1:]) + "&target_session_attrs=read-write"

    def confirm(self):
        """From now on the primary waits for its standby with every commit."""
        self.primary.set(synchronous_standby_names="*")
        wait_until(lambda: self.primary.sql("SELECT sync_state FROM pg_stat_replication", "postgres") == "sync",
                   "the standby confirms", 60)

    def take_over(self):
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def repair(self):
        """The one that was lost becomes the standby, from a copy. When it is promoted, it waits for nobody at first."""
        self.standby.settings["synchronous_standby_names"] = ""
        self.standby.copy_of(self.primary).start()


def fail_over(pair, load, receiver):
    """Returns when it began, and after how many seconds events were accepted again, and sent again."""
    began = time.time()
    pair.primary.kill()
    answered, came = len(load.http[0].acknowledged) + 1, len(receiver.requests)  # one may have been on its way to the producer
    time.sleep(DETECTED)
    pair.take_over()
    promoted = time.time()
    wait_until(lambda: len(load.http[0].acknowledged) > answered, "events are accepted again", 60)
    accepted = time.time() - began
    again = wait_until(lambda: [request.at for request in receiver.requests[came:] if request.at > promoted], "something is sent again", 60)
    return began, accepted, again[0] - began


@fault(FAILOVER, "two servers, synchronous: the primary killed, the standby promoted, under load")
def promotions(run):
    require_postgresql()
    pair, receivers = Pair(run), [run.receiver() for _ in range(3)]
    daemons = members(run, [pair.url()] * (2 if run.quick else 3), receivers=receivers)
    pair.confirm()
    load = Load(run, daemons, receivers, keys=6, urls=[pair.url()] * 2)
    accepted, sent = [], []
    for number in range(1 if run.quick else 5):
        load.wait_for_progress(200)
        began, *after = fail_over(pair, load, receivers[0])
        accepted.append(after[0])
        sent.append(after[1])
        wait_for_shares(daemons)
        load.broke(began, began + TRUST + IN_FLIGHT)
        run.check(all(daemon.process.poll() is None for daemon in daemons), f"a daemon ended after promotion {number}")
        if not run.quick:
            pair.repair()
            pair.confirm()
    load.wait_for_progress(100)
    load.end()
    broken = load.broken(60)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.passed(load.count() - 1)
    run.figures = (f"{len(sent)} promotions, each {DETECTED} s after the kill; {load.count()} events acknowledged, {load.repeats()} repeats; "
                   f"after the kill accepted again in {statistics.median(accepted):.1f} s (most {max(accepted):.1f}), sent again in "
                   f"{statistics.median(sent):.1f} s (most {max(sent):.1f})")
    load.claim_one_more()
    run.control("one event more claimed than was acknowledged", load.broken(0))


def lose_both(run, synchronous, alone_for):
    """The standby is lost, the primary goes on alone for a while and is lost too, the standby comes back and is promoted."""
    pair, receivers = Pair(run), [run.receiver() for _ in range(2)]
    daemons = members(run, [pair.url()], receivers=receivers)
    if synchronous:
        pair.confirm()
    load = Load(run, daemons, receivers, keys=4, urls=[pair.url()])
    slow = backlog(run, daemons[0])
    load.wait_for_progress(50)
    alone = time.time()
    pair.standby.kill()
    # It has never been a member: it has no row that its transactions would touch.
    stranger = run.daemon(store=pair.url())
    spawn(stranger)
    load.add("key-stranger", [stranger])
    time.sleep(alone_for)
    pair.primary.kill()
    pair.standby.start()
    pair.take_over()
    load.wait_for_progress(50)
    wait_for_shares([*daemons, stranger])
    load.broke(alone, alone + TRUST + IN_FLIGHT)
    load.end()
    return load, max(request.at for request in slow.requests if request.at < alone + alone_for) - alone


@fault(FAILOVER, "a primary that lost its standby, and is lost then: what the standby did not confirm was not acknowledged")
def unconfirmed(run):
    require_postgresql()
    load, sent = lose_both(run, True, 5 if run.quick else ALONE)
    broken = load.broken(30)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.check(sent < TRUST + IN_FLIGHT, f"something was sent {sent:.1f} s after the standby was lost")
    run.passed(load.count() - 1)
    run.figures = f"{load.count()} events acknowledged, {load.repeats()} repeats; the last one sent {sent:.1f} s after the standby was lost"
    load, _ = lose_both(run, False, 1)
    run.control("an asynchronous standby", any("has not arrived" in text for text in load.broken(5)))
