#!/usr/bin/env python3
"""One owner per data directory: who holds it, who forwards, who takes over."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import socket
import subprocess
import threading

from blackbox import (PROGRAM, WAIT_S, Peer, Server, command, contains, directory, environment, equal, owner_of, result, run)


def second_serve():
    """a second serve says who holds the directory, since when, and ends with 1; the first goes on"""
    with directory() as path, Server(path) as server:
        code, out, err = command("serve", "--data-dir", path, "--port", "0")
        equal((code, out), (1, ""))
        contains(err, f"process {server.child.pid} (context-store serve at http://127.0.0.1:{server.port}, since 20")
        contains(err, "--data-dir")
        equal(server.tool("update_scratchpad", agent_id="a", key="k", content="still here")[0], 200)


def stdio_forwards_to_serve():
    """a stdio process on a served directory shares its store"""
    with directory() as path, Server(path) as server, Peer(path) as peer:
        equal(peer.tool("update_scratchpad", agent_id="a", key="k", content="from stdio")["success"], True)
        status, found = server.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")
        equal((status, found["data"]["content"]), (200, "from stdio"))
        equal(owner_of(path), server.child.pid)


def two_editors():
    """two stdio processes share one store: what one had acknowledged the other sees"""
    with directory() as path, Peer(path) as first, Peer(path) as second:
        stored = first.tool("store_context", type="decision", content={"title": "Shared", "text": "two editors, one store"})
        equal(owner_of(path), first.child.pid)
        found = second.tool("retrieve_context", query="editors", search_mode="text")
        equal([hit["id"] for hit in found["results"]], [stored["id"]])
        second.tool("update_scratchpad", agent_id="a", key="k", content="from the second")
        equal(first.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "from the second")


def failures_forward():
    """a failure of a forwarded call is the owner's own failure object"""
    with directory() as path, Peer(path) as first, Peer(path) as second:
        for arguments in ({"agent_id": "a b", "key": "k"}, {"agent_id": "a", "key": "none"}):
            equal(second.tool("get_agent_state", **arguments), first.tool("get_agent_state", **arguments))
        equal(first.tool("update_scratchpad", agent_id="a", key="k", content="x")["version"], 1)
        conflict = second.tool("update_scratchpad", agent_id="a", key="k", content="y", if_version=7)
        equal((conflict["success"], conflict["error_type"]), (False, "version_conflict"))


def commands_share():
    """store, search and get go through the owner"""
    with directory() as path, Peer(path) as peer:
        peer.tool("store_context", type="log", id="a", content={"text": "an owl at night"})
        contains(result("search", "owl", "--data-dir", path), "a ")
        result("store", "log", "an owl by day", "--id", "b", "--data-dir", path)
        equal(peer.tool("retrieve_context", query="owl")["total_count"], 2)
        found = json.loads(command("doctor", "--json", "--port", "0", "--data-dir", path)[1])
        owner = [check for check in found["checks"] if check["check"] == "owner"][0]
        equal(owner["verdict"], "ok")
        contains(owner["detail"], str(peer.child.pid))


def takeover_after_kill():
    """the owner is killed: the next call of another process takes over, nothing acknowledged is lost"""
    with directory() as path, Peer(path) as first, Peer(path) as second, Peer(path) as third:
        first.tool("update_scratchpad", agent_id="a", key="k", content="kept")
        second.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")
        first.child.kill()
        first.child.wait(WAIT_S)
        equal(second.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "kept")
        equal(owner_of(path), second.child.pid)
        equal(second.tool("update_scratchpad", agent_id="a", key="k", content="second")["success"], True)
        equal(third.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "second")


def takeover_after_end():
    """the owner ends in order: the next call takes over, a write included"""
    with directory() as path, Peer(path) as first, Peer(path) as second:
        first.tool("update_scratchpad", agent_id="a", key="k", content="one")
        second.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")
        equal(first.end_input(), 0)
        equal(second.tool("update_scratchpad", agent_id="a", key="k", content="two", mode="append")["success"], True)
        equal(owner_of(path), second.child.pid)
        equal(second.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "one\ntwo")


