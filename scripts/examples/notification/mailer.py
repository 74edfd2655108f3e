#!/usr/bin/env python3
"""Mails a customer that the order is paid: a delivery is verified, and handed to the mail server before it is answered.

    mailer.py URL-FILE SECRET-FILE SMTP-PORT
"""
import email.message
import json
import pathlib
import smtplib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from receiver import say, serve  # noqa: E402

url_file, secret_file, smtp_port = sys.argv[1:]
SENT = set()  # of ids; yours are in your database, so that a restart does not forget them
LOCK = threading.Lock()


def mail_for(delivery):
    order = json.loads(delivery.body)
    mail = email.message.EmailMessage()
    mail["From"] = "Shop <orders@shop.example>"
    mail["To"] = order["customer"]["email"]
    mail["Subject"] = f"Your order {order['id']} is paid"
    # The same in every attempt: where two mails go out after all, mail servers and programs can tell.
    mail["Message-ID"] = f"<{delivery.id}@shop.example>"
    mail.set_content(f"Dear {order['customer']['name']},\n\nwe have received {order['total']:.2f} {order['currency']}. Thank you.\n")
    return mail


def receive(delivery):
    with LOCK:  # one at a time, so that a repeat finds what the first one did
        if delivery.id in SENT:
            return 200
        try:
            with smtplib.SMTP("127.0.0.1", int(smtp_port), timeout=10) as server:
                server.send_message(mail_for(delivery))
        except (smtplib.SMTPException, OSError) as error:
            say(f"mailer: not sent, outboxd will try again: {error}")
            return 503
        SENT.add(delivery.id)
        return 200


serve(receive, url_file, pathlib.Path(secret_file).read_text().strip())
