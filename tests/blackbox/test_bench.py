#!/usr/bin/env python3
"""context-store bench: short runs against a server of its own and against a URL, its files, compare, and what goes wrong."""
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import xml.etree.ElementTree

from blackbox import (PROGRAM, WAIT_S, Server, command, contains, directory, environment, equal, owner_of, result, run,
                      small_disk, taken_port)
from redis_server import Redis

TOOLS = ["store_context", "retrieve_context", "update_scratchpad", "get_agent_state", "delete_context", "forget_context"]
QUICK = ["--iterations", "10", "--embedding-model", "off"]
WITHOUT = [*QUICK, "--no-baselines"]


def files(where):
    """The three files of the one run in the directory."""
    found = sorted(os.listdir(where))
    equal(len(found), 3, str(found))
    names = {pathlib.Path(name).suffix: os.path.join(where, name) for name in found}
    equal(bool(re.fullmatch(r"mcp_benchmark_\d{8}_\d{6}\.json", os.path.basename(names[".json"]))), True, names[".json"])
    equal(bool(re.fullmatch(r"mcp_benchmark_report_\d{8}_\d{6}\.txt", os.path.basename(names[".txt"]))), True)
    return names


def loaded(where):
    return json.loads(pathlib.Path(files(where)[".json"]).read_text())


def bench(where, *words, **kwargs):
    """A run that must succeed; returns its JSON."""
    result("bench", "--output-dir", where, *words, **kwargs)
    return loaded(where)


def of_kind(found, kind):
    return [m for m in found["measurements"] if m["kind"] == kind]


def check_counts(found, iterations):
    """Counts add up, figures are in order, and rounds are there."""
    for m in found["measurements"]:
        if "skipped" in m:
            continue
        equal(m["success"] + m["failures"], m["iterations"], m["name"])
        if m["kind"] in ("closed", "direct", "baseline"):
            equal(m["iterations"], iterations, f"{m['kind']} {m['name']}")
            equal(m["failures"], 0, f"{m['name']}: {m['failure']}")
        latency = m["latency_ms"]
        figures = [latency[name] for name in ("min", "median", "p95", "p99", "max")]
        equal(figures, sorted(figures), m["name"])
        assert latency["min"] <= latency["avg"] <= latency["max"], m
        assert m["rounds"], m


def leftovers(base):
    return [name for name in os.listdir(base) if name.startswith("context-store-bench-")]


def whole_run():
    """all tools, several levels, baselines: JSON, text and picture, and nothing left behind"""
    with directory() as base, directory() as out:
        code, text, err = command("bench", *QUICK, "--concurrent-connections", "1", "3,2", "--output-dir", out,
                                  env=environment(TMPDIR=base))
        equal(code, 0, err)
        found = loaded(out)
        equal((found["format"], found["partial"], found["why_partial"]), ("context-store-benchmark", False, None))
        equal([(m["name"], m["connections"]) for m in of_kind(found, "closed")],
              [(tool, level) for tool in TOOLS for level in (1, 2, 3)])
        equal([m["name"] for m in of_kind(found, "direct")], TOOLS)
        check_counts(found, 10)
        for m in of_kind(found, "closed"):
            equal((m["target_ms"], len(m["rounds"])), (50, 5))
            equal(type(m["memory_change_bytes"]), int)
        baselines = {m["name"].split(",")[0] for m in of_kind(found, "baseline")}
        assert {"bare responder", "raw SQLite"} <= baselines, baselines
        for server, names in (("redis-server", {"Redis GET", "Redis SET"}), ("nginx", {"nginx"})):
            equal(names <= baselines, True, f"{server} in {baselines}") if shutil.which(server) else contains(
                json.dumps(found), "not installed")
        assert found["self_check"]["ratio"] > 0
        report = pathlib.Path(files(out)[".txt"]).read_text()
        equal(text, report)
        for part in (*TOOLS, "median ms", "MCP against direct store access", "Baselines", "Self-check"):
            contains(report, part)
        picture = xml.etree.ElementTree.parse(files(out)[".svg"]).getroot()
        equal(picture.tag, "{http://www.w3.org/2000/svg}svg")
        texts = ["".join(node.itertext()) for node in picture.iter("{http://www.w3.org/2000/svg}text")]
        for part in (*TOOLS, "connections", "p50", "p95", "p99"):
            assert part in texts, texts
        equal(len(list(picture.iter("{http://www.w3.org/2000/svg}polyline"))), 3 * len(TOOLS))
        equal(leftovers(base), [])
        contains(err, files(out)[".json"])


