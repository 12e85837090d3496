#!/usr/bin/env python3
"""The command line: every command, typos, exit codes, and what goes to which stream."""
import contextlib
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess

from blackbox import (PROGRAM, ROOT, WAIT_S, Server, Skip, command, contains, directory, environment, equal, result, run, taken_port)

COMMANDS = ["serve", "stdio", "store", "search", "get", "delete", "forget", "restore", "model", "embed", "reembed", "eval", "bench",
            "config", "doctor", "version", "help"]


def version():
    """version and --version print name and version"""
    header = (ROOT / "src/base/version.h").read_text()
    wanted = "context-store " + re.search(r'CS_VERSION "([^"]+)"', header).group(1) + "\n"
    equal(result("version"), wanted)
    equal(result("--version"), wanted)


def overview():
    """--help lists each command and setting, on standard output"""
    out = result("--help")
    for name in COMMANDS:
        contains(out, f"\n  {name} ")
    table = (ROOT / "src/base/settings_table.h").read_text()
    for flag in re.findall(r'^SETTING\(\w+, "([^"]+)"', table, re.M):
        contains(out, f"--{flag}")
    equal(result("help"), out)
    equal([line for line in out.splitlines() if len(line) > 80], [])
    equal(result("-h"), out)


def no_command():
    """without a command the help goes to standard error, exit 2"""
    code, out, err = command()
    equal((code, out), (2, ""))
    contains(err, "usage: context-store COMMAND")
    for words, wanted in [(("--prot", "1"), "unknown command '1'"), (("--bogus",), "unknown option --bogus"),
                          (("--data-dir",), "--data-dir needs a value"), (("--config",), "--config needs a value"),
                          (("--port", "1"), "a command is missing")]:
        code, out, err = command(*words)
        equal((code, out), (2, ""), str(words))
        contains(err, wanted)


def help_of_each():
    """help COMMAND and COMMAND --help are the same and tell the usage"""
    for name in COMMANDS:
        out = result("help", name)
        contains(out, f"usage: context-store {name}")
        equal(result(name, "--help"), out, name)
        equal([line for line in out.splitlines() if len(line) > 80], [], name)  # what a terminal holds


def typos():
    """a mistyped word gets the nearest right one, and exit 2"""
    for words, wanted in [(("serv",), "did you mean serve?"), (("serve", "--prot", "1"), "did you mean --port?"),
                          (("search", "x", "--limt", "1"), "did you mean --limit?"), (("help", "doctr"), "did you mean doctor?"),
                          (("config", "prot"), "did you mean port?")]:
        code, out, err = command(*words)
        equal((code, out), (2, ""), str(words))
        contains(err, wanted)
    code, out, err = command("xyzzyplugh")
    equal((code, out), (2, ""))
    equal("did you mean" in err, False, "a hint for a word that is like none")


def wrong_usage():
    """missing and surplus words, values and options are wrong usage"""
    for words in [("store",), ("store", "decision"), ("store", "a", "b", "c"), ("search",), ("get",), ("get", "a", "b"),
                  ("restore",), ("serve", "now"), ("serve", "--port"), ("serve", "--port", "http"), ("serve", "--port=70000"),
                  ("store", "decision", "x", "--title"), ("search", "x", "--json=1"), ("delete", "x"), ("forget", "x"),
                  ("serve", "-p", "1"), ("reference", "nothing")]:
        code, out, err = command(*words)
        equal((code, out), (2, ""), str(words))
        contains(err, "context-store: ")


def config():
    """config prints value and origin: flag > environment > file > default"""
    with directory() as path:
        file = pathlib.Path(path, "settings")
        file.write_text("# mine\nport = 8101\nloops = 3\nqueue-max = 77\n")
        env = environment(MCP_SERVER_PORT="8102", CONTEXT_STORE_LOOPS="2", CONTEXT_STORE_CONFIG=str(file))
        found = json.loads(result("config", "--json", "--port", "8103", env=env))
        equal((found["port"]["value"], found["port"]["origin"]), (8103, "flag"))
        equal((found["loops"]["value"], found["loops"]["origin"]), (2, "environment"))
        equal((found["queue-max"]["value"], found["queue-max"]["origin"]), (77, "file"))
        equal((found["body-max"]["value"], found["body-max"]["origin"]), (4194304, "default"))
        text = result("config", "--config", str(file))
        contains(text, "8101")
        contains(text, "line 2")
        equal(len(result("config", "port").splitlines()), 2)


