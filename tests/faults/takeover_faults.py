"""Several daemons over one PostgreSQL database: what happens to one of them does not stop what it was sending, nor lose it."""
import signal
import statistics
import time

from framework import Skip, fault, wait_until
from harness import PATIENCE
from shared_load import IN_FLIGHT, Load, backlog, members, require_postgresql, serve, server, wait_for_shares
from several_daemons import PARTITIONS, TAKEOVER, TRUST, partitions_of

import network

TAKEN_OVER = "several machines: what a daemon was sending goes on within 15 s"
DATABASE = "shop"
EVERY = 10          # seconds from one strike to the next
KILLED_FOR = 5      # until it is started again
STOPPED_FOR = 18    # until SIGCONT: longer than a takeover takes


def name_of(daemon):
    return daemon.settings[0].partition("=")[2]


class Strikes:
    """Kills or stops one of the daemons that run, again and again, and lets it come back."""

    def __init__(self, run, daemons, load):
        self.run, self.daemons, self.load = run, daemons, load
        self.back = {}  # daemon: (when, what brings it back)
        self.struck = []  # when, by time.time()

    def strike(self, how):
        victim = self.choose()
        at = time.time()
        victim.process.send_signal(how)
        self.load.broke(at, at + IN_FLIGHT)
        self.struck.append(at)
        if how == signal.SIGKILL:
            victim.process.wait()
            self.back[victim] = (at + KILLED_FOR, victim.start)
        else:
            self.back[victim] = (at + STOPPED_FOR, lambda: victim.process.send_signal(signal.SIGCONT))

    def choose(self):
        """One that is sending, if any: somebody has to take something over."""
        now, there = time.time(), [daemon for daemon in self.daemons if daemon not in self.back]
        sending = [daemon for daemon in there if any(sent_by(receiver, name_of(daemon), now - 1) for receiver in self.load.receivers)]
        return self.run.random.choice(sending or there)

    def wait(self, until):
        """Brings back whoever's time has come by then."""
        while time.time() < until:
            for daemon, (when, bring) in list(self.back.items()):
                if when <= time.time():
                    del self.back[daemon]
                    bring()
            time.sleep(0.05)

    def run_for(self, seconds, kinds):
        """Each kind once, then at random."""
        end = time.time() + seconds
        while time.time() < end:
            self.strike(kinds[len(self.struck)] if len(self.struck) < len(kinds) else self.run.random.choice(kinds))
            self.wait(self.struck[-1] + EVERY)
        self.wait(max([when for when, _ in self.back.values()], default=0) + 1)


def takeovers(receivers, struck):
    """Seconds from a strike to the first that its endpoint was sent by somebody else, for each endpoint that was taken over so.
    Where the next one was struck too before it had sent anything, from then on."""
    found = []
    for receiver in receivers:
        with receiver.lock:
            came = sorted((request.at, request.headers["user-agent"]) for request in receiver.requests)
        for (before, who), (after, other) in zip(came, came[1:]):
            between = [at for at in struck if before - IN_FLIGHT <= at <= after]
            if who != other and between and after - before > 1:
                found.append(after - between[-1])
    return found


@fault(TAKEN_OVER, "three daemons, a random one killed or stopped every 10 s, under load")
def strikes(run):
    require_postgresql()
    shared, receivers = server(run).create().start(), [run.receiver() for _ in range(4)]
    url = shared.url(shared.new_database(DATABASE))
    daemons = members(run, [url] * 3, receivers=receivers)
    load = Load(run, daemons, receivers, keys=6, urls=[url], pause=0.1)
    load.wait_for_progress(50)
    all_strikes = Strikes(run, daemons, load)
    all_strikes.run_for(EVERY * 2 if run.quick else 600, [signal.SIGSTOP, signal.SIGKILL])
    run.check(all(daemon.process.poll() is None for daemon in daemons), "a daemon has ended by itself")
    wait_for_shares(daemons)
    load.wait_for_progress(50)
    load.end()
    broken = load.broken(TAKEOVER + PATIENCE)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.passed(load.count() - 1)
    taken = takeovers(receivers, all_strikes.struck)
    run.check(taken and max(taken) < TAKEOVER, f"takeovers took {sorted(taken)[-3:]} s")
    run.figures = (f"{len(all_strikes.struck)} strikes; {load.count()} events acknowledged, {load.repeats()} repeats; an endpoint taken "
                   f"over {len(taken)} times, in {statistics.median(taken or [0]):.1f} s (median), at most {max(taken, default=0):.1f} s")
    load.claim_one_more()
    run.control("one event more claimed than was acknowledged", load.broken(0))