def of_a_url():
    """--url measures a server that is there, over both transports, and takes back what it stored"""
    with directory() as data, Server(data, "--embedding-model", "off") as server:
        for transport in ("mcp", "tools"):
            with directory() as out:
                found = bench(out, "--iterations", "10", "--concurrent-connections", "2", "--no-baselines", "--url",
                              f"http://localhost:{server.port}/mcp", "--transport", transport)
                check_counts(found, 10)
                equal(len(of_kind(found, "closed")), 6)
                equal(of_kind(found, "direct"), [])
                contains(found["options"]["transport"], "/mcp" if transport == "mcp" else "/tools")
        equal(server.tool("retrieve_context", query="*")[1]["total_count"], 0)
        with directory() as out:
            bench(out, "--iterations", "10", "--concurrent-connections", "2", "--no-baselines", "--tools", "store", "--keep",
                  "--url", f"http://127.0.0.1:{server.port}")
        assert server.tool("retrieve_context", query="*")[1]["total_count"] >= 10
        equal(server.stop(), 0)


def keys():
    """--api-key opens a server that asks for one; without it the bench says so"""
    with directory() as data, directory() as out, Server(data, env=environment(API_KEY_ANN="s3cret:ann:admin:false")) as server:
        words = ["bench", *WITHOUT[:2], "--no-baselines", "--concurrent-connections", "1", "--tools", "state", "--url",
                 f"http://127.0.0.1:{server.port}", "--output-dir", out]
        code, _, err = command(*words)
        equal((code, os.listdir(out)), (1, []))
        contains(err, "--api-key")
        key = pathlib.Path(data, "key")
        key.write_text("s3cret\n")
        result(*words, "--api-key", f"@{key}")
        assert "s3cret" not in pathlib.Path(files(out)[".json"]).read_text()


def mixture():
    """--mix measures the mixture and each tool in it"""
    with directory() as out:
        found = bench(out, *WITHOUT, "--iterations", "60", "--concurrent-connections", "2", "--mix",
                      "retrieve=60,state=20,scratchpad=15,store=5")
        check_counts(found, 60)
        parts = {m["name"]: m for m in of_kind(found, "mix")}
        equal(set(parts), {"mix", "retrieve_context", "get_agent_state", "update_scratchpad", "store_context"})
        equal(parts["mix"]["iterations"], 60)
        equal(sum(m["iterations"] for m in parts.values()), 120)
        xml.etree.ElementTree.parse(files(out)[".svg"])


def open_loop():
    """--rate sends on a schedule and counts each request"""
    with directory() as base, directory() as out:
        text = result("bench", "--embedding-model", "off", "--no-baselines", "--rate", "200", "--duration", "1", "--mix",
                      "state=90,delete=10", "--concurrent-connections", "4", "--output-dir", out,
                      env=environment(TMPDIR=base))
        found = json.loads(pathlib.Path(base, next(iter(pathlib.Path(out).glob("*.json")))).read_text())
        whole = next(m for m in of_kind(found, "open") if m["name"] == "mix")
        equal((whole["rate"], whole["connections"]), (200, 4))
        equal(whole["success"] + whole["failures"] + whole["dropped"], 200)
        equal(len(whole["rounds"]), 5)
        contains(text, "asked for 200 a second")


def nobodys_servers():
    """keys and servers of the environment are not for the server a bench starts"""
    with directory() as out:
        found = bench(out, *WITHOUT, "--tools", "state", "--concurrent-connections", "1",
                      env=environment(API_KEY_ANN="s3cret:ann:admin:false", REDIS_URL="redis://127.0.0.1:1",
                                      NEO4J_URI="bolt://127.0.0.1:1"))
        check_counts(found, 10)
        equal([m["kind"] for m in found["measurements"]], ["closed", "direct"])