def takeover_by_one_of_many():
    """the owner is gone and six others write at once: one takes over, and no call is lost on the way"""
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(directory())
        first, *others = [stack.enter_context(Peer(path)) for _ in range(7)]
        first.tool("update_scratchpad", agent_id="a", key="k", content="0")
        for peer in others:
            peer.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")
        first.child.kill()
        first.child.wait(WAIT_S)
        for peer in others:
            peer.send("tools/call", {"name": "update_scratchpad", "arguments": {"agent_id": "a", "key": "k", "mode": "increment"}})
        replies = [peer.receive()["result"]["structuredContent"] for peer in others]
        equal([reply.get("message") for reply in replies], ["counted"] * 6)
        equal(others[0].tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "6")


class FakeOwner:
    """Holds the lock and answers on the socket as told: a test decides at which byte the owner goes away."""

    def __init__(self, path):
        self.held = None
        self.lock = open(os.path.join(path, "owner.lock"), "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.lock.write("pid 1\nsince 2026-01-01T00:00:00.000Z\ncommand serve\n")
        self.lock.flush()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(path, "owner.sock"))
        self.listener.listen()
        self.listener.settimeout(WAIT_S)

    @staticmethod
    def read_request(client):
        request = client.recv(65536)
        while b"\r\n\r\n" not in request:
            request += client.recv(65536)
        length = re.search(rb"Content-Length: (\d+)", request)
        while len(request) < request.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0):
            request += client.recv(65536)
        return request

    def answer_call(self, status, whole=True):
        """Answers health checks until a tool is called; that gets this status, or the owner's end when it is None, which
        has read the whole request or some bytes of it."""
        while True:
            client, _ = self.listener.accept()
            with client:
                client.settimeout(WAIT_S)
                begin = client.recv(20, socket.MSG_PEEK)
                if not whole and begin.startswith(b"POST"):
                    self.end()
                    return client.recv(20)
                request = self.read_request(client)
                if request.startswith(b"GET /health/live "):
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                    continue
                if status is None:
                    self.end()
                else:
                    body = b'{"error": "too much to do"}'
                    client.sendall(b"HTTP/1.1 %d Busy\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body))
                return request

    def hold_call(self):
        """Answers health checks until a tool is called, and that never."""
        while True:
            client, _ = self.listener.accept()
            client.settimeout(WAIT_S)
            request = self.read_request(client)
            if request.startswith(b"POST"):
                self.held = client
                return request
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            client.close()

    def end(self):
        if self.held:
            self.held.close()
        self.listener.close()
        self.lock.close()


def read_in_flight():
    """a read that was on its way when the owner went away is asked again of the store taken over"""
    with directory() as path, Peer(path) as peer:
        result("store", "log", "heron", "--id", "a", "--data-dir", path)
        owner = FakeOwner(path)
        peer.send("tools/call", {"name": "retrieve_context", "arguments": {"query": "heron", "search_mode": "text"}})
        contains(owner.answer_call(None).decode(), "POST /tools/retrieve_context ")
        equal(peer.receive()["result"]["structuredContent"]["total_count"], 1)
        equal(owner_of(path), peer.child.pid)


def write_in_flight():
    """a write that was on its way when the owner went away is not repeated, and the client is told why"""
    with directory() as path, Peer(path) as peer:
        owner = FakeOwner(path)
        peer.send("tools/call", {"name": "update_scratchpad", "arguments": {"agent_id": "a", "key": "k", "content": "1", "mode": "increment"}})
        contains(owner.answer_call(None).decode(), "POST /tools/update_scratchpad ")
        found = peer.receive()["result"]["structuredContent"]
        equal((found["success"], found["error_type"]), (False, "storage_unavailable"))
        contains(found["message"], "may or may not have been done")
        equal(peer.tool("update_scratchpad", agent_id="a", key="k", content="1", mode="increment")["version"], 1)


def write_half_read():
    """a write of which the owner that went away had read some bytes is done by the process that takes over"""
    with directory() as path, Peer(path) as peer:
        owner = FakeOwner(path)
        peer.send("tools/call", {"name": "update_scratchpad", "arguments": {"agent_id": "a", "key": "k", "content": "1", "mode": "increment"}})
        contains(owner.answer_call(None, whole=False).decode(), "POST /tools/")
        equal(peer.receive()["result"]["structuredContent"]["version"], 1)


def write_unanswered():
    """a write that its owner has read and does not answer in time may have been done, and the client is told so"""
    with directory() as path, Peer(path, "--request-timeout", "5") as peer:
        owner = FakeOwner(path)
        peer.send("tools/call", {"name": "update_scratchpad", "arguments": {"agent_id": "a", "key": "k", "content": "1", "mode": "append"}})
        contains(owner.hold_call().decode(), "POST /tools/update_scratchpad ")
        found = peer.receive()["result"]["structuredContent"]
        equal((found["success"], found["error_type"]), (False, "timeout"))
        contains(found["message"], "may or may not have been done")
        owner.end()


def busy_owner():
    """an owner that refuses for lack of room is busy and not gone"""
    with directory() as path, Peer(path) as peer:
        owner = FakeOwner(path)
        peer.send("tools/call", {"name": "update_scratchpad", "arguments": {"agent_id": "a", "key": "k", "content": "v"}})
        owner.answer_call(503)
        found = peer.receive()["result"]["structuredContent"]
        equal((found["success"], found["error_type"]), (False, "rate_limit"))
        owner.end()


def serve_after_stdio():
    """serve takes the directory when the stdio owner has ended"""
    with directory() as path:
        with Peer(path) as peer:
            peer.tool("update_scratchpad", agent_id="a", key="k", content="v")
            code, _, err = command("serve", "--data-dir", path, "--port", "0")
            equal(code, 1)
            contains(err, f"process {peer.child.pid} (context-store stdio")
            equal(peer.end_input(), 0)
        with Server(path) as server:
            equal(server.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")[1]["data"]["content"], "v")


def many_at_once():
    """ten processes that start at once on a new directory agree on one owner, and no call fails"""
    with directory() as path:
        peers = [Peer(path, greet=False) for _ in range(10)]
        failures = []

        def work(number, peer):
            try:
                peer.greet()
                for turn in range(5):
                    reply = peer.tool("update_scratchpad", agent_id=f"a{number}", key="k", content=str(turn))
                    equal(reply["success"], True, str(reply))
            except BaseException as problem:  # told below, on the main thread
                failures.append(problem)

        threads = [threading.Thread(target=work, args=pair) for pair in enumerate(peers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        equal(failures, [])
        owner = owner_of(path)
        equal(owner in [peer.child.pid for peer in peers], True)
        for number in range(10):
            equal(peers[0].tool("get_agent_state", agent_id=f"a{number}", key="k", prefix="scratchpad")["data"]["content"], "4")
        for peer in peers:
            peer.__exit__()


def commands_at_once():
    """store from ten processes without an owner: each waits for the other, all are stored"""
    with directory() as path:
        result("store", "log", "first", "--data-dir", path)
        children = [subprocess.Popen([PROGRAM, "store", "log", f"pelican {n}", "--data-dir", path], env=environment(),
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE) for n in range(10)]
        for child in children:
            _, err = child.communicate(timeout=WAIT_S)
            equal(child.returncode, 0, err.decode())
        equal(json.loads(result("search", "pelican", "--json", "--data-dir", path))["total_count"], 10)


def stale_socket():
    """a socket and a lock file left by a killed owner are in nobody's way"""
    with directory() as path:
        with Server(path) as server:
            server.child.kill()
            server.child.wait(WAIT_S)
        equal(pathlib.Path(path, "owner.sock").exists(), True)
        with Server(path) as server:
            equal(owner_of(path), server.child.pid)
            contains(result("config", "port", "--data-dir", path), "8000")
            result("store", "log", "x", "--data-dir", path)


def modes():
    """lock and socket are this user's alone"""
    with directory() as path, Server(path):
        for name in ("owner.lock", "owner.sock", "context-store.db"):
            equal(os.stat(os.path.join(path, name)).st_mode & 0o077, 0, name)


def long_path():
    """a data directory with a path longer than a socket address works"""
    with directory() as path:
        deep = os.path.join(path, *["long-name-of-a-directory"] * 6)
        with Peer(deep) as first, Peer(deep) as second:
            first.tool("update_scratchpad", agent_id="a", key="k", content="deep")
            equal(second.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "deep")


run(second_serve, stdio_forwards_to_serve, two_editors, failures_forward, commands_share, takeover_after_kill, takeover_after_end,
    takeover_by_one_of_many, read_in_flight, write_in_flight, write_unanswered, write_half_read, busy_owner, serve_after_stdio, many_at_once,
    commands_at_once, stale_socket, modes, long_path)
