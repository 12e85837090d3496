#!/usr/bin/env python3
"""Attacks below the message: framing, floods, smuggling, clients too slow to send or that never read, sites that rebind names.

Each ends as `standing` demands: the same process, what was stored, exit code 0. An attack that hides a second request
in a first one hides a write, and looks for its key afterwards.
"""
import random
import resource
import socket
import struct
import threading
import time

from blackbox import WAIT_S, contains, equal, run
from wire import LIVE, Wire, ask, bounded, call, connections, eventually, kept, refused, request, standing

WRITE = call("update_scratchpad", {"agent_id": "attack", "key": "smuggled", "content": "x", "prefix": "memory"})
READ = {"agent_id": "kept", "key": "k", "prefix": "memory"}
METRICS = request("GET", "/metrics")
BODY = b'{"agent_id":"kept","key":"k","prefix":"memory"}'


def nothing_smuggled(server):
    equal(server.tool("get_agent_state", agent_id="attack", prefix="memory")[1]["data"], {}, "what a hidden request wrote")


def raw(*lines, body=b""):
    return b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\r\n\r\n" + body


POST = "POST /tools/get_agent_state HTTP/1.1"
HOST = "Host: 127.0.0.1"


def oversized_bodies():
    """a body over the limit is 413, declared or chunked, and is not taken in"""
    with standing() as server, bounded(server, 40):
        four = 4 << 20
        for length in (four + 1, 2**31, 2**32 + 5, 2**63, 2**64 - 1):
            refused(server.port, raw(POST, HOST, f"Content-Length: {length}"), 413)
            refused(server.port, raw(POST, HOST, f"Content-Length: {length}", "Expect: 100-continue"), 413)
        chunked = raw(POST, HOST, "Transfer-Encoding: chunked")
        for size in (four + 1, 2**32, 2**63):
            refused(server.port, chunked + b"%x\r\n" % size, 413)
        refused(server.port, chunked + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 64 + b"1\r\n \r\n0\r\n\r\n", 413)
        # exactly as much as may come
        for data in (request("POST", "/tools/get_agent_state", BODY.ljust(four)),
                     chunked + (b"10000\r\n" + BODY.ljust(65536) + b"\r\n") + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 63 + b"0\r\n\r\n"):
            equal(ask(server.port, data).status, 200)


def lying_lengths():
    """a body shorter than it says is no request; what is more than it says is the next one; lengths must be numbers"""
    with standing() as server:
        with Wire(server.port) as wire:
            equal(wire.send(WRITE[:-1]).end().reply(), None)
        with Wire(server.port) as wire:
            equal(wire.send(request("POST", "/tools/get_agent_state", BODY + b"GARBAGE\r\n\r\n", Content_Length=len(BODY))).reply().status, 200)
            equal(wire.reply().status, 400)
            equal(wire.closed(), True)
        for length in ("-1", "+5", "0x5", "5,5", "5, 6", "5 5", "", "five", "1e1", "18446744073709551616", "9" * 100, "5;", "\u0665"):
            refused(server.port, raw(POST, HOST, f"Content-Length: {length}".encode(), body=BODY), 400)
        nothing_smuggled(server)