def redis_on_request():
    """a settings file's redis-url is not for a bench, --redis-url is, and nothing is left there"""
    words = [*WITHOUT, "--tools", "state", "scratchpad", "--concurrent-connections", "1"]
    with Redis() as redis, directory() as base, directory() as out:
        settings = pathlib.Path(base, "settings")
        settings.write_text(f"redis-url = {redis.url}\n")
        bench(out, *words, env=environment(CONTEXT_STORE_CONFIG=str(settings)))
        equal("evalsha" in redis.call("INFO", "commandstats"), False)
    with Redis() as redis, directory() as out:
        check_counts(bench(out, *words, "--redis-url", redis.url), 10)
        contains(redis.call("INFO", "commandstats"), "evalsha")
        equal(redis.call("DBSIZE"), 0)


def json_output():
    """--json prints the file's object"""
    with directory() as out:
        printed = result("bench", *WITHOUT, "--tools", "state", "--concurrent-connections", "1", "--json", "--output-dir", out)
        equal(json.loads(printed), loaded(out))


def targets():
    """--fail-on-target ends with 1 when a target is missed, and only then"""
    words = ["bench", *WITHOUT, "--tools", "state", "--concurrent-connections", "1", "--fail-on-target", "--target-ms"]
    with directory() as out:
        code, text, err = command(*words, "0.000001", "--output-dir", out)
        equal(code, 1)
        contains(text, "MISSED")
        contains(err, "a target was missed")
        equal(of_kind(loaded(out), "closed")[0]["target_met"], False)
    with directory() as out:
        result(*words, "100000", "--output-dir", out)


def never_called():
    """a tool of a mix whose turn never came has missed no target, and --fail-on-target does not end with 1 for it"""
    with directory() as out:
        found = bench(out, *WITHOUT, "--iterations", "1", "--concurrent-connections", "1", "--mix", "state=50,delete=50",
                      "--fail-on-target", "--target-ms", "100000")
        parts = {m["name"]: m for m in of_kind(found, "mix")}
        called = [m for m in parts.values() if m["iterations"]]
        equal((len(parts), len(called)), (3, 2))
        for m in parts.values():
            equal(m.get("target_met"), True if m["iterations"] else None, m["name"])
        equal("MISSED" in pathlib.Path(files(out)[".txt"]).read_text(), False)


def disk_full():
    """results that cannot be written are shown all the same, exit 1, and no torn file is left"""
    with small_disk("4k") as out:
        code, text, err = command("bench", *WITHOUT, "--tools", "state", "scratchpad", "--concurrent-connections", "1", "2", "3", "4",
                                  "--output-dir", out)
        equal(code, 1)
        contains(text, "Tools at each number of connections")
        contains(err, "No space left on device")
        equal("written" in err, False)
        equal(os.listdir(out), [])


def slowed(source, target, times, only=None):
    """A copy of the result in which measurements took so many times as long."""
    found = json.loads(pathlib.Path(source).read_text())
    for m in found["measurements"]:
        if only and m["kind"] != only:
            continue
        for part in m.get("rounds", []):
            part.update(median_ms=part["median_ms"] * times, p95_ms=part["p95_ms"] * times)
    pathlib.Path(target).write_text(json.dumps(found))
    return str(target)


def comparison():
    """compare: a run and itself do not differ; a slowed copy is slower, a quickened one faster"""
    with directory() as out, directory() as copies:
        bench(out, *QUICK, "--tools", "state", "scratchpad", "--concurrent-connections", "1", "2")
        first = files(out)[".json"]
        contains(result("bench", "compare", first, first), "0 slower, 0 faster")
        slow = slowed(first, os.path.join(copies, "slow.json"), 1000)
        text = result("bench", "compare", first, slow)
        contains(text, "12 slower, 0 faster, 0 no different")
        contains(text, "The machine itself was different")
        told = json.loads(result("bench", "compare", first, slow, "--json"))
        equal((told["slower"], told["faster"], len(told["rows"]) > 12), (12, 0, True))
        text = result("bench", "compare", slow, first)
        contains(text, "0 slower, 12 faster")
        only = slowed(first, os.path.join(copies, "only.json"), 1000, "closed")
        equal("The machine itself" in result("bench", "compare", first, only), False)
        contains(result("bench", "compare", first, slow, "--threshold", "1000"), "12 slower")
        equal(command("bench", "compare", first, slow, "--fail-on-slower")[0], 1)
        equal(command("bench", "compare", slow, first, "--fail-on-slower")[0], 0)


