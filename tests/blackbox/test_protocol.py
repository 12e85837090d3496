#!/usr/bin/env python3
"""MCP as clients speak it, every revision over HTTP and stdio; every message of the server is held against its revision's schema.

Schemas are read from $CS_SHARED/mcp-schema/REVISION/schema.json (by default ../shared beside the checkout) with the jsonschema
package; where one of the two is missing, the tests that are about schemas only are skipped and the others check what they
say themselves. An error whose request could not be read has id null, as JSON-RPC asks; the schemas know no such id, so it
is left out before such a message is validated.
"""
import base64
import contextlib
import glob
import http.client
import json
import os
import pathlib
import socket
import sys

from blackbox import PROGRAM, ROOT, Server, Skip, WAIT_S, Peer, contains, directory, environment, equal, run

sys.path += glob.glob(str(ROOT / "build/sdk/python/lib/python3*/site-packages"))
try:
    import jsonschema
except ImportError:
    jsonschema = None

LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
MODERN = "2026-07-28"
SHARED = pathlib.Path(os.environ.get("CS_SHARED", ROOT / "../shared"))
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "blackbox", "version": "1"}}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
WRITE = {"name": "update_scratchpad", "arguments": {"agent_id": "proto", "key": "k", "content": "he said \"hi\" \U0001f600"}}
READ = {"name": "get_agent_state", "arguments": {"agent_id": "proto", "key": "k", "prefix": "scratchpad"}}
FAIL = {"name": "get_agent_state", "arguments": {"agent_id": "no such id!"}}


class Schema:
    """The definitions of one revision; `check` does nothing where schemas are not to be had."""

    def __init__(self, revision):
        path = SHARED / "mcp-schema" / revision / "schema.json"
        self.whole = json.loads(path.read_text()) if jsonschema and path.exists() else None

    def check(self, definition, value):
        if not self.whole:
            return
        place = "$defs" if "$defs" in self.whole else "definitions"
        if definition not in self.whole[place]:
            raise AssertionError(f"the schema has no {definition}")
        validator = jsonschema.validators.validator_for(self.whole)
        validator({**self.whole, "$ref": f"#/{place}/{definition}"} if place == "$defs" else
                  {"$schema": self.whole["$schema"], place: self.whole[place], "allOf": [{"$ref": f"#/{place}/{definition}"}]}).validate(value)

    def check_reply(self, reply, definition=None):
        """A result with its own definition, or an error."""
        if "error" not in reply:
            self.check("JSONRPCMessage", reply)
            if definition:
                self.check(definition, reply["result"])
            return
        shown = {name: value for name, value in reply.items() if name != "id" or value is not None}
        if self.whole and "JSONRPCErrorResponse" not in (self.whole.get("$defs") or {}):
            self.check("JSONRPCError", {"id": 0, **shown})
        else:
            self.check("JSONRPCErrorResponse" if self.whole else "", shown)


def need_schemas():
    if not jsonschema:
        raise Skip("the Python package jsonschema is not installed")
    if not (SHARED / "mcp-schema").is_dir():
        raise Skip(f"no mcp-schema in {SHARED}")


def message(number, method, params=None):
    return {"jsonrpc": "2.0", "id": number, "method": method, **({} if params is None else {"params": params})}


def notification(method, params=None):
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})}


