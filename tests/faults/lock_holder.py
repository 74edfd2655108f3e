"""Another process's open transaction, which keeps a daemon from writing."""
import time


class LockHolder:
    def __init__(self, daemon):
        self.lock = daemon.store.lock(20)
        self.since = time.monotonic()

    def release(self):
        self.lock.close()
