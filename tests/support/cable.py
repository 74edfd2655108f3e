"""The network between a daemon and its PostgreSQL, which can be cut. A server of a test listens on a Unix socket alone, so
this passes on what comes to another one. What the kernel does for TCP it does too: of a connection that is cut, it tells
the client after a while (tcp_user_timeout, keepalives); the server hears nothing at all."""
import pathlib
import selectors
import socket
import tempfile
import threading
import time

# libpq's name of a socket, in the folder that is its host.
SOCKET = ".s.PGSQL.5432"
NOTICED = 6  # seconds until a client is told


class Cable:
    def __init__(self, server):
        self.server = server
        self.folder = tempfile.TemporaryDirectory(prefix="outboxd-cable.")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(pathlib.Path(self.folder.name) / SOCKET))
        self.listener.listen(64)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.pairs = {}  # each end to the other one
        self.clients = set()
        self.lost = []  # ends of the server's that nobody may close, or it would hear of it
        self.whole = True
        self.cut_at = None
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def url(self, database):
        return self.server.url(database).replace(str(self.server.folder), self.folder.name)

    def cut(self):
        self.whole, self.cut_at = False, time.monotonic()

    def mend(self):
        self.whole = True

    def close(self):
        self.ending = True
        self.thread.join()
        for end in [*self.pairs, *self.lost, self.listener]:
            end.close()
        self.folder.cleanup()

    def run(self):
        while not self.ending:
            if not self.whole:
                if time.monotonic() > self.cut_at + NOTICED:
                    self.tell_clients()
                time.sleep(0.02)
                continue
            for key, _ in self.selector.select(0.05):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj in self.pairs:
                    self.pass_on(key.fileobj)

    def accept(self):
        client = self.listener.accept()[0]
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self.server.folder / SOCKET))
        except OSError:
            return client.close()
        self.clients.add(client)
        for one, other in ((client, server), (server, client)):
            self.pairs[one] = other
            self.selector.register(one, selectors.EVENT_READ)

    def pass_on(self, end):
        try:
            data = end.recv(65536)
            if data:
                return self.pairs[end].sendall(self.on_its_way(end, data))
        except OSError:
            pass
        for one in (end, self.pairs[end]):
            self.forget(one)
            one.close()

    def on_its_way(self, end, data):
        """What `end` has sent, as it is to arrive."""
        return data

    def forget(self, end):
        self.selector.unregister(end)
        self.pairs.pop(end, None)
        self.clients.discard(end)

    def tell_clients(self):
        for client in list(self.clients):
            server = self.pairs[client]
            self.forget(client)
            self.forget(server)
            self.lost.append(server)
            client.close()
