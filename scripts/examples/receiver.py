"""A small HTTP server for the recipes' receivers. One that is given a secret lets only what outboxd has signed with it through."""
import http.server
import pathlib
import sys
import traceback
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).with_name("languages") / "python"))
from verify import verify  # noqa: E402


class Delivery(NamedTuple):
    path: str
    headers: object  # names in any case
    body: bytes

    @property
    def id(self):
        return self.headers.get("webhook-id", "")

    def is_signed_with(self, secret):
        try:
            verify(secret, self.id, self.headers.get("webhook-timestamp", ""), self.headers.get("webhook-signature", ""), self.body)
            return True
        except ValueError as error:
            say(f"refused {self.id}: {error}")
            return False


def say(text):
    print(text, flush=True)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # outboxd has gone: it will come again
            super().handle_error(request, client_address)


def serve(receive, url_file, secret=None, path="/hooks", port=0):
    """Listens on loopback, writes its URL to the file, and answers each delivery with the status that receive(delivery) returns."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self):
            delivery = Delivery(self.path, self.headers, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            try:
                status = 401 if secret and not delivery.is_signed_with(secret) else receive(delivery)
            except Exception:  # whatever it is: not received, so outboxd sends it again
                traceback.print_exc()
                status = 500
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with Server(("127.0.0.1", port), Handler) as server:
        pathlib.Path(url_file).write_text(f"http://127.0.0.1:{server.server_port}{path}\n")
        server.serve_forever()
