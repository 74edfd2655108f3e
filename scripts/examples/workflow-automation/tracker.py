#!/usr/bin/env python3
"""Plays a third party's service that takes webhooks of another sender: it checks X-Hub-Signature-256 and nothing else.

    tracker.py URL-FILE SECRET-FILE ASSIGNMENTS-FILE
"""
import hashlib
import hmac
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from receiver import say, serve  # noqa: E402

url_file, secret_file, assignments = sys.argv[1:]
SECRET = pathlib.Path(secret_file).read_text().strip().encode()


def receive(delivery):
    expected = "sha256=" + hmac.new(SECRET, delivery.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, delivery.headers.get("X-Hub-Signature-256", "")):
        say("tracker: the signature is wrong")
        return 401
    assigned = json.loads(delivery.body)
    say(f"tracker: ticket {assigned['ticket']} is assigned to {assigned['to']}")
    with open(assignments, "a") as log:
        log.write(f"{assigned['ticket']} {assigned['to']}\n")
    return 200


pathlib.Path(assignments).touch()
serve(receive, url_file)
