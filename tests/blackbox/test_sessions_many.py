#!/usr/bin/env python3
"""Many sessions, many event streams, and the end of a server that is busy: who makes room, who is told, what is answered."""
import contextlib
import json
import re
import signal
import socket
import struct
import time

from blackbox import WAIT_S, Server, directory, equal, run
from wire import LIVE, Wire, ask, bounded, call, connections, eventually, kept, metric, plant, request, standing

OPENING = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "many", "version": "1"}}}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = "application/json, text/event-stream"


def post(body, **headers):
    return request("POST", "/mcp", json.dumps(body).encode(), Accept=ACCEPT, **headers)


def open_session(wire):
    return wire.send(post(OPENING)).reply().headers["mcp-session-id"]


def ping(wire, session):
    return wire.send(post(PING, Mcp_Session_Id=session)).reply().status


def stream(port, session, status=200):
    """A GET stream that has begun, or was refused with this status."""
    wire = Wire(port)
    wire.send(request("GET", "/mcp", Accept="text/event-stream", Mcp_Session_Id=session))
    equal(int(wire.file.readline().split()[1]), status)
    while wire.file.readline().strip():
        pass
    return wire


def reset(wire):
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def longest_unused():
    """20,000 sessions where 1,000 fit: the longest unused make room, what is used stays, memory stays"""
    with standing("--sessions-max", "1000") as server, Wire(server.port) as wire:
        first = open_session(wire)
        unused = open_session(wire)
        with bounded(server, 20):
            for number in range(20_000):
                latest = open_session(wire)
                if number % 500 == 0:
                    equal(ping(wire, first), 200, f"the used session after {number} others")
        equal((ping(wire, first), ping(wire, latest)), (200, 200))
        equal(ping(wire, unused), 404)
        equal(metric(server.port, "mcp_sessions"), 1000)
        equal(wire.send(request("DELETE", "/mcp", Mcp_Session_Id=latest)).reply().status, 204)
        equal(ping(wire, latest), 404)
        equal(metric(server.port, "mcp_sessions"), 999)


def bad_session_ids():
    """an id that is none of ours is 404, whatever its form"""
    with standing() as server, Wire(server.port) as wire:
        good = open_session(wire)
        for bad in (good[:-1], good + "0", good.upper() if good.upper() != good else "0" * 32, "0" * 32, "x" * 8000, "../" + good, good + "\t\x0b"[:1] + "x"):
            equal(ping(wire, bad), 404, bad[:50])
            equal(wire.send(request("GET", "/mcp", Accept=ACCEPT, Mcp_Session_Id=bad)).reply().status, 404)
            equal(wire.send(request("DELETE", "/mcp", Mcp_Session_Id=bad)).reply().status, 404)
        equal(wire.send(post(PING)).reply().status, 400)
        equal(wire.send(post(PING, Mcp_Session_Id=good + "\r\nMcp-Session-Id: " + good)).reply().status, 400)
        equal(ping(wire, good), 200)


def eviction_ends_streams():
    """a session that makes room ends its streams; the places of others stay"""
    with standing("--sessions-max", "2") as server, Wire(server.port) as wire:
        old, kept_one = open_session(wire), None
        streams = [stream(server.port, old) for _ in range(4)]
        kept_one = open_session(wire)
        other = stream(server.port, kept_one)
        open_session(wire)
        for one in streams:
            equal(one.closed(), True)
            one.close()
        equal(ping(wire, kept_one), 200)
        eventually("an end of four streams", lambda: metric(server.port, "mcp_sse_streams") == 1)
        other.close()


def streams_that_leave():
    """streams whose client left, reset or closed, give their places back"""
    with standing() as server, Wire(server.port) as wire:
        session = open_session(wire)
        for turn in range(20):
            streams = [stream(server.port, session) for _ in range(4)]
            stream(server.port, session, 409).close()
            for number, one in enumerate(streams):
                if (number + turn) % 3 == 0:
                    reset(one)
                elif (number + turn) % 3 == 1:
                    one.end()
                    equal(one.closed(), True)
                    one.close()
                else:
                    one.close()
            eventually("four free places", lambda: metric(server.port, "mcp_sse_streams") == 0)
        equal(ping(wire, session), 200)


def many_streams():
    """1,000 idle streams cost little, others are served, and the end of the server ends each"""
    with directory() as path, Server(path) as server:
        plant(server)
        with contextlib.ExitStack() as stack:
            with bounded(server, 30):
                wire = stack.enter_context(Wire(server.port))
                streams = [stack.enter_context(stream(server.port, open_session(wire))) for _ in range(1000)]
            equal(metric(server.port, "mcp_sse_streams"), 1000)
            kept(server)
            server.child.send_signal(signal.SIGTERM)
            for one in streams:
                equal(one.closed(), True)
                one.close()
            equal(server.child.wait(WAIT_S), 0)