def comparison_of_others():
    """compare refuses what is no result, and says which file and why"""
    with directory() as base:
        path = pathlib.Path(base, "other.json")
        for text, why in (("", "other.json"), ("{]", "line 1"), ('{"name": "x"}', "no result of context-store bench"),
                          ('{"format": "context-store-benchmark", "format_version": 9}', "format_version 9")):
            path.write_text(text)
            code, out, err = command("bench", "compare", str(path), str(path))
            equal((code, out), (1, ""), text)
            contains(err, why)
        code, _, err = command("bench", "compare", str(path), "/nonexistent")
        equal(code, 1)
        for words, why in ((["compare", "a"], "two result files"), (["compar", "a", "b"], "compare"),
                           (["compare", "a", "b", "--threshold", "0"], "over 0")):
            code, _, err = command("bench", *words)
            equal(code, 2)
            contains(err, why)


def wrong_words():
    """wrong options end with 2 before anything is started or written"""
    with directory() as base:
        for words, why in ((["--iterations", "0"], "from 1 to"), (["--concurrent-connections", "0"], "from 1 to"),
                           (["--mix", "retrive=100"], "did you mean retrieve?"), (["--mix", "store=99"], "add up to 99"),
                           (["--rate", "-1"], "over 0"), (["--data-dir", "x"], "has no part")):
            code, out, err = command("bench", *words, "--output-dir", os.path.join(base, "out"))
            equal((code, out), (2, ""), str(words))
            contains(err, why)
        equal(os.listdir(base), [])


def wrong_places():
    """an output directory that cannot be written is told before the run, a URL where nobody or somebody else listens too"""
    with directory() as base:
        pathlib.Path(base, "file").write_text("")
        for where in (os.path.join(base, "file"), os.path.join(base, "file", "below")):
            code, _, err = command("bench", "--iterations", "10000000", "--output-dir", where)
            equal(code, 1)
            contains(err, "file")
        out = os.path.join(base, "out")
        listener, port = taken_port()
        listener.close()
        for url, why in ((f"http://127.0.0.1:{port}", "cannot connect"), ("http://nobody.invalid:80", "no host")):
            code, _, err = command("bench", "--url", url, "--output-dir", out)
            equal(code, 1)
            contains(err, why)
        for url in ("https://127.0.0.1:1", "127.0.0.1:8000"):
            code, _, err = command("bench", "--url", url, "--output-dir", out)
            equal(code, 2)
            contains(err, "http")
        equal(os.listdir(out), [])


@contextlib.contextmanager
def listener_saying(words):
    """A listener that answers each connection with these bytes."""
    listener, port = taken_port()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peer.recv(4096)
                peer.sendall(words)
                peer.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(WAIT_S)