def config_wrong():
    """a wrong variable or file is a failure that names the place"""
    code, out, err = command("config", env=environment(MCP_SERVER_PORT="http"))
    equal((code, out), (1, ""))
    contains(err, "MCP_SERVER_PORT")
    with directory() as path:
        file = pathlib.Path(path, "settings")
        file.write_text("prot = 1\n")
        code, out, err = command("config", env=environment(CONTEXT_STORE_CONFIG=str(file)))
        equal((code, out), (1, ""))
        contains(err, "port")
        equal(command("config", "--config", str(file)), (1, "", err), "a file that a flag names")
        file.write_text("log-level = loud\n")
        equal(command("config", f"--config={file}", "--port", "1")[0], 1, "a level in a file")
    equal(command("config", "--config", "/nonexistent/file")[0], 1)
    equal(command("config", "--port", "1", env=environment(MCP_LOG_LEVEL="loud"))[0], 1, "a variable beside a good flag")
    equal(command("config", "--log-level", "loud")[0], 2)
    equal(command("version", env=environment(MCP_SERVER_PORT="http"))[0], 0, "version with broken settings")


def ignored_variables():
    """a variable that looks like a setting and is none is told of, once, with the one that was meant"""
    env = environment(CONTEXT_STORE_PORT="1234", CONTEXT_STORE_SERVICE_HOST="10.0.0.1")
    code, out, err = command("config", "port", env=env)
    equal((code, err.count("\n")), (0, 1), err)
    contains(err, "variable=CONTEXT_STORE_PORT did_you_mean=MCP_SERVER_PORT")
    contains(out, "8000")
    equal(command("config", "--log-level", "error", env=env)[2], "")
    equal(command("version", env=env)[2], "")
    for file in (ROOT / "src").glob("*/*.c"):  # what is read is not told as ignored
        for name in re.findall(r'getenv\("(CONTEXT_STORE_\w+)"\)', file.read_text()):
            equal(command("config", "port", env=environment(**{name: "x"}))[2], "", name)
    with directory() as path:
        file = pathlib.Path(path, "settings")
        file.write_text("confi = x\n")
        equal("did you mean" in command("config", "--config", str(file))[2], False, "a file does not name a file")


def store_search_get():
    """store prints the id; search and get find it"""
    with directory() as path:
        where = ("--data-dir", path + "/new/store")
        first = result("store", "decision", "Use SQLite for everything", "--title", "Storage", "--tag", "db", "--tag", "core",
                       "--meta", "author=ann", "--meta", "n:=3", "--relate", "refines:plan-1", *where).strip()
        second = result("store", "log", "-", *where, stdin='{"title": "Piped", "steps": ["one", "two"]}').strip()
        file = pathlib.Path(path, "note.md")
        file.write_text("# A note on elephants\n")
        third = result("store", "design", f"@{file}", "--id", "note-1", *where).strip()
        equal(third, "note-1")
        equal(len({first, second, third}), 3)
        found = json.loads(result("search", "sqlite", "--json", *where))
        equal([hit["id"] for hit in found["results"]], [first])
        contains(result("search", "elephants", *where), "note-1")
        equal(json.loads(result("search", "sqlite", "elephants", "steps", "two", "--type", "log", "--json", *where))["total_count"], 1)
        one = json.loads(result("get", first, "--json", *where))
        equal(one["content"], {"title": "Storage", "text": "Use SQLite for everything"})
        equal((one["metadata"]["author"], one["metadata"]["n"], one["metadata"]["tags"]), ("ann", 3, ["db", "core"]))
        text = result("get", first, *where)
        for part in ("decision", "Use SQLite for everything", "plan-1", "ann"):
            contains(text, part)
        equal(os.stat(path + "/new/store").st_mode & 0o777, 0o700)
        equal(os.stat(path + "/new/store/context-store.db").st_mode & 0o077, 0)


def more_than_shown():
    """search says that there is more, and what shows it: a higher limit, or where it is the highest, a narrower search"""
    with directory() as path, Server(path) as server:
        for part in range(2):
            many = [{"type": "log", "content": {"text": f"zebra {part} {number}"}} for number in range(60)]
            equal(server.tool("store_context", contexts=many)[0], 200)
        for limit, told in (("5", "5 of 120; --limit N shows more"), ("100", "100 of 120; further words")):
            code, out, err = command("search", "zebra", "--limit", limit, "--data-dir", path)
            equal((code, len(out.splitlines())), (0, int(limit) + 1))
            contains(err, told)


