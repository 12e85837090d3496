"""A server attacked through raw sockets: bytes as they are, replies read strictly, memory looked at, and what must hold afterwards.

`standing` is the frame of nearly every attack: a server that holds a context and a key; behind the attack the same process
must still answer, have both, and end with 0 when asked to.
"""
import contextlib
import json
import pathlib
import socket
import time

from blackbox import PROGRAM, WAIT_S, Server, directory, equal

KEPT = {"agent_id": "kept", "key": "k", "content": "stored before the attack", "prefix": "memory"}
CONTEXT = {"id": "kept", "type": "decision", "content": {"title": "Before", "text": "a heron stood before the attack"}}

SANITIZED = any(name in pathlib.Path(PROGRAM).read_bytes() for name in (b"__asan_init", b"__tsan_init"))


def request(method, target, body=b"", version="1.1", **headers):
    """The bytes of a request. Header names have _ for -; a value of None leaves one out."""
    given = {"Host": "127.0.0.1", **({"Content-Type": "application/json", "Content-Length": len(body)} if body else {})}
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in given.items() if value is not None)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def call(tool, arguments, **headers):
    """The bytes of POST /tools/TOOL; arguments are bytes or an object."""
    body = arguments if isinstance(arguments, bytes) else json.dumps(arguments).encode()
    return request("POST", f"/tools/{tool}", body, **headers)


LIVE = request("GET", "/health/live")


class Reply:
    """Status, headers by lower-case name, body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Wire:
    """One connection, byte by byte. `received` bounds the receive buffer, so that a client that does not read is felt soon."""

    def __init__(self, port, received=None):
        self.socket = socket.socket()
        if received:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def try_send(self, data):
        """For what the server may refuse while it is on its way."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)
        return self

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self, head_only=False):
        """The next reply, or None at the end of the stream. What comes must be HTTP/1.1 with a length."""
        line = self.file.readline()
        if not line:
            return None
        version, status, _ = line.decode().split(" ", 2)
        equal(version, "HTTP/1.1")
        headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, value = line.decode().rstrip("\r\n").split(": ", 1)
            headers[name.lower()] = value
        empty = head_only or int(status) < 200 or status == "204"
        length = 0 if empty else int(headers["content-length"])
        body = self.file.read(length)
        equal(len(body), length, "bytes of the body")
        return Reply(int(status), headers, body)

    def closed(self):
        """Waits for the end of the stream; true if nothing came before it."""
        try:
            return self.file.read() == b""
        except ConnectionError:
            return True


def ask(port, data):
    """One request on a connection of its own."""
    with Wire(port) as wire:
        return wire.send(data).reply()


def refused(port, data, status):
    """The bytes get this status with a JSON error, and nothing behind them is answered: the connection is over."""
    with Wire(port) as wire:
        found = wire.try_send(data).reply()
        if not found:
            raise AssertionError(f"no answer to {data[:200]!r}")
        equal(found.status, status, f"{data[:200]!r} gave {found.body!r}")
        equal("error" in found.json(), True, str(found.body))
        equal(found.headers.get("connection"), "close", f"of {data[:200]!r}")
        equal(wire.closed(), True, f"closed behind {data[:200]!r}")
    return found


def memory_kb(pid, field="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(f"no {field}")


@contextlib.contextmanager
def bounded(server, megabytes):
    """The server's resident memory grows by no more than this at its highest."""
    pid = server.child.pid
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")  # the high-water mark starts anew
    before = memory_kb(pid)
    yield
    grown = (memory_kb(pid, "VmHWM") - before) / 1024
    print(f"# memory grew by {grown:.1f} MB of {megabytes} MB allowed", flush=True)
    if SANITIZED:
        print("# not judged: a sanitizer keeps what is freed", flush=True)
    elif grown > megabytes:
        raise AssertionError(f"memory grew by {grown:.1f} MB, more than {megabytes} MB")


def metric(port, name):
    """The sum of a metric's series."""
    reply = ask(port, request("GET", "/metrics"))
    if reply is None:
        raise ConnectionError("no answer")
    lines = reply.body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))


def eventually(what, condition):
    """Waits for something the server does in its own time and tells nobody. A full server may reset who comes to look."""
    until = time.monotonic() + WAIT_S
    while True:
        why = ""
        try:
            if condition():
                return
        except ConnectionError as reset:
            why = f": {reset}"
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come about in {WAIT_S} s{why}")
        time.sleep(0.02)


def connections(port, count):
    """Waits until so many connections are open, the one that asks left out."""
    eventually(f"a count of {count} connections", lambda: metric(port, "mcp_concurrent_connections") == count + 1)


def plant(server):
    """Stores what `kept` looks for."""
    equal(server.tool("update_scratchpad", **KEPT)[0], 200)
    equal(server.tool("store_context", **CONTEXT)[0], 200)


def kept(server):
    """The server answers, and has what it had."""
    status, found = server.tool("get_agent_state", agent_id="kept", key="k", prefix="memory")
    equal((status, found["data"].get("content")), (200, KEPT["content"]))
    status, found = server.tool("retrieve_context", query="heron", search_mode="text")
    equal((status, [hit["id"] for hit in found["results"]]), (200, ["kept"]))


@contextlib.contextmanager
def standing(*flags, env=None):
    with directory() as path, Server(path, *flags, env=env) as server:
        plant(server)
        yield server
        equal(server.child.poll(), None, "the server's exit code during the attack")
        kept(server)
        equal(server.stop(), 0, "exit code")