class Client:
    """One HTTP connection to the server's /mcp."""

    def __init__(self, port):
        self.port = port
        self.session = None
        self.told = False  # the server was told to end
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)

    def send(self, method, body, headers=None, path="/mcp"):
        """(status, headers, JSON or text or None). A header of value None is left out."""
        given = {**ACCEPT, **({"Mcp-Session-Id": self.session} if self.session else {}), **(headers or {})}
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        self.connection.request(method, path, data, {name: value for name, value in given.items() if value is not None})
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.getheader("Content-Type", "").startswith("application/json"):
            return reply.status, reply.headers, json.loads(text)
        return reply.status, reply.headers, text.decode() or None

    def post(self, body, **headers):
        return self.send("POST", body, {name.replace("_", "-"): value for name, value in headers.items()})

    def open(self, revision):
        self.session = None
        status, headers, reply = self.post(message(0, "initialize", {"protocolVersion": revision, "capabilities": {},
                                                                     "clientInfo": {"name": "blackbox", "version": "1"}}))
        equal(status, 200, str(reply))
        self.session = headers["Mcp-Session-Id"]
        equal(self.post(notification("notifications/initialized"))[0::2], (202, None))
        return reply

    def modern(self, number, method, params=None, **headers):
        params = {**(params or {}), "_meta": META}
        given = {"MCP_Protocol_Version": MODERN, "Mcp_Method": method}
        if "name" in params:
            given["Mcp_Name"] = params["name"]
        return self.post(message(number, method, params), **{**given, **headers})


@contextlib.contextmanager
def served(*flags, env=None):
    """A server and a client; at the end the server is told to end, unless the test has done so, and must end with 0."""
    with directory() as path, Server(path, *flags, env=env) as server:
        client = Client(server.port)
        try:
            yield server, client
            client.connection.close()
            equal(server.child.wait(WAIT_S) if client.told else server.stop(), 0, "exit code")
        finally:
            client.connection.close()


def equal_texts(result):
    equal(json.loads(result["content"][0]["text"]), result["structuredContent"], "text and structured content")


def converse(ask, schema, revision):
    """What a client of this revision does; `ask` sends (id, method, params) and gives the reply."""
    complete = revision == MODERN
    listed = ask(1, "tools/list", None)
    schema.check_reply(listed, "ListToolsResult")
    names = [tool["name"] for tool in listed["result"]["tools"]]
    equal({"store_context", "update_scratchpad", "get_agent_state"} <= set(names), True)
    equal("annotations" in listed["result"]["tools"][0], revision != "2024-11-05")
    equal("outputSchema" in listed["result"]["tools"][0], revision >= "2025-06-18")
    for params, failed in ((WRITE, False), (READ, False), (FAIL, True)):
        called = ask("call", "tools/call", params)
        schema.check_reply(called, "CallToolResult")
        result = called["result"]
        equal(result["isError"], failed)
        equal("structuredContent" in result, revision >= "2025-06-18")
        equal(result.get("resultType"), "complete" if complete else None)
        if "structuredContent" in result:
            equal_texts(result)
        tool = next(tool for tool in listed["result"]["tools"] if tool["name"] == params["name"])
        if jsonschema and "outputSchema" in tool:
            jsonschema.Draft202012Validator(tool["outputSchema"]).validate(result["structuredContent"])
    for number, (method, params, code) in enumerate([
            ("no/such", None, -32601), ("tools/call", {"name": "no_such"}, -32602), ("tools/call", {"name": 7}, -32602),
            ("tools/call", {"name": "get_agent_state", "arguments": [1]}, -32602), ("tools/list", {"cursor": "x"}, -32602)]):
        refused = ask(number, method, params)
        schema.check_reply(refused)
        equal((refused["id"], refused["error"]["code"]), (number, code))


def legacy_http():
    """HTTP: each legacy revision opens a session, lists and calls; replies fit its schema"""
    with served() as (_, client):
        for revision in LEGACY:
            schema = Schema(revision)
            opened = client.open(revision)
            schema.check_reply(opened, "InitializeResult")
            equal(opened["result"]["protocolVersion"], revision)
            version = {"MCP_Protocol_Version": revision} if revision >= "2025-06-18" else {}

            def ask(number, method, params):
                status, headers, reply = client.post(message(number, method, params), **version)
                equal((status, headers["Content-Type"]), (200, "application/json"), str(reply))
                return reply
            schema.check_reply(ask("p", "ping", None), "EmptyResult")
            converse(ask, schema, revision)