def versions():
    """storing under an id again makes a version; history shows both; if-version guards"""
    with directory() as path:
        where = ("--data-dir", path)
        result("store", "log", "first words", "--id", "a", *where)
        result("store", "log", "second words", "--id", "a", "--if-version", "1", *where)
        code, out, err = command("store", "log", "third", "--id", "a", "--if-version", "1", *where)
        equal((code, out), (1, ""))
        contains(err, "version")
        history = json.loads(result("get", "a", "--history", "--json", *where))["history"]
        equal([entry["version"] for entry in history], [2, 1])
        equal([entry["content"]["text"] for entry in history], ["second words", "first words"])
        contains(result("get", "a", "--history", *where), "first words")


def remove_and_restore():
    """delete and forget hide, restore brings back, --hard does not come back"""
    with directory() as path:
        where = ("--data-dir", path)
        result("store", "log", "walrus one", "--id", "a", *where)
        result("store", "log", "walrus two", "--id", "b", *where)
        result("store", "log", "walrus three", "--id", "c", *where)
        result("delete", "a", "--reason", "a good reason", *where)
        result("forget", "b", "--reason", "a good reason", "--retention-days", "3", *where)
        result("delete", "c", "--hard", "--reason", "a good reason", *where)
        equal(json.loads(result("search", "walrus", "--json", *where))["total_count"], 0)
        code, out, err = command("get", "a", *where)
        equal((code, out), (1, ""))
        contains(err, "no context has the id a")
        result("restore", "a", *where)
        result("restore", "b", *where)
        equal(command("restore", "c", *where)[0], 1)
        equal(json.loads(result("search", "walrus", "--json", *where))["total_count"], 2)
        equal(command("delete", "a", "--reason", "no", *where)[0], 1, "a reason that is too short")


def restore_through_owner():
    """restore and history go through the process that owns the directory"""
    with directory() as path, Server(path) as server:
        where = ("--data-dir", path)
        result("store", "log", "narwhal", "--id", "a", *where)
        result("delete", "a", "--reason", "a good reason", *where)
        result("restore", "a", *where)
        equal(server.tool("retrieve_context", query="narwhal")[1]["total_count"], 1)
        equal(len(json.loads(result("get", "a", "--history", "--json", *where))["history"]) >= 1, True)
        code, _, err = command("restore", "nothing", *where)
        equal(code, 1)
        contains(err, "nothing")


def bad_input():
    """what cannot be stored is one line on standard error, exit 1, and nothing on standard output"""
    with directory() as path:
        where = ("--data-dir", path)
        file = pathlib.Path(path, "broken.json")
        file.write_text('{"a": ')
        for words, stdin in [(("store", "nonsense", "x"), b""), (("store", "log", f"@{file}"), b""),
                             (("store", "log", "@/no/such/file"), b""), (("store", "log", "-"), b"\xff\xfe"),
                             (("store", "log", "x", "--meta", "novalue"), b""), (("store", "log", "x", "--meta", "k:={"), b""),
                             (("store", "log", "x", "--relate", "alone"), b""), (("store", "log", "x", "--if-version", "one"), b"")]:
            code, out, err = command(*words, *where, stdin=stdin)
            equal((code, out, err.count("\n")), (1, "", 1), f"{words}: {err}")


def no_store_yet():
    """reading where no store is says so and creates nothing"""
    with directory() as path:
        missing = path + "/missing"
        for words in [("search", "x"), ("get", "x"), ("restore", "x")]:
            code, out, err = command(*words, "--data-dir", missing)
            equal((code, out), (1, ""), str(words))
            contains(err, "no store in")
        equal(os.path.exists(missing), False)


def places():
    """the data directory: XDG_DATA_HOME, then HOME, then the user database"""
    with directory() as path:
        result("store", "log", "x", env=environment(XDG_DATA_HOME=path + "/x"))
        equal(os.path.exists(path + "/x/context-store/context-store.db"), True)
        result("store", "log", "x", env=environment(HOME=path + "/h"))
        equal(os.path.exists(path + "/h/.local/share/context-store/context-store.db"), True)
        result("store", "log", "x", env=environment(HOME=path + "/h2", XDG_DATA_HOME="relative"))
        equal(os.path.exists(path + "/h2/.local/share/context-store/context-store.db"), True)
    out = command("doctor", "--json", "--port", "0", env=environment(HOME=None))[1]
    contains(out, "/.local/share/context-store")


