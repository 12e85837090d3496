#!/usr/bin/env python3
"""kill -9 amid 64 writers, CS_KILL_ROUNDS times (50): every acknowledged write is there after the restart.

Each writer keeps one connection and writes, in turn, a key of its own, a context of its own and a counter that it shares
with nobody, until the line breaks; what was answered with success is acknowledged. The next round begins by looking for
all that the former one had acknowledged; the last look is for everything, in pages, and through the text index. A
counter tells more than presence: it must lie between what was acknowledged and what was sent, so that nothing is done
twice. Rounds last CS_KILL_SECONDS (0.3) from the moment every writer has been answered once, and the kill falls where it
falls.
"""
import json
import os
import threading

from blackbox import WAIT_S, Server, command, directory, equal, run
from wire import Wire, call

WRITERS = 64
ROUNDS = int(os.environ.get("CS_KILL_ROUNDS", "50"))
SECONDS = float(os.environ.get("CS_KILL_SECONDS", "0.3"))


class Writer:
    """What one client sent and had acknowledged, over all rounds."""

    def __init__(self, number):
        self.agent = f"w{number}"
        self.sent = self.counted_sent = self.counted = 0
        self.keys, self.contexts = {}, {}

    def next_call(self):
        self.sent += 1
        name = f"{self.agent}-{self.sent}"
        kind = self.sent % 3
        if kind == 0:
            self.counted_sent += 1
            return "counter", name, call("update_scratchpad", {"agent_id": self.agent, "key": "n", "mode": "increment", "prefix": "state"})
        if kind == 1:
            return "key", name, call("update_scratchpad", {"agent_id": self.agent, "key": name, "content": name, "prefix": "memory"})
        content = {"title": name, "text": f"kill {self.agent} amid commits"}
        return "context", name, call("store_context", {"type": "log", "id": name, "content": content})

    def acknowledge(self, kind, name):
        if kind == "counter":
            self.counted += 1
        elif kind == "key":
            self.keys[name] = name
        else:
            self.contexts[name] = name

    def write(self, port, begun):
        """Until the line breaks; what is answered must be answered well."""
        with Wire(port) as wire:
            try:
                while True:
                    kind, name, data = self.next_call()
                    reply = wire.send(data).reply()
                    if reply is None:
                        return
                    equal(reply.json()["success"], True, str(reply.body))
                    self.acknowledge(kind, name)
                    begun.release()
            except (ConnectionError, AssertionError) as problem:
                if "bytes of the body" not in str(problem) and not isinstance(problem, ConnectionError):
                    raise
            finally:
                for _ in range(WRITERS):  # nobody waits for one whose line broke
                    begun.release()


def run_round(path, writers):
    """64 writers, then the kill; raises what a writer found wrong."""
    failures = []
    begun = threading.Semaphore(0)

    def work(writer, port):
        try:
            writer.write(port, begun)
        except BaseException as problem:  # told below, on the main thread
            failures.append(problem)

    with Server(path) as server:
        threads = [threading.Thread(target=work, args=(writer, server.port)) for writer in writers]
        for thread in threads:
            thread.start()
        for _ in writers:
            begun.acquire(timeout=WAIT_S)
        threads[0].join(SECONDS)
        equal(server.child.poll(), None, "the server's end before the kill")
        server.child.kill()
        for thread in threads:
            thread.join()
    equal(failures, [])


def keys_of(server, writer):
    found, cursor = {}, None
    while True:
        page = server.tool("get_agent_state", agent_id=writer.agent, prefix="memory", limit=1000, **({"cursor": cursor} if cursor else {}))[1]
        found.update(page["data"])
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def contexts_found(server, ids):
    found = set()
    for start in range(0, len(ids), 100):
        reply = server.tool("retrieve_context", ids=ids[start:start + 100])[1]
        found.update(hit["id"] for hit in reply["results"] if hit["content"]["title"] == hit["id"])
    return found


def count_found(server, writers):
    """(acknowledged, found) over all writers; a value that differs is not found."""
    acknowledged = found = 0
    for writer in writers:
        there = keys_of(server, writer)
        found += sum(there.get(key) == value for key, value in writer.keys.items())
        acknowledged += len(writer.keys) + len(writer.contexts)
        counter = server.tool("get_agent_state", agent_id=writer.agent, key="n", prefix="state")[1]
        value = int(counter["data"]["content"]) if counter["success"] else 0
        equal(writer.counted <= value <= writer.counted_sent, True, f"{writer.counted} <= {value} <= {writer.counted_sent}")
    ids = [name for writer in writers for name in writer.contexts]
    return acknowledged, found + len(contexts_found(server, ids))


def kill_amid_writers():
    """kill -9 amid 64 writers: every acknowledged write is there after the restart, and no counter counts twice"""
    writers = [Writer(number) for number in range(WRITERS)]
    with directory() as path:
        for number in range(ROUNDS):
            before = [(dict(writer.keys), dict(writer.contexts)) for writer in writers]
            run_round(path, writers)
            with Server(path) as server:
                fresh = [name for writer, (_, old) in zip(writers, before) for name in writer.contexts.keys() - old.keys()]
                equal(len(contexts_found(server, fresh)), len(fresh), f"contexts found of those acknowledged in round {number + 1}")
                equal(server.stop(), 0)
        with Server(path) as server:
            acknowledged, found = count_found(server, writers)
            counted = sum(writer.counted for writer in writers)
            print(f"# {ROUNDS} kills: {acknowledged} writes acknowledged, {found} found; {counted} increments acknowledged", flush=True)
            equal(found, acknowledged, "found of the acknowledged")
            equal(acknowledged > ROUNDS * WRITERS, True, "acknowledged enough to mean something")
            for writer in writers[:4]:
                hits = server.tool("retrieve_context", query=f"kill {writer.agent}", search_mode="text", limit=1)[1]["total_count"]
                equal(hits >= len(writer.contexts), True, f"{hits} words found of {len(writer.contexts)} contexts")
            equal(server.stop(), 0)
        checks = {check["check"]: check["verdict"] for check in json.loads(command("doctor", "--json", "--data-dir", path)[1])["checks"]}
        equal((checks["file"], checks["integrity"]), ("ok", "ok"))


run(kill_amid_writers)