def smuggling():
    """two ways to say where a body ends, or a doubtful one, are refused; the request hidden behind is not run"""
    pairs = [
        ("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 0", "Content-Length: 5"), ("Content-Length: 5", "Content-Length: 5"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: identity",), ("Transfer-Encoding: chunked, identity",), ("Transfer-Encoding: identity, chunked",),
        ("Transfer-Encoding: xchunked",), ("Transfer-Encoding: chunkedx",), ("Transfer-Encoding: \"chunked\"",), ("Transfer-Encoding:",),
        ("Transfer-Encoding: gzip, chunked",), ("Transfer-Encoding: chunked;q=1",), ("Transfer-Encoding: \x0bchunked",),
        ("Transfer-Encoding : chunked",), (" Transfer-Encoding: chunked",), ("Content-Length : 5",), ("X: y", " Content-Length: 5"),
        ("X: y", "\tTransfer-Encoding: chunked"), ("Content-Length: 5\rTransfer-Encoding: chunked",), ("Content-Length: 5\nX: y",),
        ("X: a\0b",), ("X\0: a",), ("X Y: a",), (": a",), ("NoColon",), ("X: a\x7fb",), ("X: a\x01b",), ("Content\u2010Length: 5",),
        ("Transfer-Encoding: chunked", "Connection: keep-alive, Transfer-Encoding", "Content-Length: 3"),
    ]
    with standing() as server:
        for lines in pairs:
            data = raw(POST, HOST, *lines, body=b"0\r\n\r\n" + WRITE)
            with Wire(server.port) as wire:
                reply = wire.try_send(data).reply()
                equal(reply.status in (400, 501), True, f"{lines}: {reply.status}")
                equal(wire.closed(), True, f"{lines}: closed")
        refused(server.port, raw("POST /tools/get_agent_state HTTP/1.0", HOST, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + WRITE), 400)
        for ends in (b"\n\n", b"\n\r\n", b"\r\r"):
            refused(server.port, POST.encode() + ends + WRITE, 400)
        nothing_smuggled(server)


def bad_chunks():
    """chunks: sizes, ends and trailers are read strictly"""
    head = raw(POST, HOST, "Transfer-Encoding: chunked")
    with standing() as server:
        for chunks in (b"x\r\n", b"\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"1 2\r\n", b"1\n{\r\n", b"1\r{\r\n", b"f" * 17 + b"\r\n",
                       b"0" * 5000, b"1\r\n{}\r\n0\r\n\r\n", b"1\r\n{X", b"1\r\n{\nX", b"2;" + b"e" * 20_000 + b"\r\n{}\r\n",
                       b"2\r\n{}\r\n0\r\n" + b"T: x\r\n" * 5000, b"2\r\n{}\r\n0\r\nT: " + b"x" * 20_000, b"2\r\n{}\r\n0\r\n folded\r\n\r\n"):
            with Wire(server.port) as wire:
                reply = wire.try_send(head + chunks + WRITE).reply()
                equal(reply.status in (400, 413, 431), True, f"{chunks[:50]}: {reply.status}")
                equal(wire.closed(), True, f"{chunks[:50]}: closed")
        pieces = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in BODY)
        equal(ask(server.port, head + pieces + b"000\r\nTrailer: x\r\n\r\n").status, 200)
        nothing_smuggled(server)


def header_floods():
    """headers over the limits in size or number are 431, a request line 414, in bounded memory"""
    with standing() as server, bounded(server, 40):
        refused(server.port, raw("GET /health/live HTTP/1.1", HOST, "X: " + "x" * (16 << 10)), 431)
        refused(server.port, raw("GET /health/live HTTP/1.1", HOST, *[f"X{n}: y" for n in range(100)]), 431)
        refused(server.port, raw("GET /health/live HTTP/1.1", HOST, *["X: y"] * 100), 431)
        refused(server.port, raw("GET /" + "x" * (8 << 10) + " HTTP/1.1", HOST), 414)
        refused(server.port, b"G" * 100_000, 414)
        equal(ask(server.port, raw("GET /health/live HTTP/1.1", HOST, *[f"X{n}: {'y' * 100}" for n in range(99)])).status, 200)
        equal(ask(server.port, raw("GET /" + "x" * 8000 + " HTTP/1.1", HOST)).status, 404)
        for line in (b"X: " + b"x" * 10_000, b"X: y\r\n" * 2000):  # without end, from many at once
            wires = [Wire(server.port).send(raw("GET / HTTP/1.1", HOST)[:-2]) for _ in range(100)]
            for wire in wires:
                for _ in range(3):
                    wire.try_send(line)
            for wire in wires:
                equal(wire.reply().status, 431)
                wire.close()


def strange_requests():
    """other protocols, versions and targets get 400, 404, 405, 505 or nothing, and the connection ends where it must"""
    with standing() as server:
        for data in (b"GET / HTTP/1.2\r\n" + HOST.encode() + b"\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n"):
            refused(server.port, data, 505)
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1 \r\n\r\n", b"GET / http/1.1\r\n\r\n", b"GET\t/\tHTTP/1.1\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"\r\n\r\n\r\n\r\n\r\n",
                     b"G\xc3\x84T / HTTP/1.1\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"):
            with Wire(server.port) as wire:
                reply = wire.try_send(data).end().reply()
                equal(reply is None or reply.status in (400, 505), True, f"{data[:60]}: {reply and reply.status}")
                equal(wire.closed(), True)
        for method, target, status in (("BREW", "/mcp", 405), ("TRACE", "/", 405), ("PUT", "/tools/store_context", 405), ("HEAD", "/mcp", 405),
                                       ("GET", "/../../etc/passwd", 404), ("GET", "/health/../metrics", 404), ("GET", "/%6dcp", 404),
                                       ("GET", "//health", 404), ("GET", "/mcp%00", 404), ("GET", "/health?x=" + "y" * 4000, 200)):
            with Wire(server.port) as wire:
                equal(wire.send(request(method, target)).reply(head_only=method == "HEAD").status, status, f"{method} {target[:40]}")
        with Wire(server.port) as wire:
            equal(wire.send(request("GET", "http://127.0.0.1/health/live")).reply().status, 200)
            equal(wire.send(request("GET", "http://evil.example/health/live", Host="127.0.0.1")).reply().status, 400)


def foreign_sites():
    """Host and Origin of other sites, names that point here included, are 403 on every path; loopback is served"""
    with standing() as server:
        for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8000", "127.0.0.1@evil.example",
                     "0.0.0.0", "127.1", "2130706433", "0x7f.0.0.1", "[::2]", "[::1", "::1", "10.0.0.1", "", "localhost:", "localhost:x",
                     "localhost:99999", "localhost,evil.example", "local\u212aost", "xn--localhost"):
            for method, path, body in (("GET", "/health/live", b""), ("POST", "/mcp", b"{}"), ("POST", "/tools/get_agent_state", BODY), ("GET", "/none", b"")):
                reply = ask(server.port, request(method, path, body, Host=name.encode().decode("latin-1")))
                equal(reply.status in (400, 403), True, f"Host {name!r}: {reply.status}")
        for origin in ("http://evil.example", "https://evil.example:8000", "null", "file://", "http://127.0.0.1.evil.example", "http://localhost@evil.example",
                       "http://evil.example#localhost", "localhost", "javascript://localhost", "http://", "http://localhost/", "http://localhost evil"):
            for method, path, body in (("POST", "/mcp", b"{}"), ("POST", "/tools/get_agent_state", BODY), ("OPTIONS", "/mcp", b""), ("GET", "/metrics", b"")):
                reply = ask(server.port, request(method, path, body, Origin=origin))
                equal((reply.status, "access-control-allow-origin" in reply.headers), (403, False), f"Origin {origin!r}")
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1:65535", "127.8.9.10", "[::1]:8000", "[0:0::1]", "[::ffff:127.0.0.1]"):
            equal(ask(server.port, request("GET", "/health/live", Host=host)).status, 200, host)
        for origin in ("http://localhost:6274", "https://127.0.0.1", "http://[::1]:3000"):
            reply = ask(server.port, request("POST", "/tools/get_agent_state", BODY, Origin=origin))
            equal((reply.status, reply.headers["access-control-allow-origin"]), (200, origin))
        equal(ask(server.port, request("GET", "/health/live", version="1.0", Host=None)).status, 200)
        equal(ask(server.port, request("GET", "/health/live", Host="a\r\nHost: localhost")).status, 400)