def doctor():
    """doctor is content with a good store, and says what is wrong with a bad one"""
    with directory() as path:
        where = ("--data-dir", path, "--port", "0")
        os.chmod(path, 0o700)
        result("store", "log", "x", "--data-dir", path)
        found = json.loads(result("doctor", "--json", *where))
        equal(found["success"], True)
        equal({check["verdict"] for check in found["checks"]} <= {"ok", "warning"}, True)
        contains(result("doctor", *where), "integrity")
        listener, port = taken_port()
        with listener:
            code, out, err = command("doctor", "--data-dir", path, "--port", str(port))
            equal(code, 1)
            contains(out, f"port {port}")
            contains(out, f"process {os.getpid()}")
        pathlib.Path(path, "context-store.db").write_bytes(b"this is no database at all" * 400)
        code, out, err = command("doctor", *where)
        equal(code, 1)
        contains(out, "fault    integrity")
        contains(out, "->")


@contextlib.contextmanager
def unprivileged():
    """A directory, and a way to run a copy of the program in it as somebody whom modes of files hold back."""
    with directory() as path:
        program = shutil.copy(PROGRAM, path + "/program")
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        if nobody:
            os.chown(path, 65534, 65534)
        os.chmod(program, 0o755)

        def run_it(*words):
            done = subprocess.run([program, *words], capture_output=True, env=environment(), text=True, timeout=WAIT_S, **nobody)
            return done.returncode, done.stdout, done.stderr
        yield path, run_it


def of_doctor(run_it, *words):
    """The findings of doctor by name, and its exit code."""
    code, out, _ = run_it("doctor", "--json", "--embedding-model", "off", *words)
    return {check["check"]: check for check in json.loads(out)["checks"]}, code


def doctor_kept_out():
    """what doctor may not open it does not judge, and search does not take it for a store that is not there"""
    with unprivileged() as (path, run_it):
        where = ("--data-dir", path + "/d", "--port", "0")
        equal(run_it("store", "log", "x", "--embedding-model", "off", *where)[0], 0)
        file = path + "/d/context-store.db"
        for mode in (0o000, 0o400):
            os.chmod(file, mode)
            found, code = of_doctor(run_it, *where)
            equal((code, found["file"]["verdict"], found["integrity"]["verdict"]), (1, "fault", "ok"), oct(mode))
            contains(found["file"]["mend"], "chmod 600")
            contains(found["integrity"]["detail"], "not looked at")
        os.chmod(file, 0o600)
        os.chmod(path + "/d/owner.lock", 0)
        contains(of_doctor(run_it, *where)[0]["owner"]["detail"], "not looked at")
        os.chmod(path + "/d/owner.lock", 0o600)
        os.chmod(path + "/d", 0)
        try:
            found, code = of_doctor(run_it, *where)
            equal((code, found["directory"]["verdict"]), (1, "fault"))
            for name in ("file", "integrity", "owner"):
                contains(found[name]["detail"], "not looked at")
            code, out, err = run_it("search", "x", *where)
            equal((code, out, "yet" in err), (1, "", False), err)
            contains(err, "Permission denied")
            for below in ("/d/x", "/d/x/y"):
                found, code = of_doctor(run_it, "--data-dir", path + below, "--port", "0")
                equal((code, found["directory"]["verdict"]), (1, "fault"), below)
        finally:
            os.chmod(path + "/d", 0o700)
        os.mkdir(path + "/closed", 0o500)
        if os.geteuid() == 0:
            os.chown(path + "/closed", 65534, 65534)
        found, code = of_doctor(run_it, "--data-dir", path + "/closed/a/b", "--port", "0")
        equal((code, found["directory"]["verdict"]), (1, "fault"), found["directory"]["detail"])
        contains(found["directory"]["detail"], f"{path}/closed/: Permission denied")


