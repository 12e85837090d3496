"""What the black-box tests share: TAP, temporary directories, the program as a command, as a server and as a stdio peer.

Standard library only. A test is a function handed to `run`; it fails by raising, skips by raising Skip. Nothing sleeps
where an event can be awaited: a server is ready when it has told its address, a peer when it answered. WAIT_S is a bound
for hangs and no measure of speed.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(os.environ.get("CONTEXT_STORE_BIN", ROOT / "build/release/context-store")).resolve())
WAIT_S = 60
REVISION = "2025-11-25"


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def run(*tests):
    """Runs the tests and ends the process: 0 when none failed."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = (test.__doc__ or test.__name__).strip().split("\n")[0]
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:  # a test fails by raising anything
            failed += 1
            print(f"not ok {number} - {name}")
            print(re.sub("^", "# ", traceback.format_exc().rstrip(), flags=re.M), flush=True)
    sys.exit(1 if failed else 0)


def equal(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}{found!r} is not {wanted!r}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text!r}")


@contextlib.contextmanager
def directory():
    """A new directory, removed at the end. Its name is short: socket paths have 108 bytes."""
    path = tempfile.mkdtemp(prefix="cs-")
    try:
        yield path
    finally:
        for root, names, _ in os.walk(path):
            for name in names:
                os.chmod(os.path.join(root, name), 0o700)
        shutil.rmtree(path)


@contextlib.contextmanager
def small_disk(size):
    """A directory on a file system of this size, or Skip."""
    with directory() as path:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False)
        if made.returncode:
            raise Skip("mounting a small file system is not permitted here")
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", path], check=True)


def environment(**changes):
    """A bare environment: nothing of the caller's settings leaks in. A value of None removes a name."""
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
        if name in os.environ:
            kept[name] = os.environ[name]
    kept.update(changes)
    return {name: value for name, value in kept.items() if value is not None}


def command(*words, stdin=b"", env=None):
    """Runs the program to its end; returns (exit code, standard output, standard error)."""
    done = subprocess.run([PROGRAM, *words], input=stdin if isinstance(stdin, bytes) else stdin.encode(),
                          capture_output=True, env=env or environment(), timeout=WAIT_S)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def result(*words, **kwargs):
    """Standard output of a command that must end with 0."""
    code, out, err = command(*words, **kwargs)
    equal(code, 0, f"exit code of {words}, which said {err!r}")
    return out


class Server:
    """`context-store serve` on a port the system chose; ready when the constructor returns."""

    def __init__(self, data_dir, *flags, env=None):
        self.child = subprocess.Popen([PROGRAM, "serve", "--data-dir", data_dir, "--port", "0", *flags],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env or environment())
        self.path = data_dir
        self.said = []
        for line in self.child.stderr:
            self.said.append(line.decode())
            found = re.search(r"http://[^:]+:(\d+)/mcp", self.said[-1])
            if found:
                self.port = int(found.group(1))
                break
        else:
            raise AssertionError(f"serve ended with {self.child.wait()}: {''.join(self.said)}")
        # Standard error is read on, so that the server never waits for a full pipe.
        self.heard = threading.Condition()
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def listen(self):
        for line in self.child.stderr:
            with self.heard:
                self.said.append(line.decode())
                self.heard.notify_all()

    def wait_for(self, text):
        """Waits until the server has said this on standard error."""
        with self.heard:
            if not self.heard.wait_for(lambda: any(text in line for line in self.said), WAIT_S):
                raise AssertionError(f"the server never said {text!r}: {self.said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(WAIT_S)
        self.reader.join(WAIT_S)
        self.child.stdout.close()
        self.child.stderr.close()

    def tool(self, name, **arguments):
        return http_tool(self.port, name, arguments)

    def stop(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        return self.child.wait(WAIT_S)


def http_tool(port, name, arguments):
    """POST /tools/NAME; returns (status, object)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        connection.request("POST", f"/tools/{name}", json.dumps(arguments), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


class Peer:
    """`context-store stdio` as a client drives it: one message a line."""

    def __init__(self, data_dir, *flags, env=None, greet=True):
        words = [PROGRAM, "stdio", *(["--data-dir", data_dir] if data_dir else []), *flags]
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=env or environment())
        self.last_id = 0
        if greet:
            self.greet()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(WAIT_S)
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def send(self, method, params=None, notification=False):
        message = {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})}
        if not notification:
            self.last_id += 1
            message["id"] = self.last_id
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()
        return self.last_id

    def receive(self):
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError(f"the peer ended with {self.child.wait(WAIT_S)}: {self.child.stderr.read().decode()}")
        return json.loads(line)

    def request(self, method, params=None):
        wanted = self.send(method, params)
        while True:
            message = self.receive()
            if message.get("id") == wanted:
                return message

    def greet(self):
        reply = self.request("initialize", {"protocolVersion": REVISION, "capabilities": {},
                                            "clientInfo": {"name": "blackbox", "version": "1"}})
        self.send("notifications/initialized", notification=True)
        return reply

    def tool(self, name, **arguments):
        reply = self.request("tools/call", {"name": name, "arguments": arguments})
        if "result" not in reply:
            raise AssertionError(f"{name} gave {reply}")
        return reply["result"]["structuredContent"]

    def end_input(self):
        """Closes standard input; returns the exit code."""
        self.child.stdin.close()
        return self.child.wait(WAIT_S)


def owner_of(data_dir):
    """The pid in owner.lock, or None where it says nothing."""
    try:
        found = re.search(r"^pid (\d+)$", pathlib.Path(data_dir, "owner.lock").read_text(), re.M)
    except FileNotFoundError:
        return None
    return int(found.group(1)) if found else None


def taken_port():
    """A listening socket on a port of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, listener.getsockname()[1]