def other_servers():
    """what listens but is no Context Store is told apart"""
    for words, why in ((b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"), (b"", "closed the connection"),
                       (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no Context Store")):
        with directory() as out, listener_saying(words) as port:
            code, _, err = command("bench", "--url", f"http://127.0.0.1:{port}", "--output-dir", out)
            equal((code, os.listdir(out)), (1, []))
            contains(err, why)


def as_from_a_terminal():
    """Whoever runs the tests may ignore these signals (nohup, a shell's background), and what is ignored is inherited."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Long:
    """A bench that would run for hours, with a server of its own; ready when it measures."""

    def __init__(self, base, out, *words):
        self.child = subprocess.Popen([PROGRAM, "bench", "--iterations", "10000000", "--rounds", "1", "--tools", "state",
                                       "--concurrent-connections", "2", "--no-baselines", "--embedding-model", "off",
                                       "--output-dir", out, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=environment(TMPDIR=base), preexec_fn=as_from_a_terminal)
        self.said = ""
        for line in self.child.stderr:
            self.said += line.decode()
            if re.search(r"get_agent_state, 2 connections, \d+/s", self.said):
                return
        raise AssertionError(f"the bench ended with {self.child.wait(WAIT_S)}: {self.said}")

    def finish(self):
        out, err = self.child.communicate(timeout=WAIT_S)
        return self.child.returncode, out.decode(), self.said + err.decode()


def server_of(base):
    """Pid of the server that runs on a directory below base."""
    (log,) = pathlib.Path(base).glob("context-store-bench-*/bench-server.log")
    return owner_of(log.parent)


def is_running(pid):
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def interrupted():
    """Ctrl-C, or the terminal's end, writes what there is, says that it is partial, and stops the server"""
    for number in (signal.SIGINT, signal.SIGHUP):
        with directory() as base, directory() as out:
            long = Long(base, out)
            pid = server_of(base)
            equal(is_running(pid), True)
            long.child.send_signal(number)
            code, text, err = long.finish()
            equal(code, 1, err)
            contains(err, "interrupted")
            contains(text, "PARTIAL: it was interrupted")
            found = loaded(out)
            equal((found["partial"], found["why_partial"]), (True, "it was interrupted"))
            (measured,) = of_kind(found, "closed")
            assert 0 < measured["iterations"] < 10000000, measured
            equal((is_running(pid), leftovers(base)), (False, []))


def server_dies():
    """a server that dies mid-run: what was measured is kept, and the reason told"""
    with directory() as base, directory() as out:
        long = Long(base, out)
        os.kill(server_of(base), signal.SIGKILL)
        code, text, err = long.finish()
        equal(code, 1, err)
        contains(err, "the server died during get_agent_state, 2 connections: it was ended by signal 9")
        found = loaded(out)
        equal(found["partial"], True)
        contains(found["why_partial"], "signal 9")
        contains(text, "PARTIAL")
        equal(leftovers(base), [])


def told_twice():
    """a second SIGTERM or SIGHUP does not keep a bench from ending in order"""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with directory() as base, directory() as out:
            long = Long(base, out)
            while long.child.poll() is None:
                long.child.send_signal(number)
            code, text, err = long.finish()
            equal(code, 1, err)
            contains(text, "PARTIAL: it was interrupted")
            equal((loaded(out)["partial"], leftovers(base)), (True, []))


def short(base):
    """A bench of some requests beside what is in base; what it said."""
    with directory() as out:
        code, _, err = command("bench", "--output-dir", out, "--rounds", "1", "--tools", "state",
                               "--concurrent-connections", "1", *WITHOUT, env=environment(TMPDIR=base))
    equal(code, 0, err)
    return err


def bench_dies():
    """a bench that is killed takes its server with it, and the next one removes its directories, and only those"""
    with directory() as base, directory() as out:
        mark = ".made-by-context-store-bench"
        others = {name: pathlib.Path(base) / f"context-store-bench-{name}" for name in ("mine", "link", "file")}
        kept = pathlib.Path(base) / "kept"
        for path in (others["mine"], kept):
            path.mkdir()
            (path / "precious").touch()
        (kept / mark).touch()
        others["link"].symlink_to(kept)
        others["file"].touch()
        long = Long(base, out)
        server = os.pidfd_open(server_of(base))
        living = leftovers(base)
        short(base)
        equal(sorted(leftovers(base)), sorted(living))  # a bench that lives keeps what it has
        long.child.kill()
        long.finish()
        # The descriptor becomes readable when the process ends.
        equal(bool(select.select([server], [], [], WAIT_S)[0]), True)
        os.close(server)
        equal(sorted(leftovers(base)), sorted(living))
        contains(short(base), "removed")
        equal(sorted(leftovers(base)), sorted(path.name for path in others.values()))
        equal(((others["mine"] / "precious").exists(), (kept / "precious").exists()), (True, True))


run(whole_run, of_a_url, keys, mixture, open_loop, nobodys_servers, redis_on_request, json_output, targets, never_called,
    disk_full, comparison, comparison_of_others, wrong_words, wrong_places, other_servers, interrupted, server_dies, told_twice,
    bench_dies)