def cancelled_sessions():
    """sessions closed while their requests run do not harm them"""
    with standing() as server:
        for turn in range(50):
            with Wire(server.port) as wire, Wire(server.port) as other:
                session = open_session(wire)
                params = {"name": "store_context", "arguments": {"type": "log", "content": {"n": turn}}}
                wire.send(post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, Mcp_Session_Id=session))
                gone = other.send(request("DELETE", "/mcp", Mcp_Session_Id=session)).reply().status
                equal(gone, 204)
                equal(wire.reply().status in (200, 404), True)


def drain_answers():
    """SIGTERM: what was sent whole before it is answered, reads and writes alike, and the server ends with 0"""
    for turn in range(5):
        with directory() as path:
            with Server(path) as server:
                plant(server)
                equal(server.tool("store_context", type="log", id="big", content={"text": "x" * 300_000})[0], 200)
                with contextlib.ExitStack() as stack:
                    wires = [stack.enter_context(Wire(server.port)) for _ in range(90)]
                    for wire in wires:  # known to the server
                        equal(wire.send(LIVE).reply().status, 200)
                    for number, wire in enumerate(wires):
                        wire.send([call("retrieve_context", {"ids": ["big"]}), call("get_agent_state", {"agent_id": "a"}),
                                   call("update_scratchpad", {"agent_id": "a", "key": f"k{number}", "content": "x", "prefix": "memory"})][number % 3])
                    server.child.send_signal(signal.SIGTERM)
                    for number, wire in enumerate(wires):
                        reply = wire.reply()
                        equal(reply and reply.status, 200, f"reply {number} of turn {turn}")
                        equal(wire.closed(), True)
                        wire.close()
                    equal(server.child.wait(WAIT_S), 0)
            with Server(path) as server:
                kept(server)
                equal(server.tool("get_agent_state", agent_id="a", prefix="memory")[1]["total_available"], 30)


def drain_of_newcomers():
    """a client that had connected and asked when SIGTERM came, but was not yet accepted, is answered as well"""
    for _ in range(5):
        with directory() as path, Server(path) as server:
            server.child.send_signal(signal.SIGSTOP)
            with contextlib.ExitStack() as stack:
                wires = [stack.enter_context(Wire(server.port)).send(call("get_agent_state", {"agent_id": "a"})) for _ in range(100)]
                server.child.send_signal(signal.SIGTERM)
                server.child.send_signal(signal.SIGCONT)
                for wire in wires:
                    reply = wire.reply()
                    equal(reply and reply.status, 200)
                    wire.close()
                equal(server.child.wait(WAIT_S), 0)


def drain_of_unread():
    """a request that had arrived when SIGTERM came, but was not yet read, is answered as well"""
    for _ in range(5):
        with directory() as path, Server(path) as server, contextlib.ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.port)) for _ in range(100)]
            for wire in wires:
                equal(wire.send(LIVE).reply().status, 200)
            server.child.send_signal(signal.SIGSTOP)
            for number, wire in enumerate(wires):
                wire.send(call("update_scratchpad", {"agent_id": "a", "key": f"k{number}", "content": "x"}))
            server.child.send_signal(signal.SIGTERM)
            server.child.send_signal(signal.SIGCONT)
            for wire in wires:
                reply = wire.reply()
                equal(reply and reply.status, 200)
                wire.close()
            equal(server.child.wait(WAIT_S), 0)


def drain_has_an_end():
    """clients that read nothing, send nothing more, or hold streams do not keep a server from ending in its time"""
    with directory() as path, Server(path, "--drain-timeout", "1") as server:
        plant(server)
        equal(server.tool("store_context", type="log", id="big", content={"text": "x" * 900_000})[0], 200)
        with contextlib.ExitStack() as stack:
            wire = stack.enter_context(Wire(server.port))
            for data in (b"GET / HT", call("get_agent_state", {"agent_id": "a"})[:-1], call("retrieve_context", {"ids": ["big"]}) * 50, b""):
                for _ in range(10):
                    stack.enter_context(Wire(server.port, received=4096)).send(data)
            stack.enter_context(stream(server.port, open_session(wire)))
            begin = time.monotonic()
            equal(server.stop(), 0)
            print(f"# ended after {time.monotonic() - begin:.1f} s")


