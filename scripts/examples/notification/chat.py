#!/usr/bin/env python3
"""Plays a chat service's incoming webhook: a URL that is secret, and messages of a given shape. It knows nothing of outboxd.

    chat.py URL-FILE MESSAGES-FILE
"""
import json
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from receiver import say, serve  # noqa: E402

url_file, messages = sys.argv[1:]
PATH = f"/services/T01/B01/{secrets.token_urlsafe(18)}"


def is_message(body):
    try:
        message = json.loads(body)
    except ValueError:
        return False
    return isinstance(message, dict) and set(message) <= {"text", "blocks"} and isinstance(message.get("text"), str) and message["text"]


def receive(delivery):
    if delivery.path != PATH:
        return 404
    if delivery.headers.get_content_type() != "application/json" or not is_message(delivery.body):
        say(f"chat: this is no message: {delivery.body!r}")
        return 400
    text = json.loads(delivery.body)["text"]
    say(f"chat, #orders: {text}")
    with open(messages, "a") as log:
        log.write(text + "\n")
    return 200


pathlib.Path(messages).touch()
serve(receive, url_file, path=PATH)
