#!/usr/bin/env python3
"""Hands an event to outboxd, in each of its three ways.

    python3 enqueue.py http http://127.0.0.1:8877 42
    python3 enqueue.py unix /run/outboxd/ingest.sock 42
    python3 enqueue.py sql app.db 42
"""
import contextlib
import http.client
import json
import socket
import sqlite3
import sys
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def enqueue(connection, event):
    """Returns when the event is on disk. No answer? Send it again: its key makes that safe."""
    with contextlib.closing(connection):
        connection.request("POST", "/v1/events", json.dumps(event),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status not in (200, 202):
            raise RuntimeError(f"outboxd answered {answer.status}: {text}")
        return json.loads(text)


def pay_order(database, order):
    """The event exists exactly if the order is paid: one transaction."""
    connection = sqlite3.connect(database, timeout=5, isolation_level=None)
    with contextlib.closing(connection) as db:
        db.execute("BEGIN IMMEDIATE")
        with db:  # commits, or rolls back on an exception
            db.execute("UPDATE orders SET state = 'paid' WHERE id = ?", (order,))
            db.execute("INSERT INTO outbox(type, payload) VALUES ('order.paid', ?)",
                       (json.dumps({"order": order, "cents": 1250}),))


def main(way, where, order):
    event = {"type": "order.paid", "payload": {"order": int(order), "cents": 1250},
             "idempotency_key": f"order-{order}-paid"}
    if way == "http":
        address = urllib.parse.urlsplit(where)
        print(enqueue(http.client.HTTPConnection(address.netloc, timeout=10), event)["id"])
    elif way == "unix":
        print(enqueue(UnixConnection(where), event)["id"])
    elif way == "sql":
        pay_order(where, int(order))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
