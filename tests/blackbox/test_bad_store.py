#!/usr/bin/env python3
"""Storage that fails: disks that are full or read-only, files that are damaged, foreign or too new, a directory that is taken.

A refused file is not touched by a byte. A full disk is made as a small tmpfs where mounting is permitted; a limit on the
size of files does the same to anybody.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import resource
import sqlite3
import subprocess

from blackbox import Peer, Server, Skip, command, contains, directory, environment, equal, PROGRAM, run, small_disk
from wire import ask, call, kept, plant, request

TOOLS = [("get_agent_state", {"agent_id": "kept", "prefix": "memory"}), ("get_agent_state", {"agent_id": "kept", "key": "k", "prefix": "memory"}),
         ("retrieve_context", {"query": "heron", "search_mode": "text"}), ("retrieve_context", {"query": "*", "limit": 100}),
         ("retrieve_context", {"query": "filler", "search_mode": "text", "limit": 100, "include_relationships": True}),
         ("retrieve_context", {"ids": [f"c{number}" for number in range(0, 300, 3)]}),
         ("retrieve_context", {"query": "*", "filters": {"tags": ["t1"]}, "sort_by": "timestamp"}),
         ("update_scratchpad", {"agent_id": "new", "key": "k", "content": "x"}), ("update_scratchpad", {"agent_id": "new", "key": "n", "mode": "increment"}),
         ("store_context", {"type": "log", "content": {"text": "after the damage"}}), ("store_context", {"type": "log", "id": "c7", "content": {"text": "changed"}}),
         ("delete_context", {"context_id": "c9", "reason": "because"}), ("forget_context", {"context_id": "c10", "reason": "because"}),
         ("delete_context", {"context_id": "c11", "reason": "because", "hard_delete": True})]


def fill(path):
    """A store of some hundred pages, closed in order."""
    with Server(path) as server:
        plant(server)
        contexts = [{"type": "log", "id": f"c{number}", "content": {"title": f"filler {number}", "text": f"words {number} " * 50},
                     "metadata": {"tags": [f"t{number % 3}"]}, "relationships": [{"type": "after", "target": f"c{number - 1}"}]} for number in range(300)]
        for start in range(0, 300, 100):
            equal(server.tool("store_context", contexts=contexts[start:start + 100])[1]["stored"], 100)
        for number in range(300):
            equal(server.tool("update_scratchpad", agent_id="kept", key=f"k{number}", content="x" * 500, prefix="memory")[0], 200)
        equal(server.stop(), 0)
    return pathlib.Path(path, "context-store.db")


def refuses(path, *parts):
    """serve, store and search end with 1 and one line that says why; stdio lives on and gives a storage failure; doctor faults."""
    file = pathlib.Path(path, "context-store.db")
    before = hashlib.sha256(file.read_bytes()).digest() if file.is_file() else None
    for words in (("serve", "--port", "0"), ("store", "log", "x"), ("search", "x")):
        code, out, err = command(*words, "--data-dir", path)
        equal((code, out), (1, ""), f"{words}: {err}")
        equal(err.count("\n"), 1, err)
        for part in ("context-store.db", *parts):
            contains(err, part)
    with Peer(path) as peer:
        for _ in range(2):
            found = peer.tool("update_scratchpad", agent_id="a", key="k", content="x")
            equal((found["success"], found["error_type"] in ("storage_error", "storage_unavailable")), (False, True), str(found))
            equal("result" in peer.request("ping"), True)
        equal(peer.end_input(), 0)
    code, out, _ = command("doctor", "--json", "--data-dir", path)
    equal((code, json.loads(out)["success"]), (1, False))
    equal(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else None, before, "the file changed")


def changed(file, change):
    data = bytearray(file.read_bytes())
    change(data)
    file.write_bytes(data)


def damaged_head():
    """a file whose head is overwritten is refused, and left as it is"""
    for start, rubbish in ((0, b"\0" * 16), (0, b"garbage!" * 512), (16, b"\xff" * 8), (0, b"\0" * 4096)):
        with directory() as path:
            file = fill(path)
            changed(file, lambda data: data.__setitem__(slice(start, start + len(rubbish)), rubbish))
            refuses(path)


def text_in_its_place():
    """text, an image, one byte or a directory in the place of the file is refused"""
    for rubbish in (b"Dear diary,\n" * 500, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, b"x"):
        with directory() as path:
            pathlib.Path(path, "context-store.db").write_bytes(rubbish)
            refuses(path)
    with directory() as path:
        pathlib.Path(path, "context-store.db").mkdir()
        refuses(path)


def foreign_databases():
    """another program's database, a newer one of ours and one with an impossible version are refused"""
    for statements, parts in ((["CREATE TABLE notes(text)", "INSERT INTO notes VALUES('mine')"], ["another program", "--data-dir"]),
                              (["PRAGMA application_id=77"], ["another program"]), (["PRAGMA user_version=3"], ["another program"])):
        with directory() as path:
            with contextlib.closing(sqlite3.connect(os.path.join(path, "context-store.db"))) as base:
                for statement in statements:
                    base.execute(statement)
                base.commit()
            refuses(path, *parts)
    for version, part in ((999, "newer version"), (2**31 - 1, "newer version"), (0, "damaged"), (-1, "damaged")):
        with directory() as path:
            with contextlib.closing(sqlite3.connect(fill(path))) as base:
                base.execute(f"PRAGMA user_version={version}")
                base.commit()
                base.execute("PRAGMA journal_mode=DELETE").fetchall()
            refuses(path, part)