def modern_http():
    """HTTP: 2026-07-28 discovers, lists and calls without a session; replies fit its schema"""
    schema = Schema(MODERN)
    with served() as (_, client):
        status, headers, found = client.modern("d", "server/discover")
        equal((status, headers.get("Mcp-Session-Id")), (200, None))
        schema.check_reply(found, "DiscoverResult")
        equal(found["result"]["supportedVersions"], [MODERN, *reversed(LEGACY)])
        equal(found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "context-store")

        def ask(number, method, params):
            status, _, reply = client.modern(number, method, params, Mcp_Name=str((params or {}).get("name")))
            if not isinstance((params or {}).get("name", ""), str):
                status, _, reply = client.modern(number, method, params, Mcp_Name="7")
            equal(status, 404 if method == "no/such" else 200, str(reply))
            return reply
        converse(ask, schema, MODERN)


def stdio_all():
    """stdio: each revision, replies fit its schema; both eras on one channel"""
    for revision in [*LEGACY, MODERN]:
        schema = Schema(revision)
        with directory() as path, Peer(path, greet=False) as peer:
            def ask(number, method, params):
                meta = {"_meta": META} if revision == MODERN else {}
                whole = {**(params or {}), **meta}
                peer.child.stdin.write(json.dumps(message(number, method, whole or None)).encode() + b"\n")
                peer.child.stdin.flush()
                return peer.receive()
            if revision == MODERN:
                schema.check_reply(ask(0, "server/discover", None), "DiscoverResult")
            else:
                opened = ask(0, "initialize", {"protocolVersion": revision, "capabilities": {},
                                               "clientInfo": {"name": "b", "version": "1"}})
                schema.check_reply(opened, "InitializeResult")
                equal(opened["result"]["protocolVersion"], revision)
                schema.check_reply(ask("d", "server/discover", {"_meta": META}))
            converse(ask, schema, revision)
            equal(peer.end_input(), 0)


def negotiation():
    """initialize that asks for 2026-07-28 or an unknown revision is answered with 2025-11-25"""
    with served() as (_, client):
        for asked in (MODERN, "1900-01-01", "2099-01-01", ""):
            equal(client.open(asked)["result"]["protocolVersion"], "2025-11-25")
    for asked in (MODERN, "x"):
        with directory() as path, Peer(path, greet=False) as peer:
            reply = peer.request("initialize", {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}})
            equal(reply["result"]["protocolVersion"], "2025-11-25")


def header_mismatches():
    """HTTP, 2026-07-28: headers that differ from the body, unknown versions, incomplete _meta"""
    schema = Schema(MODERN)
    encoded = "=?base64?" + base64.b64encode(b"get_agent_state").decode() + "?="
    call = {"name": "get_agent_state", "arguments": {"agent_id": "a"}}
    with served() as (_, client):
        for headers, params, status, code in [
                ({"MCP_Protocol_Version": None}, None, 400, -32020),
                ({"MCP_Protocol_Version": "2025-11-25"}, None, 400, -32020),
                ({"Mcp_Method": None}, None, 400, -32020),
                ({"Mcp_Method": "tools/call"}, None, 400, -32020),
                ({"Mcp_Name": None}, call, 400, -32020),
                ({"Mcp_Name": "store_context"}, call, 400, -32020),
                ({"Mcp_Name": "=?base64?%%%?="}, call, 400, -32020),
                ({"Mcp_Name": encoded}, call, 200, None)]:
            found, _, reply = client.modern(1, "tools/call" if params else "tools/list", params, **headers)
            schema.check_reply(reply)
            equal((found, reply.get("error", {}).get("code")), (status, code), str(headers))
        for meta, code in [({}, -32602), (7, -32602), ({**META, "io.modelcontextprotocol/clientCapabilities": None}, -32602),
                           ({**META, "io.modelcontextprotocol/clientInfo": "x"}, -32602),
                           ({**META, "io.modelcontextprotocol/protocolVersion": 7}, -32602)]:
            found, _, reply = client.post(message(1, "tools/list", {"_meta": meta}), MCP_Protocol_Version=MODERN, Mcp_Method="tools/list")
            schema.check_reply(reply)
            equal((found, reply["error"]["code"]), (400, code), str(meta))
        unknown = {**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}
        found, _, reply = client.post(message(1, "tools/list", {"_meta": unknown}), MCP_Protocol_Version="2099-01-01", Mcp_Method="tools/list")
        equal((found, reply["error"]["code"], reply["error"]["data"]["requested"]), (400, -32022, "2099-01-01"))
        schema.check("UnsupportedProtocolVersionError", reply)
        for method in ("initialize", "ping", "logging/setLevel"):
            found, _, reply = client.modern(1, method)
            equal((found, reply["error"]["code"]), (404, -32601), method)


