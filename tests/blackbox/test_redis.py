#!/usr/bin/env python3
"""Agent state in Redis, as clients and operators meet it: the same answers as embedded, and faults that end by themselves.

Every test has a redis-server of its own. What is awaited is an event: a line of the log, a reply that has changed.
"""
import contextlib
import functools
import http.client
import json
import os
import re
import signal
import socket
import threading
import time

from blackbox import (ROOT, WAIT_S, Peer, Server, command, contains, directory, environment, equal, http_tool, result, run,
                      taken_port)
from redis_server import Redis, free_port, valkey

QUICK = ("--embedding-model", "off", "--health-period", "1", "--breaker-pause-max", "1")
DOWN = "a server cannot be used"
UP = "a server can be used again"
CACHED = "agent state is cached"
UNCACHED = "agent state is not cached"
MOVED = "leads to a primary again"
REPLICA = "is on a read-only replica"


@contextlib.contextmanager
def serving(url, *flags, env=None):
    """A server that ends in order, in whatever state it is by then."""
    with directory() as path, Server(path, *QUICK, *flags, env=env or environment(REDIS_URL=url)) as server:
        yield server
        equal(server.stop(), 0, server.said)


def fetch(server, path, method="GET", body=None):
    """(status, body as text)"""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def metric(server, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", fetch(server, "/metrics")[1], re.M)
    return float(found.group(1)) if found else 0.0


def count(server, text):
    with server.heard:
        return sum(text in line for line in server.said)


def until(ask, wanted, what):
    """Asks again until the answer is the wanted one."""
    end = time.monotonic() + WAIT_S
    while True:
        found = ask()
        if found == wanted if not callable(wanted) else wanted(found):
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: {found!r} after {WAIT_S} s")
        time.sleep(0.01)


def until_said(server, text, times):
    with server.heard:
        if not server.heard.wait_for(lambda: sum(text in line for line in server.said) >= times, WAIT_S):
            raise AssertionError(f"{text!r} was not said {times} times: {server.said}")


def write(server, key, content, **more):
    return server.tool("update_scratchpad", agent_id="a", key=key, content=content, prefix="state", **more)


def read(server, key):
    return server.tool("get_agent_state", agent_id="a", key=key)


def content_of(server, key):
    status, reply = read(server, key)
    return reply["data"]["content"] if status == 200 else reply["error_type"]


def contexts_work(server):
    status, reply = server.tool("store_context", type="log", content={"text": "contexts need no server"})
    equal((status, reply["success"]), (200, True), reply)
    status, reply = server.tool("retrieve_context", query="contexts", search_mode="text", limit=1)
    equal((status, len(reply["results"])), (200, 1), reply)


def unavailable(server, reply, url):
    """A failure that tells the truth about the server."""
    status, told = reply
    equal((status, told["error_type"]), (503, "storage_unavailable"), told)
    contains(told["backend"], url)
    for name in ("since", "next_try"):
        equal(bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told[name])), True, told)


# The same on both.

