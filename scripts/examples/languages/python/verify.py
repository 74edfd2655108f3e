#!/usr/bin/env python3
"""Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:

    WEBHOOK_SECRET=whsec_... python3 verify.py WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
"""
import base64
import hashlib
import hmac
import os
import sys
import time

TOLERANCE = 5 * 60


def verify(secret, message_id, timestamp, signatures, body):
    """Raises ValueError unless one of the signatures is by this secret and not old."""
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        raise ValueError("the timestamp is more than 5 minutes off")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    if len(key) < 24:
        raise ValueError("there is no secret")
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    if not any(hmac.compare_digest(expected, one.encode()) for one in signatures.split(" ")):
        raise ValueError("no signature is by this secret")


if __name__ == "__main__":
    try:
        verify(os.environ["WEBHOOK_SECRET"], *sys.argv[1:4], sys.stdin.buffer.read())
        print("verified")
    except ValueError as error:
        sys.exit(f"refused: {error}")
