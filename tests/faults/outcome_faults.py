"""At least once: the daemon is killed while a request is under way, and between the answer and the commit of the outcome."""
import socketserver
import threading
import time

import strace
from framework import fault, wait_until
from harness import PATIENCE, Request
from ledger import Ledger, ask, copy_as_found, payload_of

PROMISE = "at least once, same id"
EVENTS = 10
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"


class Witness:
    """A receiver that knows what it has got and what it has answered. `act(request, send)` answers; the default is a 200."""

    def __init__(self, run):
        self.requests, self.answered = [], []
        self.lock = threading.Lock()
        self.act = lambda request, send: send(GOOD)
        witness = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    while self.rfile.readline():
                        headers = []
                        while (field := self.rfile.readline().rstrip(b"\r\n")):
                            name, _, value = field.decode("latin-1").partition(":")
                            headers.append((name, value.strip()))
                        length = int(dict((n.lower(), v) for n, v in headers).get("content-length", 0))
                        request = Request("/", headers, self.rfile.read(length))
                        with witness.lock:
                            witness.requests.append(request)
                        sent = []
                        witness.act(request, lambda data: (sent.append(data), self.wfile.write(data)))
                        # Answered as the daemon understands it: with the blank line, even if the body is cut off.
                        if b"\r\n\r\n" in b"".join(sent):
                            witness.answered.append(request.id)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        run.closers.append(self.close)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Case:
    """One daemon, EVENTS events, of which the last is the one that meets the fault."""

    def __init__(self, run):
        self.run = run
        self.daemon, self.witness, self.ledger = run.daemon().start(), Witness(run), Ledger()
        self.daemon.endpoint(self.witness.url, retry_schedule=["0s"] + ["20ms"] * 50)
        self.in_hand, self.go_on = threading.Event(), threading.Event()

    def reach(self, then):
        """Until the last event's request is in the receiver's hand, everything is acknowledged, and `then` decides what is answered."""
        last = f"once-{EVENTS - 1}"

        def act(request, send):
            if last.encode() in request.body and not self.in_hand.is_set():
                self.in_hand.set()
                self.go_on.wait(20)
                then(send)
            else:
                send(GOOD)

        self.witness.act = act
        for n in range(EVENTS):
            self.ledger.promise(f"once-{n}", self.daemon.event(payload=payload_of(f"once-{n}"))["id"])
        wait_until(self.in_hand.is_set, "the last request is under way")

    def kill(self):
        self.daemon.kill()

    def judge(self, lie=None, forget=None):
        """After the kill: what the store claims against what the receiver knows, before and after the next start. The controls change
        the store before it is looked at, or after."""
        self.daemon.process.wait()
        if lie:
            self.daemon.sql(lie)
        broken = []
        found = copy_as_found(self.daemon, self.run.folder())
        integrity = ask(found, "PRAGMA integrity_check")
        if integrity != "ok":
            broken.append(f"integrity: {integrity}")
        rows = ask(found, "SELECT 'evt_' || lower(hex(e.id)) FROM event e JOIN delivery d ON d.event = e.seq WHERE d.state = 'delivered'")
        recorded, answered = set(rows.split()), set(self.witness.answered)
        if recorded - answered:
            broken.append(f"marked delivered, and never answered: {recorded - answered}")
        if forget:
            self.daemon.sql(forget)
        before = len(self.witness.requests)
        self.daemon.start()
        broken += self.ledger.broken(self.daemon, [self.witness], 2 if lie else PATIENCE)
        repeated = {r.id for r in self.witness.requests[before:]} & {r.id for r in self.witness.requests[:before]}
        if repeated & recorded:
            broken.append(f"recorded as delivered, and sent again: {repeated & recorded}")
        return broken, len(repeated)


def at_send(case):
    case.reach(lambda send: None)
    case.kill()
    case.go_on.set()


def mid_response(part):
    def do(case):
        sent = threading.Event()
        case.reach(lambda send: (send(part), sent.set(), time.sleep(0.2)))
        case.go_on.set()
        wait_until(sent.is_set, "part of the response is sent")
        case.kill()
    return do


def at_call(name, k):
    def do(case):
        case.reach(lambda send: send(GOOD))
        attached = strace.Attached(case.daemon, [f"{name}:signal=SIGKILL:when={k}"])
        case.go_on.set()
        wait_until(lambda: case.daemon.process.poll() is not None, f"{name} number {k}")
        attached.wait()
    return do


def soon_after(seconds):
    def do(case):
        case.reach(lambda send: send(GOOD))
        case.go_on.set()
        time.sleep(seconds)
        case.kill()
    return do


@fault(PROMISE, "kills at send, mid-response, and before, in and after the commit of the outcome")
def interrupted(run):
    strace.need_strace()
    rounds = 1 if run.quick else 10
    kinds = {"at send": [at_send] * rounds,
             "half a head": [mid_response(GOOD[:n]) for n in ([9, 20] if run.quick else range(1, len(GOOD) - 5))],
             "half a body": [mid_response(GOOD[:-1])] * rounds,
             "outcome not written": [at_call("pwrite64", 1)] * 2 * rounds,  # a commit is one write
             "outcome not synced": [at_call("fdatasync", 1)] * rounds,
             "just after the answer": [soon_after(run.random.uniform(0, 0.006)) for _ in range(3 * rounds)]}
    repeats = 0
    for kind, cases in kinds.items():
        for number, do in enumerate(cases):
            case = Case(run)
            do(case)
            broken, repeated = case.judge()
            repeats += repeated
            run.check(not broken, f"{kind}, case {number}: {broken[:3]}")
            run.cleanup()
    run.figures = f"{repeats} repeats of those under way"
    under_way = "UPDATE delivery SET state = 'delivered', finished_at = 1 WHERE state = 'pending';"
    done = "UPDATE delivery SET state = 'pending', finished_at = NULL, due_at = 1;"
    for how, change, expected in (("one under way marked as delivered", {"lie": under_way}, "never answered"),
                                  ("outcomes forgotten", {"forget": done}, "sent again")):
        case = Case(run)
        at_send(case)
        broken, _ = case.judge(**change)
        run.control(how, any(expected in text for text in broken))
        run.cleanup()