def sessions():
    """HTTP: a session is needed, unknown ones are 404, DELETE ends one, the oldest makes room"""
    with served("--sessions-max", "2") as (_, client):
        ping = message(1, "ping")
        equal(client.post(ping)[0], 400)
        equal(client.post(ping, Mcp_Session_Id="0" * 32)[0], 404)
        equal(client.post(notification("notifications/initialized"), Mcp_Session_Id="x")[0], 404)
        client.open("2025-11-25")
        first = client.session
        equal(len(first) >= 22 and first.isascii() and first.isprintable(), True)
        equal(client.post(ping)[0], 200)
        equal(client.post(ping, MCP_Protocol_Version="1900-01-01")[0], 400)
        equal(client.send("DELETE", None)[0], 204)
        equal(client.post(ping)[0], 404)
        equal(client.send("DELETE", None)[0], 404)
        client.open("2025-11-25")
        oldest = client.session
        client.open("2025-11-25")
        client.open("2025-11-25")
        equal(client.post(ping)[0], 200)
        equal(client.post(ping, Mcp_Session_Id=oldest)[0], 404)


def stream(port, headers, body=None):
    """Opens an event stream; returns (socket file, status)."""
    place = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    data = json.dumps(body).encode() if body else b""
    lines = [f"{'POST' if body else 'GET'} /mcp HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json, text/event-stream",
             *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    place.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    reader = place.makefile("rb")
    place.close()
    status = int(reader.readline().split()[1])
    while reader.readline().strip():
        pass
    return reader, status


def event(reader):
    """The data of the next event, comments and chunk sizes skipped; None at the end."""
    for line in reader:
        if line.startswith(b"data:"):
            return json.loads(line[5:])
    return None


def get_streams():
    """HTTP: a session has up to four GET streams, and they end with it"""
    with served() as (server, client):
        client.open("2025-06-18")
        given = {"Mcp-Session-Id": client.session}
        readers = []
        for _ in range(4):
            reader, status = stream(server.port, given)
            equal(status, 200)
            readers.append(reader)
        fifth, status = stream(server.port, given)
        equal(status, 409)
        fifth.close()
        equal(client.send("GET", None, {"Accept": "application/json"})[0], 406)
        equal(client.send("GET", None, {"Mcp-Session-Id": "x"})[0], 404)
        equal(client.send("GET", None, {"Mcp-Session-Id": None})[0], 400)
        equal(client.send("GET", None, {"MCP-Protocol-Version": MODERN})[0], 405)
        equal(client.send("DELETE", None)[0], 204)
        for reader in readers:
            equal(event(reader), None)
            reader.close()


def listening():
    """subscriptions/listen is acknowledged, and ends gracefully when the server drains"""
    schema = Schema(MODERN)
    body = message("s1", "subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": META})
    with served() as (server, client):
        reader, status = stream(server.port, {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}, body)
        equal(status, 200)
        first = event(reader)
        schema.check("SubscriptionsAcknowledgedNotification", first)
        equal(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s1")
        client.connection.close()
        server.child.terminate()
        client.told = True
        last = event(reader)
        schema.check_reply(last, "SubscriptionsListenResult")
        equal((last["id"], event(reader)), ("s1", None))
        reader.close()
    with directory() as path, Peer(path, greet=False) as peer:
        peer.child.stdin.write(json.dumps(body).encode() + b"\n")
        peer.child.stdin.flush()
        schema.check("SubscriptionsAcknowledgedNotification", peer.receive())
        peer.child.stdin.close()
        schema.check_reply(peer.receive(), "SubscriptionsListenResult")
        over = peer.receive()
        schema.check("CancelledNotification", over)
        equal(over["params"]["requestId"], "s1")
        equal(peer.child.wait(WAIT_S), 0)


def batches():
    """batches are answered as arrays where the revision has them, and refused elsewhere"""
    batch = [message(1, "ping"), notification("notifications/initialized"), 7, message("x", "tools/call", READ),
             message(2, "initialize", {"protocolVersion": "2025-03-26"})]
    with served() as (_, client):
        for revision in LEGACY:
            client.open(revision)
            status, _, reply = client.post(batch)
            if revision >= "2025-06-18":
                equal((status, reply["error"]["code"]), (400, -32600))
                continue
            equal(status, 200)
            equal([one["id"] for one in reply], [1, None, "x", 2])
            equal([one.get("error", {}).get("code") for one in reply], [None, -32600, None, -32600])
            for one in reply:
                Schema(revision).check_reply(one)
            equal(client.post([notification("a"), notification("b")])[0::2], (202, None))
            for bad in ([], [message(n, "ping") for n in range(101)]):
                status, _, reply = client.post(bad)
                equal((status, reply["error"]["code"], reply["id"]), (400, -32600, None))
        equal(client.post([message(1, "ping")], MCP_Protocol_Version=MODERN, Mcp_Method="ping")[0], 400)
    with directory() as path, Peer(path, greet=False) as peer:
        peer.request("initialize", {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}})
        peer.child.stdin.write(json.dumps([message("b", "ping"), message("c", "tools/list")]).encode() + b"\n")
        peer.child.stdin.flush()
        equal([one["id"] for one in peer.receive()], ["b", "c"])