def doctor_advice():
    """what doctor says to do fits what it found"""
    with directory() as path:
        file, link = pathlib.Path(path, "file"), pathlib.Path(path, "link")
        file.write_text("")
        link.symlink_to(path + "/nowhere")
        for place, detail in ((f"{file}/x", "Not a directory"), (link, "leads nowhere")):
            found, code = of_doctor(command, "--data-dir", str(place), "--port", "0")
            equal((code, found["directory"]["verdict"]), (1, "fault"), str(place))
            contains(found["directory"]["detail"], detail)
        where = ("--data-dir", path + "/d", "--port", "0")
        result("store", "log", "x", "--embedding-model", "off", *where)
        with contextlib.closing(sqlite3.connect(path + "/d/context-store.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            found, code = of_doctor(command, *where)
            equal((code, found["integrity"]["verdict"], found["integrity"]["mend"]), (1, "fault", "end it and repeat"))
        for flags, key, detail in (((), "bad", "API_KEY_ANN"), (("--status-cpu", "9/5/1"), "k:ann:admin:false", "status-cpu"),
                                   (("--host", "0.0.0.0"), None, "without API keys"), ((), "k:ann:admin:false", None)):
            env = environment(API_KEY_ANN=key)
            found, code = of_doctor(lambda *words, env=env: command(*words, env=env), *where, *flags)
            equal((code, found["settings"]["verdict"]), (1, "fault") if detail else (0, "ok"), str(found["settings"]))
            contains(found["settings"]["detail"], detail or "API keys")
        found, code = of_doctor(command, "--data-dir", path + "/d", "--host", "nobody.invalid")
        equal((code, found["port"]["verdict"], "stop" in found["port"]["mend"]), (1, "fault", False), str(found["port"]))
        listener, port = taken_port()
        with listener:
            found, _ = of_doctor(command, "--data-dir", path + "/d", "--port", str(port))
            equal(found["port"]["mend"], "stop it, or choose another with --port N")


def doctor_creates_nothing():
    """doctor on a directory that is not there creates nothing and finds nothing wrong"""
    with directory() as path:
        result("doctor", "--data-dir", path + "/none", "--port", "0")
        equal(os.path.exists(path + "/none"), False)


def foreign_file():
    """a damaged or foreign database file is refused with a sentence, and not touched"""
    with directory() as path:
        file = pathlib.Path(path, "context-store.db")
        file.write_bytes(b"not a database" * 1000)
        before = file.read_bytes()
        for words in [("search", "x"), ("store", "log", "x"), ("serve", "--port", "0")]:
            code, out, err = command(*words, "--data-dir", path)
            equal((code, out), (1, ""), str(words))
            contains(err, path)
        equal(file.read_bytes(), before)


def read_only_directory():
    """a directory that cannot be written says how to mend it"""
    with directory() as path:
        blocker = pathlib.Path(path, "file")
        blocker.write_text("")
        code, out, err = command("store", "log", "x", "--data-dir", f"{blocker}/store")
        equal((code, out), (1, ""))
        contains(err, "--data-dir")


def escapes():
    """stored control characters do not reach the terminal"""
    with directory() as path:
        where = ("--data-dir", path)
        result("store", "log", "-", "--id", "a", *where, stdin='{"text": "zebra \\u001b[31mred\\u0007"}')
        for words in [("get", "a"), ("search", "zebra")]:
            out = result(*words, *where)
            equal("\x1b" in out or "\x07" in out, False, str(words))
            contains(out, "red")


def tables_fit():
    """on a terminal a table is no wider than the window and bold unless NO_COLOR; elsewhere it is plain and whole"""
    import fcntl
    import struct
    import termios

    def on_terminal(env, columns=60):
        try:
            master, slave = pty.openpty()
        except OSError as why:
            raise Skip(f"no terminal can be made here: {why}") from why
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        child = subprocess.Popen([PROGRAM, "search", "giraffe", "--data-dir", path], stdout=slave, stderr=subprocess.DEVNULL, env=env)
        os.close(slave)
        out = b""
        try:
            while piece := os.read(master, 65536):
                out += piece
        except OSError:  # the other side has closed
            pass
        os.close(master)
        equal(child.wait(WAIT_S), 0)
        return out.decode()

    with directory() as path:
        title = "giraffe " + "long " * 60
        name = result("store", "log", "x", "--title", title, "--data-dir", path).strip()
        plain = result("search", "giraffe", "--data-dir", path)
        contains(plain, title.strip())
        equal("\x1b" in plain, False)
        shown = on_terminal(environment(TERM="xterm"))
        contains(shown, "\x1b[1m")
        bare = re.sub("\x1b\\[[0-9]*m", "", shown)
        equal(max(len(line) for line in bare.splitlines()) <= 60, True, bare)
        contains(bare, "…")
        equal("\x1b" in on_terminal(environment(TERM="xterm", NO_COLOR="1")), False)
        # In the usual width the id can be copied whole, and the text has the line below to itself.
        lines = on_terminal(environment(TERM="dumb"), columns=80).split("\r\n")
        equal(lines[2].startswith(name + "  log"), True, lines)
        equal((lines[3][:13], len(lines[3]), lines[3][-1]), ("    giraffe l", 80, "…"), lines)
        wide = on_terminal(environment(TERM="dumb"), columns=120).split("\r\n")
        equal((wide[1].startswith(name), len(wide[1]), wide[1][-1]), (True, 120, "…"), wide)


def full_output():
    """a result that cannot be written is a failure"""

    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "--help"], stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=WAIT_S)
        equal(done.returncode, 1)
        done = subprocess.run([PROGRAM, "config"], stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=WAIT_S)
        equal(done.returncode, 1)
    with directory() as path:  # files that may not grow are a full disk
        for words in (("store", "log", "x", "--data-dir", path + "/store"), ("config",)):
            with open(path + "/out", "wb") as out:
                done = subprocess.run([PROGRAM, *words], stdout=out, stderr=subprocess.PIPE, env=environment(), timeout=WAIT_S,
                                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)))
            equal(done.returncode, 1, str(words))
            contains(done.stderr.decode(), path if "store" in words else "standard output")