STATE = {"agent_id": "ann", "prefix": "state"}
SCENARIO = [
    ("update_scratchpad", {**STATE, "key": "k", "content": "one"}),
    ("update_scratchpad", {**STATE, "key": "k", "content": "two", "mode": "append"}),
    ("get_agent_state", {**STATE, "key": "k"}),
    ("update_scratchpad", {**STATE, "key": "k", "content": "three", "if_version": 1}),
    ("update_scratchpad", {**STATE, "key": "k", "content": "three", "if_version": 2, "ttl": 600}),
    ("get_agent_state", {**STATE, "key": "k"}),
    ("update_scratchpad", {**STATE, "key": "n", "mode": "increment"}),
    ("update_scratchpad", {**STATE, "key": "n", "mode": "increment", "content": "-43"}),
    ("get_agent_state", {**STATE, "key": "n"}),
    ("update_scratchpad", {**STATE, "key": "k", "mode": "increment"}),
    ("update_scratchpad", {**STATE, "key": "n", "content": "9223372036854775807"}),
    ("update_scratchpad", {**STATE, "key": "n", "mode": "increment"}),
    ("update_scratchpad", {**STATE, "key": "n", "mode": "increment", "content": "x"}),
    ("update_scratchpad", {**STATE, "key": "none", "mode": "delete"}),
    ("update_scratchpad", {**STATE, "key": "n", "mode": "delete", "if_version": 1}),
    ("update_scratchpad", {**STATE, "key": "n", "mode": "delete"}),
    ("get_agent_state", {**STATE, "key": "n"}),
    ("update_scratchpad", {**STATE, "key": "n", "content": "again", "if_version": 0}),
    ("update_scratchpad", {**STATE, "key": "text", "content": "naïve 日本語 🦀 \u0000 \"quoted\" \\ \n"}),
    ("get_agent_state", {**STATE, "key": "text"}),
    ("update_scratchpad", {**STATE, "key": "long", "content": "é" * 100000}),
    ("get_agent_state", {**STATE, "key": "long"}),
    ("update_scratchpad", {**STATE, "key": "long", "content": "x", "mode": "append"}),
    ("update_scratchpad", {**STATE, "key": "long", "content": "x" * 100001}),
    ("update_scratchpad", {"agent_id": "ann", "key": "note", "content": "forgotten in an hour"}),
    ("get_agent_state", {"agent_id": "ann", "prefix": "scratchpad", "key": "note"}),
    ("get_agent_state", {"agent_id": "ann", "prefix": "memory"}),
    ("get_agent_state", {"agent_id": "an"}),
    ("update_scratchpad", {**STATE, "agent_id": "a/b", "key": "k", "content": "c"}),
    ("update_scratchpad", {**STATE, "key": "k k", "content": "c"}),
    ("update_scratchpad", {**STATE, "key": "k", "content": ""}),
    ("update_scratchpad", {**STATE, "key": "k", "content": "c", "ttl": 1}),
    *[("update_scratchpad", {"agent_id": "many", "prefix": "state", "key": f"k{i:02}", "content": str(i)})
      for i in range(25)],
    ("get_agent_state", {"agent_id": "many"}),
    ("get_agent_state", {"agent_id": "many", "limit": 10}),
]


def play(server):
    """Each reply as bytes but for the seconds that have passed; pages are followed to their end."""
    replies = []
    for name, arguments in SCENARIO:
        while True:
            status, text = fetch(server, f"/tools/{name}", "POST", json.dumps(arguments))
            replies.append((status, re.sub(r'"ttl":\d+', '"ttl":N', text)))
            cursor = json.loads(text).get("next_cursor")
            if not cursor:
                break
            arguments = {**arguments, "cursor": cursor}
    return replies


def same(start=Redis):
    """both tools answer byte for byte as they do embedded, cached or not"""
    with start() as redis, directory() as path, Server(path, "--embedding-model", "off") as embedded:
        wanted = play(embedded)
        equal(len(wanted) > len(SCENARIO), True, "pages were followed")
        for flags in (("--state-cache-entries", "0"), ()):
            redis.call("FLUSHALL")
            with serving(redis.url, *flags) as server:
                if not flags:
                    server.wait_for(CACHED)
                for found, expected, call in zip(play(server), wanted, SCENARIO * 2):
                    equal(found, expected, f"{flags} near {call}")


# Faults.