def slow_senders():
    """headers or a body that do not come in time are 408, an idle connection is closed; others are served meanwhile"""
    with standing("--header-timeout", "1", "--body-timeout", "1", "--idle-timeout", "2") as server:
        dripping = Wire(server.port)
        stalled = [Wire(server.port).send(data) for data in (b"G", LIVE[:-1], LIVE[:20]) for _ in range(20)]
        bodies = [Wire(server.port).send(WRITE[:-1]) for _ in range(20)]
        bodies += [Wire(server.port).send(raw(POST, HOST, "Transfer-Encoding: chunked") + data) for data in (b"", b"5\r\n{", b"1\r\n{\r\n")]
        idle = [Wire(server.port) for _ in range(20)] + [Wire(server.port).send(LIVE) for _ in range(20)]
        for wire in idle[20:]:
            equal(wire.reply().status, 200)
        sent = 0
        with Wire(server.port) as steady, Wire(server.port) as other:  # slow, but never silent for so long
            steady.send(call("get_agent_state", READ)[:-10])
            for byte in call("get_agent_state", READ)[-10:-1]:
                time.sleep(0.3)
                steady.send(bytes([byte]))
                dripping.try_send(b"GET /health/live HTTP/1.1"[sent:sent + 1])
                sent += 1
                equal(other.send(LIVE).reply().status, 200)
            equal(steady.send(b"}").reply().status, 200)
        for wire in [*stalled, dripping]:
            reply = wire.reply()
            equal((reply.status, reply.headers["connection"]), (408, "close"))
            contains(reply.json()["error"], "headers")
            wire.close()
        for wire in bodies:
            reply = wire.reply()
            equal(reply.status, 408)
            contains(reply.json()["error"], "body")
            wire.close()
        for wire in idle:
            equal(wire.closed(), True)
            wire.close()
        nothing_smuggled(server)


