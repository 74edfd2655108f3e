"""A database of a few thousand events to be damaged, with every kind of page in it, and what was put in."""
import json
import pathlib
import sqlite3
import struct

PAGE = 4096


class Specimen:
    """Stopped cleanly: everything is in the one file. Half of the events are delivered, half wait for a paused endpoint."""

    def __init__(self, run, events):
        self.run = run
        self.receiver = run.receiver()
        daemon = run.daemon().start()
        daemon.endpoint(self.receiver.url, types=["sent.*"])
        self.paused = daemon.endpoint(self.receiver.url, types=["kept.*"])["id"]
        daemon.post(f"/v1/endpoints/{self.paused}/pause", {})
        self.payloads = {}
        for start in range(0, events, 100):
            batch = [{"type": "sent.one" if n % 2 else "kept.one", "payload": self.payload(n), "idempotency_key": f"key-{n}"}
                     for n in range(start, start + 100)]
            answer = daemon.post("/v1/events", batch)
            assert answer.status == 202, answer
            for row, event in zip(answer.json["data"], batch):
                self.payloads[row["id"]] = json.dumps(event["payload"]).encode()
        self.receiver.wait_for(events // 2)
        daemon.wait_for_state("delivered", events // 2)
        assert daemon.stop() == 0, daemon.log()
        self.leave_free_pages(daemon.database)
        self.path = daemon.database
        self.bytes = self.path.read_bytes()
        self.pages = self.kinds_of_pages()

    @staticmethod
    def payload(n):
        return {"n": n, "text": "overflow " * 2000 if n % 50 == 0 else "leaf " * 20}

    @staticmethod
    def leave_free_pages(database):
        """As a SQL producer does that deletes rejected rows it has read."""
        connection = sqlite3.connect(database)
        connection.executemany("INSERT INTO outbox(type, payload) VALUES ('a.b', ?)", [(json.dumps("free" * 500),)] * 200)
        connection.execute("UPDATE outbox SET rejected = 'x'")
        connection.commit()
        connection.execute("DELETE FROM outbox")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def kinds_of_pages(self):
        """Kind of page -> page numbers. The pages of `delivery`, a table WITHOUT ROWID, are those of an index to SQLite."""
        kinds = {"header": [1], "schema": [1]}
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        indexed = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' OR sql LIKE '%WITHOUT ROWID%'")}
        names = {"leaf": "leaf", "internal": "interior", "overflow": "overflow"}
        for name, page, pagetype in connection.execute("SELECT name, pageno, pagetype FROM dbstat WHERE pageno > 1"):
            kind = "overflow" if pagetype == "overflow" else ("index " if name in indexed else "table ") + names[pagetype]
            kinds.setdefault("schema" if name == "sqlite_schema" else kind, []).append(page)
        connection.close()
        for suffix in ("-wal", "-shm"):
            pathlib.Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        kinds["freelist"] = self.free_pages()
        kinds["pointer map"] = list(range(2, len(self.bytes) // PAGE + 1, PAGE // 5 + 1))
        return kinds

    def free_pages(self):
        found, trunk = [], struct.unpack_from(">I", self.bytes, 32)[0]
        while trunk:
            at = (trunk - 1) * PAGE
            following, count = struct.unpack_from(">II", self.bytes, at)
            found += [trunk, *struct.unpack_from(f">{count}I", self.bytes, at + 8)]
            trunk = following
        return found

    def copy(self, content=None):
        """A daemon on a copy of the specimen, or on these bytes in its place."""
        daemon = self.run.daemon()
        daemon.database.write_bytes(self.bytes if content is None else content)
        daemon.database.chmod(0o660)
        return daemon

    def flipped(self, kind, bits, random):
        """The specimen with so many bits of one page of this kind flipped."""
        damaged = bytearray(self.bytes)
        start = (random.choice(self.pages[kind]) - 1) * PAGE
        low, high = (0, 100) if kind == "header" else (100, PAGE) if kind == "schema" else (0, PAGE)
        if kind != "header" and random.random() < 0.5:
            high = low + 100  # half of them where the page's structure is, not its content
        for _ in range(bits):
            damaged[start + random.randrange(low, high)] ^= 1 << random.randrange(8)
        return bytes(damaged)


def integrity_of(folder, content):
    """What SQLite itself says of these bytes, on a copy: 'ok' or what is wrong."""
    path = pathlib.Path(folder) / "judged.db"
    path.write_bytes(content)
    connection = sqlite3.connect(path)
    connection.text_factory = lambda text: text.decode(errors="replace")  # what it quotes may be damaged
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    except (sqlite3.Error, ValueError) as error:
        return str(error)
    finally:
        connection.close()
        for leftover in path.parent.glob("judged.db*"):
            leftover.unlink()