def signals_upon_signals():
    """SIGTERM again and again until the end: it is 0, and not the signal"""
    for turn in range(20):
        with directory() as path:
            with Server(path) as server:
                plant(server)
                with Wire(server.port) as wire:
                    wire.send(call("store_context", {"type": "log", "content": {"n": turn}}))
                    server.child.send_signal(signal.SIGTERM)
                    equal(wire.reply().status, 200)
                while server.child.poll() is None:
                    server.child.send_signal(signal.SIGTERM)
                equal(server.child.returncode, 0, f"exit code of turn {turn}")
            with Server(path) as server:
                kept(server)


SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (NaN|[+-]Inf|-?[0-9.]+(?:[eE][+-]?[0-9]+)?)$')


def check_histogram(name, samples):
    """Buckets grow to +Inf, which is the count, for each set of labels."""
    by_labels = {}
    for sample, labels, value in samples:
        if sample == name + "_bucket":
            bound = re.search(r'le="([^"]+)"', labels).group(1)
            rest = re.sub(r',?le="[^"]+"', "", labels)
            by_labels.setdefault(rest, []).append((float(bound), value))
    equal(by_labels != {}, True, f"{name} has buckets")
    counts = {labels or "": value for sample, labels, value in samples if sample == name + "_count"}
    for labels, buckets in by_labels.items():
        equal(buckets, sorted(buckets), f"buckets of {name}{labels}")
        equal([value for _, value in buckets], sorted(value for _, value in buckets), f"counts of {name}{labels}")
        equal(buckets[-1], (float("inf"), counts[labels]), f"{name}{labels}: +Inf and the count")


def metrics_text():
    """/metrics is Prometheus text: each family once, with HELP and TYPE, samples well formed, histograms that add up"""
    with standing() as server:
        for tool, arguments in (("retrieve_context", {"query": "heron"}), ("get_agent_state", {}), ("no_such\"\\\n", {}), ("store_context", {"type": "log", "content": {}})):
            ask(server.port, call(tool.encode("unicode_escape").decode(), arguments))
        reply = ask(server.port, request("GET", "/metrics"))
        equal(reply.headers["content-type"].startswith("text/plain; version=0.0.4"), True)
        text = reply.body.decode()
        equal(text.endswith("\n"), True)
        types, samples, family = {}, {}, None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                equal(family in types, False, f"{family} stands twice")
                equal(len(line.split(" ", 3)[3]) > 5, True, line)
            elif line.startswith("# TYPE "):
                equal(line.split()[2], family)
                types[family] = line.split()[3]
                equal(types[family] in ("counter", "gauge", "histogram"), True, line)
            else:
                found = SAMPLE.match(line)
                equal(found is not None, True, line)
                name = re.sub("_(bucket|sum|count)$", "", found.group(1)) if types.get(family) == "histogram" else found.group(1)
                equal(name, family, f"a sample out of its family: {line}")
                samples.setdefault(family, []).append((found.group(1), found.group(3) or "", float(found.group(4))))
        for family, kind in types.items():
            labels = [(name, labels) for name, labels, _ in samples.get(family, [])]
            equal(len(set(labels)), len(labels), f"series of {family} that stand twice")
            if kind == "histogram" and samples.get(family):
                check_histogram(family, samples[family])
            elif kind == "counter":
                equal(all(value >= 0 for _, _, value in samples.get(family, [])), True)
        equal(types["mcp_response_time_seconds"], "histogram")
        equal(types["mcp_concurrent_connections"], "gauge")
        equal(any('tool_name="retrieve_context"' in labels for _, labels, _ in samples["mcp_response_time_seconds"]), True)


def back_to_baseline():
    """mcp_concurrent_connections counts who is there, and is back at its baseline when they have left, however they did"""
    with standing() as server:
        connections(server.port, 0)
        wires = [Wire(server.port) for _ in range(100)]
        for wire in wires:
            equal(wire.send(LIVE).reply().status, 200)
        connections(server.port, 100)
        session = open_session(wires[0])
        streams = [stream(server.port, session) for _ in range(4)]
        connections(server.port, 104)
        for number, wire in enumerate(wires):
            if number % 4 == 0:
                reset(wire)
            elif number % 4 == 1:
                wire.send(b"rubbish\r\n\r\n")
                wire.close()
            elif number % 4 == 2:
                wire.send(call("retrieve_context", {"query": "heron"}))
                reset(wire)
            else:
                wire.close()
        for one in streams:
            reset(one)
        connections(server.port, 0)
        equal(metric(server.port, "mcp_sse_streams"), 0)
        eventually("no queue", lambda: metric(server.port, "mcp_queued_requests") == 0)


run(longest_unused, bad_session_ids, eviction_ends_streams, streams_that_leave, many_streams, cancelled_sessions, drain_answers,
    drain_of_newcomers, drain_of_unread, drain_has_an_end, signals_upon_signals, metrics_text, back_to_baseline)
