"""A network of a test's own, between this machine's and a namespace in which a process runs: cables that can be cut."""
import itertools
import os
import subprocess

# Of RFC 2544: for tests of networks, and routed nowhere else. Each cable has a /30 of its own.
NET = "198.18"
NUMBERS = itertools.count()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def ip(*arguments, namespace=None):
    run("ip", *(["-n", namespace] if namespace else []), *arguments)


class Namespace:
    """A machine as far as its network goes. Unix sockets are reached from it as from anywhere else."""

    def __init__(self):
        """Throws OSError where this is not permitted."""
        self.name = f"outboxd-{os.getpid()}-{next(NUMBERS)}"
        try:
            ip("netns", "add", self.name)
            ip("link", "set", "lo", "up", namespace=self.name)
        except OSError:
            self.close()
            raise

    def command(self, command):
        return ["ip", "netns", "exec", self.name, *command]

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


class Wire:
    """From here to a namespace, over a switch that can stop passing anything on. It has an address at each end."""

    def __init__(self, namespace):
        number = next(NUMBERS) % 64
        third = os.getpid() % 256
        self.here, self.there = (f"{NET}.{third}.{number * 4 + end}" for end in (1, 2))
        self.network = f"{NET}.{third}.{number * 4}/30"
        self.switch, self.port, far = (f"ob{kind}{os.getpid()}-{number}" for kind in ("s", "p", "f"))
        try:
            ip("link", "add", self.switch, "type", "bridge")
            ip("link", "add", self.port, "type", "veth", "peer", "name", far, "netns", namespace.name)
            ip("link", "set", self.port, "master", self.switch)
            ip("addr", "add", f"{self.here}/30", "dev", self.switch)
            ip("link", "set", self.port, "up")
            ip("link", "set", self.switch, "up")
            ip("addr", "add", f"{self.there}/30", "dev", far, namespace=namespace.name)
            ip("link", "set", far, "up", namespace=namespace.name)
        except OSError:
            self.close()
            raise

    def cut(self):
        """What is sent is lost from now on, and no end is told anything: neither of its connections nor of its link."""
        run("bridge", "link", "set", "dev", self.port, "state", "0")

    def mend(self):
        run("bridge", "link", "set", "dev", self.port, "state", "3")

    def close(self):
        for device in (self.port, self.switch):
            subprocess.run(["ip", "link", "del", device], capture_output=True, check=False)
