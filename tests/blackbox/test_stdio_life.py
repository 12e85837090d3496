#!/usr/bin/env python3
"""The life of a stdio process: it opens late, ends at once, and answers what is in flight at end of input."""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading

from blackbox import (PROGRAM, Peer, REVISION, WAIT_S, command, contains, directory, environment, equal, owner_of, run)


def opens_late():
    """initialize and tools/list touch nothing; the first tool call opens the store"""
    with directory() as path:
        place = path + "/store"
        with Peer(place) as peer:
            equal(len(peer.request("tools/list")["result"]["tools"]) >= 6, True)
            peer.request("ping")
            equal(os.path.exists(place), False)
            peer.tool("update_scratchpad", agent_id="a", key="k", content="v")
            equal(owner_of(place), peer.child.pid)


def idle_signals():
    """SIGTERM and SIGINT end an idle process with 0, before and after the greeting"""
    for number in (signal.SIGTERM, signal.SIGINT):
        with directory() as path, Peer(path + "/store") as peer:
            peer.child.send_signal(number)
            equal(peer.child.wait(WAIT_S), 0)
            equal(os.path.exists(path + "/store"), False)


def owner_signals():
    """SIGTERM ends an owner with 0, and what was acknowledged is there"""
    with directory() as path:
        with Peer(path) as peer:
            peer.tool("update_scratchpad", agent_id="a", key="k", content="kept")
            peer.child.terminate()
            equal(peer.child.wait(WAIT_S), 0)
        equal(owner_of(path), None, "the store was not closed: the lock still names an owner")
        with Peer(path) as peer:
            equal(peer.tool("get_agent_state", agent_id="a", key="k", prefix="scratchpad")["data"]["content"], "kept")


def signals_upon_signals():
    """SIGTERM again and again, alone or behind the end of input, ends an owner with 0"""
    for closes in (False, True) * 10:
        with directory() as path, Peer(path) as peer:
            peer.tool("update_scratchpad", agent_id="a", key="k", content="kept")
            if closes:
                peer.child.stdin.close()
            while peer.child.poll() is None:
                peer.child.terminate()
            equal(peer.child.returncode, 0)
            equal(owner_of(path), None, "the lock still names an owner")


def end_of_input():
    """end of input answers what is in flight, then ends with 0"""
    with directory() as path, Peer(path) as peer:
        sent = [peer.send("tools/call", {"name": "update_scratchpad", "arguments": {"agent_id": "a", "key": f"k{n}", "content": "v"}})
                for n in range(100)]
        peer.child.stdin.close()
        replies = [json.loads(line) for line in peer.child.stdout]
        equal(sorted(reply["id"] for reply in replies), sent)
        equal({reply["result"]["structuredContent"]["success"] for reply in replies}, {True})
        equal(peer.child.wait(WAIT_S), 0)
        equal(peer.child.stderr.read().decode(), "")


def end_of_input_idle():
    """end of input without a word ends with 0 and touches nothing"""
    with directory() as path:
        equal(command("stdio", "--data-dir", path + "/store"), (0, "", ""))
        equal(os.path.exists(path + "/store"), False)


def only_messages():
    """standard output carries protocol messages only, whatever is logged"""
    with directory() as path, Peer(path, "--log-level", "debug", greet=False) as peer:
        peer.child.stdin.write(b"this is no JSON\n")
        peer.child.stdin.flush()
        equal(peer.receive()["error"]["code"], -32700)
        peer.greet()
        peer.tool("update_scratchpad", agent_id="a", key="k", content="v")
        peer.child.stdin.close()
        for line in peer.child.stdout:
            equal(json.loads(line)["jsonrpc"], "2.0")


def thresholds():
    """an owner tells on standard error that a threshold is reached, as serve does"""
    with directory() as path, Peer(path, "--status-memory", "1/1/1") as peer:
        peer.tool("update_scratchpad", agent_id="a", key="k", content="v")
        said = b""
        while b'msg="a threshold is reached" measure=memory_usage_mb from=ok to=critical' not in said:
            equal(bool(select.select([peer.child.stderr], [], [], WAIT_S)[0]), True, f"it only said {said!r}")
            said += os.read(peer.child.stderr.fileno(), 65536)
        peer.child.stdin.close()
        equal(peer.child.wait(WAIT_S), 0)


def no_home():
    """without HOME the user database names the home"""
    with directory():
        with Peer(None, env=environment(HOME=None)) as peer:
            equal(len(peer.request("tools/list")["result"]["tools"]) >= 6, True)