def never_reading():
    """clients that ask for much and never read cost a bounded amount, are cut, and nobody waits for them"""
    with standing("--body-timeout", "1") as server:
        equal(server.tool("store_context", type="log", id="big", content={"text": "x" * 500_000})[0], 200)
        with bounded(server, 400):  # all that is asked for would be 5 GB
            wires = [Wire(server.port, received=4096) for _ in range(100)]
            for wire in wires:
                wire.send(call("retrieve_context", {"ids": ["big"]}) * 100)
            kept(server)
            small = [Wire(server.port, received=4096) for _ in range(20)]
            for wire in small:
                wire.socket.setblocking(False)
                try:
                    while wire.socket.send(request("GET", "/tools") * 50):
                        pass
                except (BlockingIOError, ConnectionError):
                    pass
            kept(server)
            connections(server.port, 0)
            for wire in wires + small:
                wire.close()
        kept(server)


def slow_reader():
    """a client that reads slowly but steadily gets all it asked for, in order"""
    with standing("--body-timeout", "2") as server:
        equal(server.tool("store_context", type="log", id="big", content={"text": "x" * 900_000})[0], 200)
        with Wire(server.port, received=4096) as wire:
            wire.send(call("retrieve_context", {"ids": ["big"]}) * 3 + LIVE)
            for _ in range(12):
                time.sleep(0.2)
                wire.file.peek(1)
            for _ in range(3):
                equal(len(wire.reply().json()["results"][0]["content"]["text"]), 900_000)
            equal(wire.reply().json()["status"], "alive")


def half_closed():
    """who shuts down the sending side gets answers to what was whole, and an end"""
    with standing() as server:
        search = call("retrieve_context", {"query": "heron", "search_mode": "text"})
        for data, count in ((LIVE, 1), (LIVE * 3, 3), (search, 1), (search + LIVE + search, 3), (LIVE[:-1], 0), (LIVE + LIVE[:-1], 1), (search[:-1], 0),
                            (search + WRITE[:-1], 1), (b"", 0), (b"\r\n", 0)):
            with Wire(server.port) as wire:
                wire.send(data).end()
                for number in range(count):
                    reply = wire.reply()
                    equal(reply and reply.status, 200, f"reply {number} of {data[:40]}")
                equal(wire.closed(), True, str(data[:40]))
        nothing_smuggled(server)


def resets():
    """connections reset amid a request, a reply or a write leave nothing behind"""
    with standing() as server:
        equal(server.tool("store_context", type="log", id="big", content={"text": "x" * 500_000})[0], 200)
        big = call("retrieve_context", {"ids": ["big"]})
        stores = [call("store_context", {"type": "log", "content": {"n": n}}) for n in range(10)]
        with bounded(server, 150):
            for turn in range(100):
                for data in (LIVE[:10], LIVE, big, big * 5, stores[turn % 10], stores[turn % 10][:-3], raw(POST, HOST, "Transfer-Encoding: chunked") + b"5\r\n{"):
                    with Wire(server.port) as wire:
                        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        wire.send(data)
            connections(server.port, 0)


def clients_at_once():
    """200 clients at once: each request of each is answered"""
    with standing() as server:
        failures, start = [], threading.Barrier(200)

        def work(number):
            try:
                with Wire(server.port) as wire:
                    start.wait(WAIT_S)
                    for turn in range(10):
                        write = {"agent_id": f"c{number}", "key": f"k{turn}", "content": f"{number} {turn}"}
                        equal(wire.send(call("update_scratchpad", write)).reply().status, 200)
                        read = {"agent_id": f"c{number}", "key": f"k{turn}", "prefix": "scratchpad"}
                        equal(wire.send(call("get_agent_state", read)).reply().json()["data"]["content"], f"{number} {turn}")
            except BaseException as problem:  # told below, on the main thread
                failures.append(problem)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(failures, [])