BAD = [(b"", -32700), (b"{", -32700), (b"\xef\xbb\xbf{}", -32700), (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700),
       (b'{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}', -32700), (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700),
       (b"[" * 65 + b"]" * 65, -32700), (b'{"jsonrpc":"2.0","id":1,"method":"ping"} x', -32700), (b"NaN", -32700),
       (b"7", -32600), (b"{}", -32600), (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
       (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600), (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
       (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600), (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":7}', -32600)]


def bad_input():
    """what is no message is answered with an error and id null, over HTTP (400) and stdio; the server goes on"""
    with served() as (_, client):
        client.open("2025-11-25")
        for text, code in BAD:
            status, _, reply = client.post(text)
            equal((status, reply["error"]["code"], reply["id"]), (400, code, None), str(text))
            Schema("2025-11-25").check_reply(reply)
        for number in (0, -1, 2**63, 2**64 - 1, 10**30, "", "\U0001f600\u0000"):
            equal(client.post(message(number, "ping"))[2], {"jsonrpc": "2.0", "id": number, "result": {}})
        equal(client.post(message(1, "ping"), Content_Type="text/plain")[0], 415)
        equal(client.post(message(1, "ping"), Accept="text/html")[0], 406)
        equal(client.post(message(1, "ping"), Host="evil.example")[0], 403)
        equal(client.post(message(1, "ping"), Origin="http://evil.example")[0], 403)
        equal(client.post(message(1, "ping"), Origin="http://localhost:6274")[0], 200)
        status, headers, _ = client.send("PUT", b"{}")
        equal((status, "POST" in headers["Allow"]), (405, True))
        equal(client.post(message(1, "ping"))[0], 200)
    with directory() as path, Peer(path) as peer:
        for text, code in BAD:
            if not text:
                continue
            peer.child.stdin.write(text + b"\n")
            peer.child.stdin.flush()
            reply = peer.receive()
            equal((reply["error"]["code"], reply["id"]), (code, None), str(text))
        equal("result" in peer.request("ping"), True)


def large_bodies():
    """a large message is read by a worker; one over the limit is 413, or an error on stdio; the server goes on"""
    content = "x" * 90_000
    call = {"name": "update_scratchpad", "arguments": {"agent_id": "proto", "key": "large", "content": content}}
    with served() as (server, client):
        client.open("2025-11-25")
        status, _, reply = client.post(message(1, "tools/call", call))
        equal((status, reply["result"]["isError"], reply["result"]["structuredContent"]["content_size"]), (200, False, 90_000))
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            equal(client.post(b" " * (5 << 20))[0], 413)
        client.connection.close()
        equal(client.post(message(1, "ping"))[0], 200)
    with directory() as path, Peer(path) as peer:
        equal(peer.request("tools/call", call)["result"]["structuredContent"]["content_size"], 90_000)
        peer.child.stdin.write(b" " * (5 << 20) + b"\n")
        peer.child.stdin.flush()
        equal(peer.receive()["error"]["code"], -32700)
        equal("result" in peer.request("ping"), True)


def plain_pages():
    """/tools, POST /tools/{name}, /health*, /metrics and / answer as the contracts say"""
    with served() as (_, client):
        status, _, listed = client.send("GET", None, path="/tools")
        equal((status, "get_agent_state" in [tool["name"] for tool in listed["tools"]]), (200, True))
        for path in ("/health", "/health/live", "/health/ready", "/health/detailed", "/metrics", "/"):
            equal(client.send("GET", None, path=path)[0], 200, path)
        contains(client.send("GET", None, path="/metrics")[2], "mcp_sessions")
        for name, body, status, kind in [
                ("update_scratchpad", WRITE["arguments"], 200, None), ("get_agent_state", READ["arguments"], 200, None),
                ("get_agent_state", {"agent_id": "proto", "key": "none"}, 404, "key_not_found"),
                ("get_agent_state", {"agent_id": "!"}, 400, "invalid_agent_id"), ("get_agent_state", {}, 400, "missing_parameter"),
                ("get_agent_state", b"[]", 400, "validation_error"), ("no_such", {}, 404, "not_found")]:
            found, _, reply = client.send("POST", body, path="/tools/" + name)
            equal((found, reply["success"], reply.get("error_type")), (status, kind is None, kind), name)
        equal(client.send("POST", b"{", path="/tools/get_agent_state")[0], 400)
        equal(client.send("GET", None, path="/tools/get_agent_state")[0], 405)
        equal(client.send("GET", None, path="/nothing")[0], 404)


def keys():
    """API keys: none is 401 with WWW-Authenticate, roles hold, sessions belong to their key"""
    env = environment(API_KEY_ANN="sesame:ann:admin:false", API_KEY_BOT="robot:bot:reader:true")
    with served(env=env) as (_, client):
        status, headers, _ = client.post(message(1, "ping"))
        equal((status, headers["WWW-Authenticate"].split()[0]), (401, "Bearer"))
        equal(client.send("GET", None, path="/health/live")[0], 200)
        equal(client.modern(1, "tools/list", Authorization="Bearer sesame")[0], 200)
        equal(client.modern(1, "tools/list", X_API_Key="sesame")[0], 200)
        equal(client.modern(1, "tools/list", X_API_Key="sesam")[0], 401)
        reply = client.modern(1, "tools/call", WRITE, X_API_Key="robot")[2]
        equal(reply["result"]["structuredContent"]["error_type"], "forbidden_operation")
        equal(client.send("POST", WRITE["arguments"], {"X-API-Key": "robot"}, path="/tools/update_scratchpad")[0], 403)


def schemas_are_there():
    """the schemas of all revisions were used"""
    need_schemas()
    for revision in [*LEGACY, MODERN]:
        equal(Schema(revision).whole is not None, True, revision)
        try:
            Schema(revision).check("CallToolResult", {"content": 7})
        except jsonschema.ValidationError:
            continue
        raise AssertionError(f"the schema of {revision} finds no fault")


if not os.access(PROGRAM, os.X_OK):
    print(f"1..0 # SKIP there is no {PROGRAM}")
    sys.exit(0)
run(schemas_are_there, legacy_http, modern_http, stdio_all, negotiation, header_mismatches, sessions, get_streams, listening, batches,
    bad_input, large_bodies, plain_pages, keys)
