#!/usr/bin/env python3
"""A mail server (SMTP, RFC 5321) that keeps every mail as a file. Like many, it sends a sender it has not seen before away once.

    mail_server.py PORT-FILE MAILS-FOLDER
"""
import itertools
import pathlib
import socketserver
import sys

port_file, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
NUMBERS = itertools.count(1)
KNOWN = set()


class Session(socketserver.StreamRequestHandler):
    timeout = 60

    def reply(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        sender = ""
        self.reply("220 mail.example ready")
        while line := self.rfile.readline(1000):
            command, _, argument = line.decode(errors="replace").strip().partition(" ")
            command = command.upper()
            if command in ("HELO", "EHLO"):
                self.reply("250 mail.example")
            elif command == "MAIL":
                sender = argument
                self.reply("250 ok")
            elif command == "RCPT" and sender not in KNOWN:
                KNOWN.add(sender)
                self.reply("450 greylisted, come back later")
            elif command == "DATA":
                self.reply("354 end with a dot")
                self.keep()
                self.reply("250 kept")
            elif command == "QUIT":
                self.reply("221 bye")
                return
            else:
                self.reply("250 ok" if command in ("RCPT", "RSET", "NOOP") else "500 unknown command")

    def keep(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        name = folder / f"{next(NUMBERS)}.eml"
        part = name.with_suffix(".part")
        part.write_bytes(b"".join(lines).replace(b"\r\n", b"\n"))
        part.rename(name)  # a mail is there when all of it is


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


folder.mkdir()
with Server(("127.0.0.1", 0), Session) as server:
    port_file.write_text(f"{server.server_address[1]}\n")
    server.serve_forever()