def pipelined():
    """300 pipelined requests, from memory and through workers, are answered in order"""
    with standing() as server:
        asked = []
        for number in range(100):
            asked.append(call("update_scratchpad", {"agent_id": "pipe", "key": "n", "mode": "increment"}))
            asked.append(call("get_agent_state", {"agent_id": "pipe", "key": "n", "prefix": "scratchpad"}))
            asked.append(request("GET", f"/none{number}"))
        whole = b"".join(asked)
        for pieces in (1, 7, 1000):
            size = -(-len(whole) // pieces)
            with Wire(server.port) as wire:
                first = int(ask(server.port, asked[0]).json()["version"])
                for start in range(0, len(whole), size):
                    wire.send(whole[start:start + size])
                for number in range(100):
                    equal(wire.reply().json()["version"], first + 1 + number)
                    equal(wire.reply().json()["data"]["content"], str(first + 1 + number))
                    equal(wire.reply().status, 404)
                equal(wire.send(LIVE).reply().status, 200)


def too_many_connections():
    """connections over connections-max are told 503; when others leave there is room again"""
    with standing("--connections-max", "20") as server:
        first = Wire(server.port)  # which asks itself: another's leaving could be seen after the others' coming
        eventually("no other connection", lambda: b"\nmcp_concurrent_connections 1\n" in first.send(METRICS).reply().body)
        wires = [first, *(Wire(server.port) for _ in range(19))]
        for wire in wires:
            equal(wire.send(LIVE).reply().status, 200)
        for _ in range(5):
            with Wire(server.port) as wire:
                reply = wire.reply()
                equal((reply.status, reply.headers["connection"]), (503, "close"))
        crowd = [Wire(server.port) for _ in range(400)]  # more than are told so
        for wire in wires:
            equal(wire.send(LIVE).reply().status, 200)
        for wire in wires + crowd:
            wire.close()

        def served():
            with Wire(server.port) as wire:
                reply = wire.try_send(LIVE).reply()
                return reply is not None and reply.status == 200
        eventually("room for a connection", served)
        connections(server.port, 0)


def without_descriptors():
    """a server that has no descriptor left lets those wait who come, and serves who is there"""
    with standing() as server:
        with Wire(server.port) as there:
            equal(there.send(LIVE).reply().status, 200)
            resource.prlimit(server.child.pid, resource.RLIMIT_NOFILE, (64, 64))
            for turn in range(5):  # two loops race for the last descriptor; the queue of one has room for all that come
                crowd = [Wire(server.port) for _ in range(200)]
                equal(there.send(call("get_agent_state", READ)).reply().status, 200)
                write = {"agent_id": "kept", "key": "full", "content": str(turn), "prefix": "memory"}
                equal(there.send(call("update_scratchpad", write)).reply().status, 200)
                reply = there.send(call("retrieve_context", {"query": "heron"})).reply()  # may want a descriptor of its own
                equal(reply.status == 200 or reply.json()["error_type"] == "storage_unavailable", True, str(reply.body))
                for wire in crowd:
                    wire.close()
        connections(server.port, 0)


def mutations():
    """3,000 requests with a few bytes changed, seeded: the server answers or closes, and stays"""
    chance = random.Random(20251124)
    seeds = [LIVE, WRITE.replace(b"smuggled", b"mutation"), call("retrieve_context", {"query": "heron", "filters": {"tags": ["a"]}}),
             raw(POST, HOST, "Transfer-Encoding: chunked") + b"2f\r\n" + BODY + b"\r\n0\r\n\r\n",
             request("POST", "/mcp", b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', Accept="application/json, text/event-stream")]
    with standing() as server, bounded(server, 60):
        for _ in range(3000):
            data = bytearray(chance.choice(seeds) * chance.randint(1, 2))
            for _ in range(chance.randint(1, 6)):
                place = chance.randrange(len(data))
                change = chance.randrange(3)
                if change == 0:
                    data[place] = chance.randrange(256)
                elif change == 1:
                    del data[place:place + chance.randint(1, 4)]
                else:
                    data[place:place] = bytes(chance.choices(b"\r\n\0:;, {}[]\"09\xff", k=chance.randint(1, 4)))
                if not data:
                    data = bytearray(b"x")
            with Wire(server.port) as wire:
                wire.try_send(bytes(data)).end()
                try:
                    found = wire.file.read()
                except ConnectionError:
                    continue
                equal(found[:9] in (b"", b"HTTP/1.1 "), True, str(bytes(data)))


run(oversized_bodies, lying_lengths, smuggling, bad_chunks, header_floods, strange_requests, foreign_sites, slow_senders, never_reading,
    slow_reader, half_closed, resets, clients_at_once, pipelined, too_many_connections, without_descriptors, mutations)
