#!/usr/bin/env python3
"""Assigns urgent tickets: a delivery comes in, a decision goes out, as an event of its own.

    assigner.py URL-FILE SECRET-FILE INGEST-SOCKET
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from receiver import say, serve  # noqa: E402
from enqueue import UnixConnection, enqueue  # noqa: E402

url_file, secret_file, ingest_socket = sys.argv[1:]
ON_CALL = {"network": "noor", "billing": "bela"}
FAILED = set()


def receive(delivery):
    ticket = json.loads(delivery.body)
    # The same ticket has to give the same decision, or its second event would differ from its first.
    assigned = {"ticket": ticket["id"], "to": ON_CALL.get(ticket["area"], "duty-manager")}
    answer = enqueue(UnixConnection(ingest_socket), {
        "type": "ticket.assigned",
        "payload": assigned,
        # From the id of what came in: however often that comes, one event goes out.
        "idempotency_key": f"assign-{delivery.id}",
    })
    say(f"assigner: ticket {ticket['id']} is for {assigned['to']}" + (" (said before: no second event)" if answer["duplicate"] else ""))
    # Only for the demo: the first time it fails when all is done, so that outboxd has to send the ticket again.
    if not FAILED:
        FAILED.add(delivery.id)
        say("assigner: fails before it can answer")
        return 500
    return 200


serve(receive, url_file, pathlib.Path(secret_file).read_text().strip())