def port_in_use():
    """serve on a used port says who has it and what to do"""
    listener, port = taken_port()
    with listener, directory() as path:
        code, out, err = command("serve", "--data-dir", path, "--port", str(port))
        equal((code, out), (1, ""))
        contains(err, f"port {port} of 127.0.0.1 is in use by process {os.getpid()}")
        contains(err, "--port")


def port_of_another_server():
    """two servers do not share a port, although each shares its own among its loops"""
    with directory() as first, directory() as second, Server(first) as server:
        code, out, err = command("serve", "--data-dir", second, "--port", str(server.port))
        equal((code, out), (1, ""))
        contains(err, f"is in use by process {server.child.pid} (context-store)")
        equal(server.tool("update_scratchpad", agent_id="a", key="k", content="v")[0], 200)


def exposure():
    """serve refuses an address beyond loopback without API keys, and says the way out"""
    with directory() as path:
        code, out, err = command("serve", "--data-dir", path, "--host", "0.0.0.0", "--port", "0")
        equal((code, out), (1, ""))
        contains(err, "API_KEY_")
        env = environment(API_KEY_ANN="a-long-secret-key:ann:admin:false")
        with Server(path, "--host", "0.0.0.0", env=env) as server:
            equal(server.stop(), 0)
            equal("a-long-secret-key" in "".join(server.said), False)


def log_as_json():
    """with --log-format json every line on standard error is an object, the one that tells the address too"""
    with directory() as path, Server(path, "--log-format", "json", env=environment(CONTEXT_STORE_PORT="1")) as server:
        server.tool("get_agent_state", agent_id="a", prefix="memory")
        equal(server.stop(), 0)
        server.reader.join(WAIT_S)
        lines = [json.loads(line) for line in server.said]
        address = [line for line in lines if line.get("url") == f"http://127.0.0.1:{server.port}/mcp"]
        equal((len(address), address[0]["data_dir"]), (1, path))


def signals():
    """SIGTERM and SIGINT drain and end with 0; standard output stays empty"""
    for number in (signal.SIGTERM, signal.SIGINT):
        with directory() as path, Server(path) as server:
            equal(server.tool("update_scratchpad", agent_id="a", key="k", content="v")[0], 200)
            equal(server.stop(number), 0)
            equal(server.child.stdout.read(), b"")


def second_signal():
    """a second SIGINT ends a server that still waits for a request, at once and with 1"""
    with directory() as path, Server(path) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        # The interim reply tells that the server is in the middle of this request.
        client.sendall(b"POST /tools/get_agent_state HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        contains(client.recv(1000).decode(), "100 Continue")
        client.sendall(b"{")
        server.child.send_signal(signal.SIGINT)
        server.wait_for("draining")
        equal(server.stop(signal.SIGINT), 1)
        equal(result("doctor", "--data-dir", path, "--port", "0").count("fault"), 0)


run(version, overview, no_command, help_of_each, typos, wrong_usage, config, config_wrong, ignored_variables, store_search_get,
    more_than_shown, versions, remove_and_restore, restore_through_owner, bad_input, no_store_yet, places, doctor, doctor_kept_out,
    doctor_advice, doctor_creates_nothing, foreign_file, read_only_directory, escapes, tables_fit, full_output, port_in_use,
    port_of_another_server, exposure, log_as_json, signals, second_signal)