def attack_calls(server, where):
    """Every call is answered by a tool's object with a status of the error table, and the server stays."""
    for tool, arguments in TOOLS:
        reply = ask(server.port, call(tool, arguments))
        found = reply.json()
        good = (reply.status, found.get("error_type")) in ((200, None), (404, "not_found"), (404, "key_not_found"), (500, "storage_error"), (503, "storage_unavailable"))
        equal(good, True, f"{where}: {tool} gave {reply.status} {reply.body[:300]!r}")
    equal(ask(server.port, request("GET", "/health/live")).status, 200)
    equal(ask(server.port, request("GET", "/health/ready")).status in (200, 503), True)
    equal(server.child.poll(), None, where)
    equal(server.stop(), 0, where)


def damaged_middle():
    """a file damaged in its middle, or cut: refused, or served with storage_error for what is gone; doctor names it"""
    chance = random.Random(1124)
    faults = 0
    with directory() as original:
        whole = fill(original).read_bytes()
    for turn in range(40):
        with directory() as path:
            data = bytearray(whole)
            if turn % 4 == 0:
                del data[chance.randrange(8192, len(data)):]
                where = f"cut to {len(data)} bytes"
            else:
                size = chance.choice((1, 16, 4096, 65536))
                start = chance.randrange(4096, len(data) - size)
                data[start:start + size] = chance.randbytes(size) if turn % 4 == 1 else (b"\0" if turn % 4 == 2 else b"\xff") * size
                where = f"{size} bytes at {start} of {len(data)}, turn {turn}"
            pathlib.Path(path, "context-store.db").write_bytes(data)
            code, out, err = command("doctor", "--json", "--data-dir", path)
            equal(code in (0, 1), True, f"{where}: {err}")
            faults += not json.loads(out)["success"]
            try:
                server = Server(path)
            except AssertionError as refused:
                contains(str(refused), "serve ended with 1")
                continue
            with server:
                attack_calls(server, where)
            command("search", "heron", "--data-dir", path)
    print(f"# doctor found a fault in {faults} of 40 damaged files", flush=True)
    equal(faults >= 25, True, "the doctor sees most damage")


def damaged_log():
    """a write-ahead log or shared memory full of rubbish, and a lock file with any text, harm nothing that was stored"""
    for name in ("context-store.db-wal", "context-store.db-shm", "owner.lock"):
        for rubbish in (b"", b"\0" * 40_000, b"rubbish " * 10_000, b"pid 99999999999999999999\nsince \xff\ncommand " + b"x" * 5000):
            with directory() as path:
                with Server(path) as server:
                    plant(server)
                    equal(server.stop(), 0)
                pathlib.Path(path, name).write_bytes(rubbish)
                with Server(path) as server:
                    kept(server)
                    equal(server.stop(), 0)


def second_owner():
    """a second serve on the same directory, by whatever name, ends with 1 and names the first, which goes on"""
    with directory() as path, directory() as elsewhere, Server(path) as server:
        plant(server)
        link = os.path.join(elsewhere, "link")
        os.symlink(path, link)
        for name in (path, path + "/", path + "/.", link):
            code, out, err = command("serve", "--data-dir", name, "--port", "0")
            equal((code, out), (1, ""))
            contains(err, f"process {server.child.pid} ")
        code, out, err = command("serve", "--data-dir", elsewhere, "--port", str(server.port))
        equal((code, out), (1, ""))
        contains(err, str(server.port))
        kept(server)
        equal(server.stop(), 0)


def until_full(server):
    """Stores until the disk is full; the ids of what was acknowledged."""
    stored = []
    for number in range(2000):
        status, found = server.tool("store_context", type="log", id=f"f{number}", content={"text": f"filling {number} " * 1000})
        if status != 200:
            equal((status, found["error_type"]), (503, "storage_unavailable"), str(found))
            return stored, found["message"]
        stored.append(f"f{number}")
    raise AssertionError("the disk took everything")