class Load:
    """Threads that count up keys of their own and store contexts until told to end."""

    def __init__(self, server, writers=6):
        self.server, self.ended = server, threading.Event()
        self.acknowledged, self.unknown, self.refused = [0] * writers, [0] * writers, 0
        self.errors = []
        self.stored = 0
        self.threads = [threading.Thread(target=self.count_up, args=(i,)) for i in range(writers)]
        self.threads.append(threading.Thread(target=self.store))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(WAIT_S)

    def count_up(self, i):
        while not self.ended.is_set():
            status, reply = write(self.server, f"n{i}", "1", mode="increment")
            if status == 200:
                self.acknowledged[i] += 1
            elif "not known" in reply["message"]:
                self.unknown[i] += 1
            elif reply["error_type"] == "storage_unavailable":
                self.refused += 1
                time.sleep(0.002)
            else:
                self.errors.append(reply)

    def store(self):
        while not self.ended.is_set():
            try:
                contexts_work(self.server)
                self.stored += 1
            except Exception as why:
                self.errors.append(why)

    def check(self, redis):
        """All that was acknowledged is there; nothing is there that nobody asked for."""
        equal(self.errors, [])
        equal(self.stored > 0, True)
        for i, acknowledged in enumerate(self.acknowledged):
            there = int(redis.call("GET", f"agent:a:state:n{i}") or 0)
            equal(acknowledged <= there <= acknowledged + self.unknown[i], True,
                  f"{acknowledged} acknowledged, {self.unknown[i]} unknown, {there} there")


def killed(start=Redis):
    """killed and restarted under load: nothing acknowledged is lost, contexts go on, the log says it once each time"""
    rounds = 3
    with start() as redis, serving(redis.url) as server:
        server.wait_for(CACHED)
        with Load(server) as load:
            for n in range(1, rounds + 1):
                before = sum(load.acknowledged)
                until(lambda: sum(load.acknowledged) > before + 50, True, "writes go on")
                redis.kill()
                until_said(server, DOWN, n)
                equal(fetch(server, "/health/live")[0], 200)
                status, text = fetch(server, "/health/ready")
                equal((status, json.loads(text)["status"]), (503, "degraded"), text)
                redis.start()
                until_said(server, UP, n)
            before = sum(load.acknowledged)
            until(lambda: sum(load.acknowledged) > before + 50, True, "writes go on")
        load.check(redis)
        equal(load.refused > 0, True)
        until(lambda: fetch(server, "/health/ready")[0], 200, "ready again")
        equal((count(server, DOWN), count(server, UP)), (rounds, rounds))
        equal(len(server.said) < 6 * rounds + 6, True, server.said)


def paused():
    """stopped for longer than the time-out: calls fail in time and then at once, and work again when it goes on"""
    with Redis() as redis, serving(redis.url, "--redis-command-timeout", "200") as server:
        server.wait_for(CACHED)
        equal(write(server, "k", "before")[0], 200)
        until_hit(server, "k")
        redis.signal(signal.SIGSTOP)
        until_said(server, DOWN, 1)
        unavailable(server, write(server, "k", "during"), redis.url)
        until(lambda: read(server, "k")[0], 503, "a cached value is not served for ever")
        unavailable(server, read(server, "k"), redis.url)
        contexts_work(server)
        redis.signal(signal.SIGCONT)
        until_said(server, UP, 1)
        until(lambda: write(server, "k", "after")[0], 200, "writes work again")
        equal(content_of(server, "k"), "after")
        equal(count(server, DOWN), 1)


def out_of_memory():
    """without memory writes are refused by name, reads go on, and no breaker opens"""
    with Redis("--maxmemory-policy", "noeviction") as redis, serving(redis.url) as server:
        equal(write(server, "k", "kept")[0], 200)
        redis.call("CONFIG", "SET", "maxmemory", "1")
        for _ in range(10):
            status, reply = write(server, "k", "refused")
            equal((status, reply["error_type"]), (500, "storage_error"), reply)
            contains(reply["message"], "memory")
        equal(content_of(server, "k"), "kept")
        contexts_work(server)
        redis.call("CONFIG", "SET", "maxmemory", "0")
        equal(write(server, "k", "again")[0], 200)
        equal((fetch(server, "/health/ready")[0], count(server, DOWN)), (200, 0))


def wrong_password():
    """a wrong password is told without being repeated, and mended without a restart"""
    with Redis("--requirepass", "right") as redis:
        env = environment(REDIS_URL=redis.url, REDIS_PASSWORD="wrong-7731")
        with serving(redis.url, env=env) as server:
            until_said(server, DOWN, 1)
            contains("".join(server.said), "REDIS_PASSWORD")
            unavailable(server, read(server, "k"), redis.url)
            contexts_work(server)
            equal("wrong-7731" in "".join(server.said) + fetch(server, "/health/detailed")[1], False)
            with contextlib.closing(socket.create_connection(("127.0.0.1", redis.port))) as admin:
                admin.sendall(b"AUTH right\r\nCONFIG SET requirepass wrong-7731\r\n")
                until_said(server, UP, 1)
            equal(write(server, "k", "v")[0], 200)