class FarDaemon:
    """A daemon on a machine of its own: one cable to the database, another to the receiver."""

    def __init__(self, run):
        try:
            self.namespace = network.Namespace()
            run.closers.append(self.namespace.close)
            self.to_database, self.to_receiver = network.Wire(self.namespace), network.Wire(self.namespace)
        except OSError as error:
            raise Skip(f"this machine does not permit network namespaces: {error}") from error
        run.closers += [self.to_database.close, self.to_receiver.close]

    def place(self, daemon):
        """Before its start."""
        near = daemon.command()
        daemon.command = lambda: self.namespace.command(near)
        return daemon


def sent_by(receiver, who, since):
    with receiver.lock:
        return [request.at - since for request in receiver.requests if request.headers["user-agent"] == who and request.at > since]


@fault(TAKEN_OVER, "a daemon whose network to the database is cut for 30 s, in a namespace of its own")
def cut_network(run):
    require_postgresql()
    far = FarDaemon(run)
    shared = server(run, listen_addresses=far.to_database.here).create()
    shared.trust(far.to_database.network)
    shared.start()
    shared.new_database(DATABASE)
    receivers = [run.receiver(host=far.to_receiver.here) for _ in range(8)]
    settings = ["policy.allow_networks=127.0.0.0/8,198.18.0.0/15"]
    near = run.daemon("delivery.user_agent=near", *settings, store=shared.url(DATABASE))
    cut = far.place(run.daemon("delivery.user_agent=far", *settings, store=shared.url(DATABASE, host=far.to_database.here)))
    serve([near, cut], receivers)
    slow = backlog(run, near, host=far.to_receiver.here)
    load = Load(run, [near, cut], receivers, keys=4, urls=[shared.url(DATABASE)], pause=0.1)
    load.wait_for_progress(200)
    control = time.time()
    wait_until(lambda: max(sent_by(slow, "far", control), default=0) > TRUST + 1, "who is not cut off goes on sending")
    run.control("a daemon that is not cut off", max(sent_by(slow, "far", control)) > TRUST + 0.5)

    at = time.time()
    far.to_database.cut()
    wait_until(lambda: partitions_of(near) == PARTITIONS, "the other one owns all", 2 * TAKEOVER)
    taken = time.time() - at
    while time.time() < at + (10 if run.quick else 30):
        time.sleep(0.1)
    load.broke(at, at + TRUST + IN_FLIGHT)
    last = max(max(sent_by(receiver, "far", at), default=0) for receiver in [*receivers, slow])
    run.check(last < TRUST + IN_FLIGHT, f"the one that was cut off has sent something new {last:.1f} s after the cut")
    run.check(taken < TAKEOVER, f"its partitions were taken over after {taken:.1f} s")
    resumed = [min((when for when in sent_by(receiver, "near", at + TRUST)), default=99) + TRUST for receiver in receivers]
    run.check(max(resumed) < TAKEOVER, f"an endpoint was sent nothing for {max(resumed):.1f} s")
    run.check(cut.process.poll() is None, "it ended")
    mended = time.time()
    far.to_database.mend()
    wait_for_shares([near, cut])
    again = time.time() - mended
    load.wait_for_progress(50)
    load.end()
    broken = load.broken(PATIENCE)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.passed(load.count() - 1)
    run.figures = (f"last sent {last:.1f} s after the cut, taken over in {taken:.1f} s, its share again {again:.1f} s after the mend; "
                   f"{load.count()} events acknowledged, {load.repeats()} repeats")