def all_there(server, ids):
    for start in range(0, len(ids), 100):
        found = server.tool("retrieve_context", ids=ids[start:start + 100])[1]
        equal([hit["id"] for hit in found["results"]], ids[start:start + 100])


def full_disk():
    """a full disk: writes are 503 and say what to do, reads go on, and with room writes do; nothing acknowledged is lost"""
    with small_disk("12m") as path:
        filler = pathlib.Path(path, "filler")
        filler.write_bytes(b"\0" * (4 << 20))
        with Server(path) as server:
            plant(server)
            stored, message = until_full(server)
            contains(message, "full")
            contains(message, "free some space")
            for _ in range(20):
                status, found = server.tool("store_context", type="log", content={"text": "more " * 20_000})
                equal((status, found["error_type"]), (503, "storage_unavailable"))
            kept(server)
            all_there(server, stored)
            equal(server.child.poll(), None)
            filler.unlink()
            status, found = server.tool("store_context", type="log", id="again", content={"text": "room again"})
            equal(status, 200, str(found))
            equal(server.stop(), 0)
        with Server(path) as server:
            kept(server)
            all_there(server, [*stored, "again"])
            equal(server.stop(), 0)


def full_disk_at_the_end():
    """a server that ends on a full disk, or is killed on it, loses nothing it had acknowledged"""
    for kill in (False, True):
        with small_disk("6m") as path:
            with Server(path) as server:
                plant(server)
                stored, _ = until_full(server)
                if kill:
                    server.child.kill()
                else:
                    equal(server.stop(), 0)
            with Server(path) as server:
                kept(server)
                all_there(server, stored)
                equal(server.stop(), 0)


def file_size_limit():
    """a limit on the size of files is a full disk, and no signal that kills"""
    with directory() as path, Server(path) as server:
        plant(server)
        resource.prlimit(server.child.pid, resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))
        stored, _ = until_full(server)
        kept(server)
        all_there(server, stored)
        resource.prlimit(server.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        equal(server.tool("store_context", type="log", id="again", content={"text": "room again"})[0], 200)
        all_there(server, [*stored, "again"])
        equal(server.stop(), 0)


def full_from_the_start():
    """a disk that is full before the first start: serve says so and ends with 1"""
    with small_disk("64k") as path:
        pathlib.Path(path, "filler").write_bytes(b"\0" * (56 << 10))
        code, out, err = command("serve", "--data-dir", path, "--port", "0")
        equal((code, out, err.count("\n")), (1, "", 1), err)
        os.unlink(os.path.join(path, "filler"))


def read_only():
    """a read-only disk: serve says how to mend it and ends with 1, nothing is lost when it is writable again"""
    with small_disk("20m") as path:
        fill(path)
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
        for words in (("serve", "--port", "0"), ("store", "log", "x")):
            code, out, err = command(*words, "--data-dir", path)
            equal((code, out, err.count("\n")), (1, "", 1), err)
            contains(err, "--data-dir")
        with Peer(path) as peer:
            found = peer.tool("update_scratchpad", agent_id="a", key="k", content="x")
            equal((found["success"], found["error_type"]), (False, "storage_unavailable"))
            equal("result" in peer.request("ping"), True)
        equal(command("doctor", "--data-dir", path)[0], 1)
        subprocess.run(["mount", "-o", "remount,rw", path], check=True)
        with Server(path) as server:
            kept(server)
            equal(server.stop(), 0)


def not_permitted():
    """a directory of somebody else: serve says so and ends with 1"""
    if os.geteuid() == 0:
        words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode or not os.access(PROGRAM, os.X_OK):
            raise Skip("root writes everywhere, and cannot become somebody else here")
    else:
        words = []
    with directory() as path:
        os.chmod(path, 0o555)
        test = subprocess.run([*words, PROGRAM, "version"], capture_output=True, check=False, env=environment())
        if test.returncode:
            raise Skip("the program cannot be run by somebody else here")
        done = subprocess.run([*words, PROGRAM, "serve", "--data-dir", path, "--port", "0"], capture_output=True, check=False, env=environment())
        equal((done.returncode, done.stdout), (1, b""))
        contains(done.stderr.decode(), "--data-dir")
        os.chmod(path, 0o700)


run(damaged_head, text_in_its_place, foreign_databases, damaged_middle, damaged_log, second_owner, full_disk, full_disk_at_the_end,
    file_size_limit, full_from_the_start, read_only, not_permitted)