def wrong_port():
    """something else that listens there: one that speaks HTTP, one that says nothing"""
    def speak(listener):
        while True:
            try:
                peer = listener.accept()[0]
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    listener, port = taken_port()
    thread = threading.Thread(target=speak, args=(listener,))
    thread.start()
    with serving(f"redis://127.0.0.1:{port}") as server:
        until_said(server, DOWN, 1)
        reply = read(server, "k")
        unavailable(server, reply, str(port))
        contains(reply[1]["message"], "does not speak as Redis does")
        contexts_work(server)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(WAIT_S)
    listener, port = taken_port()
    with listener, serving(f"redis://127.0.0.1:{port}", "--redis-connect-timeout", "200") as server:
        until_said(server, DOWN, 1)
        unavailable(server, read(server, "k"), str(port))
        contexts_work(server)


def cluster():
    """a node of a Redis Cluster is refused by name, and the log says it once however many call"""
    # Its second port is 10,000 above the first unless it is named, and may so be none at all.
    with Redis("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as redis, serving(redis.url) as server:
        until_said(server, DOWN, 1)

        def asked_again():
            reply = write(server, "k", "v")
            unavailable(server, reply, redis.url)
            contains(reply[1]["message"], "Redis Cluster")
            return metric(server, 'mcp_backend_failures_total{backend="redis"}') >= 4

        until(asked_again, True, "probes were made")
        equal((count(server, DOWN), count(server, UP)), (1, 0))
        equal(fetch(server, "/health/ready")[0], 503)
        contexts_work(server)


def replica():
    """a read-only replica answers reads and refuses writes by name, until it is promoted"""
    with Redis() as primary, Redis() as redis:
        primary.call("SET", "agent:a:state:k", "from the primary")
        redis.call("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda: redis.call("GET", "agent:a:state:k"), "from the primary", "replication")
        with serving(redis.url) as server:
            equal(content_of(server, "k"), "from the primary")
            for _ in range(10):
                status, reply = write(server, "k", "v")
                equal((status, reply["error_type"]), (500, "storage_error"), reply)
                contains(reply["message"], "replica")
            equal(content_of(server, "k"), "from the primary")
            redis.call("REPLICAOF", "NO", "ONE")
            equal(write(server, "k", "v")[0], 200)
            equal((count(server, DOWN), count(server, REPLICA)), (0, 1))


def failover():
    """when the address leads to a new primary and the old one lives on as a replica, calls and cache follow, with and without a write"""
    with directory() as place:
        name = os.path.join(place, "name")

        def replaces(old, new):
            new.call("REPLICAOF", "127.0.0.1", old.port)
            until(lambda: "master_link_status:up" in new.call("INFO", "replication"), True, "replication")
            new.call("REPLICAOF", "NO", "ONE")
            os.symlink(os.path.join(new.path, "socket"), name + ".new")
            os.replace(name + ".new", name)
            old.call("REPLICAOF", "127.0.0.1", new.port)

        flags = ("--unixsocket", "socket", "--repl-diskless-sync-delay", "0")
        with Redis(*flags) as one, Redis(*flags) as two:
            os.symlink(os.path.join(one.path, "socket"), name)
            with serving(f"unix://{name}") as server:
                until_said(server, CACHED, 1)
                equal(write(server, "k", "1")[0], 200)
                until_hit(server, "k")
                replaces(one, two)
                equal(write(server, "k", "2")[0], 200)
                equal(two.call("GET", "agent:a:state:k"), "2")
                until_said(server, CACHED, 2)
                for n in range(50):
                    two.call("SET", "agent:a:state:k", n)
                    equal(content_of(server, "k"), str(n))
                until_hit(server, "k")
                replaces(two, one)
                until_said(server, MOVED, 2)
                one.call("SET", "agent:a:state:k", "back")
                equal(content_of(server, "k"), "back")
                until_said(server, CACHED, 3)
                equal([count(server, line) for line in (MOVED, UNCACHED, REPLICA, DOWN)], [2, 2, 0, 0])
                until(lambda: (len(one.clients()) > 0, two.clients()), (True, []), "nobody stays")


def script_flush():
    """scripts flushed under load cost no write"""
    with Redis() as redis, serving(redis.url) as server:
        with Load(server, writers=4) as load:
            for _ in range(20):
                before = sum(load.acknowledged)
                redis.call("SCRIPT", "FLUSH")
                until(lambda: sum(load.acknowledged) > before + 4, True, "writes go on")
        load.check(redis)
        equal((load.refused, sum(load.unknown)), (0, 0))
        equal(count(server, DOWN), 0)


def dead_at_start():
    """a server that is down at the start keeps nothing from starting, and is found when it comes"""
    port = free_port()
    with serving(f"redis://127.0.0.1:{port}") as server:
        contexts_work(server)
        unavailable(server, write(server, "k", "v"), str(port))
        until_said(server, DOWN, 1)
        equal(fetch(server, "/health/live")[0], 200)
        equal(json.loads(fetch(server, "/health")[1])["status"], "degraded")
        status, text = fetch(server, "/health/ready")
        told = json.loads(text)
        equal((status, told["status"], told["store"]["status"]), (503, "degraded", "ok"), text)
        backend = told["backends"][0]
        equal((backend["name"], backend["status"], backend["role"]), ("redis", "down", "agent state"))
        contains(backend["address"], str(port))
        contains(backend["error"], "refused")
        equal(sorted(set(backend) & {"since", "next_try"}), ["next_try", "since"])
        equal(fetch(server, "/health/ready?exclude=redis")[0], 200)
        equal(fetch(server, "/health/ready?exclude=other")[0], 503)
        equal(metric(server, 'mcp_backend_up{backend="redis"}'), 0.0)
        with Redis(port=port):
            until_said(server, UP, 1)
            equal(write(server, "k", "v")[0], 200)
            equal(fetch(server, "/health/ready")[0], 200)
            equal(json.loads(fetch(server, "/health")[1])["status"], "healthy")
            equal(metric(server, 'mcp_backend_up{backend="redis"}'), 1.0)


# The cache.

def hits(server):
    return metric(server, 'mcp_state_cache_total{result="hit"}')


def until_hit(server, key):
    """Reads until memory answers."""
    def one_more():
        before = hits(server)
        read(server, key)
        return hits(server) > before
    until(one_more, True, f"{key} is answered from memory")


def coherence(start=Redis):
    """what another process had acknowledged the next read sees, from memory too; a hit asks no server"""
    with start() as redis, serving(redis.url) as server, serving(redis.url) as other:
        for each in (server, other):
            each.wait_for(CACHED)
        equal(write(server, "k", "0")[0], 200)
        for n in range(1, 100):
            until_hit(server, "k")
            if n % 2:
                redis.call("SET", "agent:a:state:k", n)
            else:
                equal(write(other, "k", str(n))[0], 200)
            equal(content_of(server, "k"), str(n))
        equal(content_of(server, "none"), "key_not_found")
        until_hit(server, "none")
        redis.call("SET", "agent:a:state:none", "now there")
        equal(content_of(server, "none"), "now there", "a key that was known to be absent")
        until_hit(server, "k")
        redis.call("FLUSHALL")
        until(lambda: content_of(server, "k"), "key_not_found", "FLUSHALL is seen")
        equal(metric(server, 'mcp_state_cache_invalidations_total{cause="flush"}') >= 1, True)


def listener_killed():
    """when the listener is cut off nothing is answered from memory until it listens again"""
    with Redis() as redis, serving(redis.url) as server:
        until_said(server, CACHED, 1)
        for n in range(1, 6):
            equal(write(server, "k", f"old {n}")[0], 200)
            until_hit(server, "k")
            listener = [client["id"] for client in redis.clients() if "P" in client["flags"]]
            equal(len(listener), 1)
            equal(redis.call("CLIENT", "KILL", "ID", listener[0]), 1)
            until_said(server, UNCACHED, n)
            redis.call("SET", "agent:a:state:k", f"new {n}")
            equal(content_of(server, "k"), f"new {n}")
            until_said(server, CACHED, n + 1)
            until_hit(server, "k")
        # Not allowed to listen any more: every read is the server's, and never late.
        redis.call("ACL", "SETUSER", "default", "-client|tracking")
        redis.call("CLIENT", "KILL", "ID", [client["id"] for client in redis.clients() if "P" in client["flags"]][0])
        until_said(server, UNCACHED, 6)
        before = hits(server)
        for n in range(50):
            redis.call("SET", "agent:a:state:k", n)
            equal(content_of(server, "k"), str(n))
        equal(hits(server), before)
        redis.call("ACL", "SETUSER", "default", "+@all")
        until_said(server, CACHED, 7)
        until_hit(server, "k")
        equal((count(server, DOWN), count(server, UNCACHED)), (0, 6))


def listening_on():
    """the listener proves itself while nothing is written: what was cached stays so beyond the time it is trusted"""
    with Redis() as redis, serving(redis.url) as server:
        server.wait_for(CACHED)
        equal(write(server, "k", "v")[0], 200)
        until_hit(server, "k")
        before = metric(server, 'mcp_state_cache_total{result="miss"}')
        listener = until(lambda: [client for client in redis.clients() if "P" in client["flags"]],
                         lambda found: found and int(found[0]["age"]) >= 5, "five seconds")[0]
        equal(listener["cmd"], "ping")
        hit = hits(server)
        equal(content_of(server, "k"), "v")
        equal((hits(server), metric(server, 'mcp_state_cache_total{result="miss"}')), (hit + 1, before))
        equal((count(server, UNCACHED), len([c for c in redis.clients() if "P" in c["flags"]])), (0, 1))


def expiry():
    """a value with a time to live is gone at its time, also where the server does not tell"""
    with Redis("--enable-debug-command", "yes") as redis, serving(redis.url) as server:
        redis.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        server.wait_for(CACHED)
        redis.call("SET", "agent:a:state:k", "v", "PX", "1500")
        until_hit(server, "k")
        until(lambda: content_of(server, "k"), "key_not_found", "expiry")
        equal(redis.call("EXISTS", "agent:a:state:k"), 0)


def on_valkey():
    """Valkey gives the same answers, tells of changes, and may be killed"""
    start = functools.partial(Redis, program=valkey())
    same(start)
    coherence(start)
    killed(start)


# Connections.

def pool():
    """200 clients share 50 connections and none starves; left alone, 5 remain"""
    clients, each = 200, 10
    with Redis() as redis, serving(redis.url, "--redis-idle-timeout", "1", "--state-cache-entries", "0") as server:
        statuses, most = [], 0
        start = threading.Barrier(clients)

        def work(i):
            start.wait(WAIT_S)
            for n in range(each):
                statuses.append(http_tool(server.port, "update_scratchpad",
                                          {"agent_id": f"a{i}", "key": "k", "content": str(n)})[0])
        threads = [threading.Thread(target=work, args=(i,)) for i in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, len(redis.clients()))
        for thread in threads:
            thread.join(WAIT_S)
        equal(statuses, [200] * clients * each)
        equal(most <= 51, True, f"{most} connections, one of them for health checks")
        told = json.loads(fetch(server, "/health/detailed")[1])["backends"][0]["pool"]
        equal((told["min"], told["max"], told["waiting"]), (5, 50, 0))
        equal(told["wait_ms_max"] < 5000, True, told)
        waits = metric(server, 'mcp_pool_wait_seconds_count{backend="redis"}')
        equal((waits > 0) == (told["wait_ms_max"] > 0), True, f"{waits} waits, {told}")
        until(lambda: len(redis.clients()), 6, "idle connections are closed")
        until(lambda: metric(server, 'mcp_pool_connections{backend="redis",state="idle"}'), 5.0, "the gauge follows")


# Around it.

def forwarders():
    """a second process on the directory uses the owner's server"""
    with Redis() as redis, directory() as path:
        env = environment(REDIS_URL=redis.url)
        with Peer(path, *QUICK, env=env) as first, Peer(path, *QUICK, env=env) as second:
            equal(first.tool("update_scratchpad", agent_id="a", key="k", content="v", prefix="state")["success"], True)
            equal(second.tool("get_agent_state", agent_id="a", key="k")["data"]["content"], "v")
            equal(redis.call("GET", "agent:a:state:k"), "v")
            redis.kill()
            told = until(lambda: second.tool("update_scratchpad", agent_id="a", key="k", content="w"),
                         lambda reply: "backend" in reply, "the forwarder tells the truth too")
            equal(told["error_type"], "storage_unavailable")
            equal([first.end_input(), second.end_input()], [0, 0])


def settings():
    """config hides the password within the URL; a wrong URL is told at the start"""
    env = environment(REDIS_URL="redis://ann:hunter2@127.0.0.1:6379/1", REDIS_PASSWORD="hunter3")
    for words in (("config",), ("config", "--json")):
        said = result(*words, env=env)
        equal("hunter" in said, False)
        contains(said, "redis://ann:********@127.0.0.1:6379/1")
    with directory() as path:
        for url, part in (("rediss://127.0.0.1", "TLS"), ("http://127.0.0.1", "redis://"), ("redis://h:1:2", "")):
            code, _, err = command("serve", "--data-dir", path, "--port", "0", env=environment(REDIS_URL=url))
            equal((code, err.count("\n")), (1, 1), err)
            contains(err, part)
        code, _, err = command("serve", "--data-dir", path, "--port", "0", "--redis-url", "redis://127.0.0.1",
                               "--redis-pool-max", "3")
        equal(code, 1)
        contains(err, "redis-pool-min")


def finding(path, url, *flags):
    code, out, err = command("doctor", "--json", "--data-dir", path, "--port", "0", "--embedding-model", "off", *flags,
                             env=environment(REDIS_URL=url))
    checks = json.loads(out)["checks"]
    found = next(check for check in checks if check["check"] == "redis")
    return code, found["verdict"], found["detail"], found.get("mend", "")


def doctor():
    """doctor says what is wrong with the server, and how to mend it"""
    with directory() as path, Redis() as redis, Redis("--appendonly", "no") as other:
        code, verdict, detail, _ = finding(path, redis.url)
        equal((code, verdict), (0, "ok"), detail)
        contains(detail, "Redis " + re.search(r"redis_version:(\S+)", redis.call("INFO", "server")).group(1))
        code, verdict, _, mend = finding(path, other.url)
        equal((code, verdict), (0, "warning"))
        contains(mend, "appendonly yes")
        redis.call("CONFIG", "SET", "maxmemory", "100mb")
        redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        code, verdict, _, mend = finding(path, redis.url)
        equal((code, verdict), (0, "warning"))
        contains(mend, "noeviction")
        redis.call("ACL", "SETUSER", "ann", "on", ">pw", "~agent:*", "~{agent:*}:version", "+@all", "-client|tracking")
        code, verdict, detail, mend = finding(path, f"redis://ann:pw@127.0.0.1:{other.port}")
        equal((code, verdict), (1, "fault"))
        equal("pw" in detail + mend.replace("REDIS_PASSWORD", ""), False)
        redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        code, verdict, _, mend = finding(path, f"redis://ann:pw@127.0.0.1:{redis.port}")
        equal((code, verdict), (0, "warning"))
        contains(mend, "+client|tracking")
        equal(redis.call("DBSIZE"), 0)
        redis.call("ACL", "SETUSER", "bob", "on", ">pw", "~agent:*", "~{agent:*}:version", "+@all", "-set", "-info")
        code, verdict, detail, mend = finding(path, f"redis://bob:pw@127.0.0.1:{redis.port}")
        equal((code, verdict), (1, "fault"))
        contains(mend, "rights")
        redis.call("CONFIG", "SET", "maxmemory", "1")
        code, verdict, detail, _ = finding(path, redis.url)
        equal((code, verdict), (1, "fault"))
        contains(detail, "out of memory")
        redis.call("CONFIG", "SET", "maxmemory", "0")
        other.call("REPLICAOF", "127.0.0.1", redis.port)
        code, verdict, _, mend = finding(path, other.url)
        equal((code, verdict), (1, "fault"))
        contains(mend, str(redis.port))
    code, verdict, detail, _ = finding(path, f"redis://127.0.0.1:{free_port()}")
    equal((code, verdict), (1, "fault"))
    contains(detail, "refused")


RIGHTS = ["~agent:*", "~{agent:*}:version", "&__redis__:invalidate",
          *"+get +set +del +incrby +pttl +pexpiretime +scan +eval +evalsha +ping +select +hello".split(),
          *"+client|id +client|tracking +subscribe +info".split()]


def doctor_rights():
    """doctor names each right that is missing: those of the cache as a warning, those of tools as a fault"""
    documented = (ROOT / "docs/redis.md").read_text().split("ACL SETUSER store on >PASSWORD", 1)[1].split("\n\n", 1)[0]
    equal(documented.replace("\\", "").split(), RIGHTS)
    with directory() as path, Redis() as redis:
        url = f"redis://ann:pw@127.0.0.1:{redis.port}/1"

        def without(*rights):
            redis.call("ACL", "SETUSER", "ann", "reset", "on", ">pw", *(right for right in RIGHTS if right not in rights))
            return finding(path, url)
        equal(without()[:2], (0, "ok"), "all that docs/redis.md lists")
        for right in ["+client|id", "+client|tracking", "+subscribe", "&__redis__:invalidate"]:
            code, verdict, detail, mend = without(right)
            equal((code, verdict), (0, "warning"), right)
            contains(detail, "not cached")
            contains(mend, right)
        for right in ["+ping", "+select", "+scan", "+get", "+incrby", "+evalsha", "~{agent:*}:version"]:
            code, verdict, detail, mend = without(right)
            equal((code, verdict), (1, "fault"), right)
            contains(detail, "answers, but")
            contains(mend, "rights that docs/redis.md lists")
        equal(redis.call("DBSIZE"), 0)


def doctor_loading():
    """a server that loads its data, and answers INFO alone: doctor says to wait"""
    info = b"redis_version:7.0.15\r\nloading:1\r\nrole:master\r\n"
    replies = {b"INFO": b"$%d\r\n%s\r\n" % (len(info), info), b"HELLO": b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
               b"$4\r\nrole\r\n$6\r\nmaster\r\n", b"CLIENT": b"+OK\r\n", b"SELECT": b"+OK\r\n"}

    def words(file):
        for _ in range(int(file.readline()[1:] or b"0")):
            yield file.read(int(file.readline()[1:]) + 2)[:-2]

    def play(listener):
        with contextlib.suppress(OSError):
            while True:
                peer = listener.accept()[0]
                with peer, peer.makefile("rb") as file, contextlib.suppress(OSError, ValueError):
                    while command_words := list(words(file)):
                        peer.sendall(replies.get(command_words[0], b"-LOADING Redis is loading the dataset in memory\r\n"))
    listener, port = taken_port()
    thread = threading.Thread(target=play, args=(listener,))
    thread.start()
    with directory() as path:
        code, verdict, detail, mend = finding(path, f"redis://127.0.0.1:{port}")
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(WAIT_S)
    equal((code, verdict), (0, "warning"), detail)
    contains(detail, "is loading its data")
    contains(mend, "wait")


if __name__ == "__main__":
    run(same, killed, paused, out_of_memory, wrong_password, wrong_port, cluster, replica, failover, script_flush, dead_at_start, coherence,
        listener_killed, listening_on, expiry, on_valkey, pool, forwarders, settings, doctor, doctor_rights,
        doctor_loading)