def opening_fails():
    """a store that cannot be opened is a failed call, and the process stays up"""
    with directory() as path:
        with open(path + "/file", "w", encoding="utf-8"):
            pass
        with Peer(path + "/file/store") as peer:
            for _ in range(2):
                reply = peer.tool("get_agent_state", agent_id="a", key="k")
                equal((reply["success"], reply["error_type"]), (False, "storage_unavailable"))
                contains(reply["message"], "--data-dir")
            equal("result" in peer.request("ping"), True)


def large_answers():
    """answers of any size, and of many calls sent at once, all reach a client that reads them; the process stays"""
    with directory() as path, Peer(path) as peer:
        for number in range(40):
            peer.tool("store_context", id=f"c{number}", type="log", content={"text": f"{number} " + "x" * 900_000})
        ids = [f"c{number}" for number in range(40)]
        equal(len(peer.tool("retrieve_context", ids=ids[:25])["results"]), 25)  # twice 22 MB in one line
        contains(peer.tool("retrieve_context", ids=ids)["message"], "ask for less at once")
        wanted = {peer.send("tools/call", {"name": "retrieve_context", "arguments": {"ids": [ids[number % 40]]}}) for number in range(100)}
        found = [peer.receive() for _ in range(100)]
        equal({reply["id"] for reply in found}, wanted)
        equal([reply["result"]["isError"] for reply in found], [False] * 100)
        equal(peer.end_input(), 0)


def reader_gone():
    """a client that closes its end of standard output ends the process"""
    with directory() as path, Peer(path) as peer:
        peer.child.stdout.close()
        peer.send("tools/list")
        peer.child.stdin.close()
        equal(peer.child.wait(WAIT_S), 0)


def answers_lost():
    """answers that cannot be written end the process with 1 and a reason; a reader that is gone is none"""
    ping = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'
    with directory() as path, open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "stdio", "--data-dir", path], input=ping, stdout=full, stderr=subprocess.PIPE,
                              env=environment(), timeout=WAIT_S)
        equal(done.returncode, 1)
        contains(done.stderr.decode(), "standard output: No space left on device")


def ends_under_connections():
    """an owner whose client leaves while others connect ends with 0, whatever numbers their connections have"""
    for _ in range(10):
        with directory() as path, Peer(path) as peer:
            peer.tool("update_scratchpad", agent_id="a", key="k", content="v")
            for name in ("0", "1"):
                equal(os.readlink(f"/proc/{peer.child.pid}/fd/{name}"), "/dev/null", "what the client's end was")
            over = threading.Event()

            def connect():
                while not over.is_set():
                    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                        client.connect(path + "/owner.sock")

            clients = [threading.Thread(target=connect) for _ in range(4)]
            for client in clients:
                client.start()
            try:
                equal(peer.end_input(), 0)
            finally:
                over.set()
                for client in clients:
                    client.join()


def closed_descriptors():
    """a process whose standard descriptors are closed ends, and none of them becomes a file of the store"""
    write = {"agent_id": "a", "key": "k", "content": "v"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "update_scratchpad", "arguments": write}}
    lines = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": REVISION,
                        "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}}) + "\n" + json.dumps(message) + "\n"
    for closed in ((0,), (1,), (2,), (0, 1, 2)):
        with directory() as path:
            done = subprocess.run([PROGRAM, "stdio", "--data-dir", path], input=lines.encode(), capture_output=True,
                                  env=environment(), timeout=WAIT_S, preexec_fn=lambda: [os.close(fd) for fd in closed])
            equal(done.returncode, 1 if closed == (1,) else 0, f"exit code with {closed} closed")
            equal(done.stdout.count(b"\n"), 2 if closed == (2,) else 0, f"answers with {closed} closed")
            code = subprocess.run([PROGRAM, "store", "log", "words", "--data-dir", path], capture_output=True, env=environment(),
                                  timeout=WAIT_S, preexec_fn=lambda: [os.close(fd) for fd in closed]).returncode
            equal(code, 1 if 1 in closed else 0, f"exit code of store with {closed} closed")
            equal(command("search", "words", "--data-dir", path)[0], 0, f"what was stored with {closed} closed")
            equal(os.path.getsize(path + "/owner.lock"), 0, f"the lock with {closed} closed")


run(opens_late, idle_signals, owner_signals, signals_upon_signals, end_of_input, end_of_input_idle, only_messages, thresholds, no_home,
    opening_fails, large_answers, reader_gone, answers_lost, ends_under_connections, closed_descriptors)
