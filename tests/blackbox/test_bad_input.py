#!/usr/bin/env python3
"""Bad messages: what is no JSON, no message, no tool, no valid argument; over HTTP, stdio and through a forwarding process.

What is wrong on the wire below JSON is test_bad_wire's; storage that fails, test_bad_store's.
"""
import json

from blackbox import Peer, Server, contains, directory, equal, result, run
from wire import ask, bounded, call, kept, plant, request, standing

PAD = {"agent_id": "a", "key": "k", "content": "x"}
LOG = {"type": "log", "content": {"text": "x"}}
FIND = {"query": "x", "search_mode": "text"}
GONE = {"context_id": "none", "reason": "because"}

# (tool, arguments, status of POST /tools/{name}, error_type, a part of the message)
FAILURES = [
    # missing
    ("get_agent_state", {}, 400, "missing_parameter", "agent_id"),
    ("update_scratchpad", {"agent_id": "a", "key": "k"}, 400, "missing_parameter", "content"),
    ("update_scratchpad", {**PAD, "content": None}, 400, "missing_parameter", "content"),
    ("store_context", {}, 400, "missing_parameter", "content"),
    ("store_context", {"content": {}}, 400, "missing_parameter", "type"),
    ("store_context", {"contexts": [{}]}, 400, "missing_parameter", "contexts[0].content"),
    ("store_context", {**LOG, "relationships": [{"type": "x"}]}, 400, "missing_parameter", "relationships[0].target"),
    ("retrieve_context", {}, 400, "missing_parameter", "query"),
    ("delete_context", {"context_id": "kept"}, 400, "missing_parameter", "reason"),
    # agents, keys, prefixes, times to live
    *[("update_scratchpad", {**PAD, "agent_id": bad}, 400, "invalid_agent_id", "agent_id")
      for bad in ("a b", "", "a" * 65, "a\n", "a\0", "\u00e9", "../a", "a:b", 7, True, [], {}, 1.5)],
    *[("update_scratchpad", {**PAD, "key": bad}, 400, "invalid_key", "key") for bad in ("a/b", "", "k" * 129, "k\0", "k:k", 7)],
    *[("update_scratchpad", {**PAD, "prefix": bad}, 400, "invalid_prefix", "prefix") for bad in ("x", "", "State", 1)],
    *[("update_scratchpad", {**PAD, "ttl": bad}, 400, "invalid_ttl", "60 to 86400")
      for bad in (59, 86401, 0, -60, 60.5, "60", 2**63, 2**64, 10**30, True)],
    # wrong types and values
    *[("update_scratchpad", {**PAD, "content": bad}, 400, "invalid_content_type", "content") for bad in (5, True, ["x"], {"x": 1})],
    ("update_scratchpad", {**PAD, "content": ""}, 400, "validation_error", "content"),
    ("update_scratchpad", {**PAD, "content": "x" * 100_001}, 413, "content_too_large", "100000"),
    ("update_scratchpad", {**PAD, "mode": "replace"}, 400, "validation_error", "mode"),
    ("update_scratchpad", {**PAD, "mode": "increment"}, 400, "invalid_content_type", "content"),
    ("update_scratchpad", {**PAD, "if_version": -1}, 400, "validation_error", "if_version"),
    ("update_scratchpad", {**PAD, "if_version": 9}, 409, "version_conflict", ""),
    ("update_scratchpad", {**PAD, "colour": 1}, 400, "validation_error", "colour"),
    ("update_scratchpad", {"agent_id": "a", "key": "none", "mode": "delete"}, 404, "key_not_found", "none"),
    ("get_agent_state", {"agent_id": "a", "key": "none"}, 404, "key_not_found", "none"),
    ("get_agent_state", {"agent_id": "a", "limit": 0}, 400, "validation_error", "limit"),
    ("get_agent_state", {"agent_id": "a", "cursor": "AAAA"}, 400, "validation_error", "cursor"),
    *[("store_context", {**LOG, "content": bad}, 400, "validation_error", "content") for bad in ("text", 7, [], [{}])],
    *[("store_context", {**LOG, "type": bad}, 400, "validation_error", "type") for bad in ("nonsense", "", "LOG", 7)],
    *[("store_context", {**LOG, "id": bad}, 400, "validation_error", "id") for bad in ("", 7, "a\0b", "a\nb", "i" * 10_000)],
    ("store_context", {**LOG, "content": {"n": [1, 10**30]}}, 400, "validation_error", "content.n[1]"),
    ("store_context", {**LOG, "content": {"text": "x" * (1 << 20)}}, 413, "content_too_large", "1048576"),
    ("store_context", {**LOG, "metadata": []}, 400, "validation_error", "metadata"),
    ("store_context", {**LOG, "metadata": {"tags": "x"}}, 400, "validation_error", "tags"),
    ("store_context", {**LOG, "metadata": {"tags": ["x", 1]}}, 400, "validation_error", "tags[1]"),
    ("store_context", {**LOG, "metadata": {"priority": "urgent"}}, 400, "validation_error", "low, medium, high, critical"),
    ("store_context", {**LOG, "relationships": [1]}, 400, "validation_error", "relationships[0]"),
    ("store_context", {**LOG, "relationships": [{"type": "x", "target": "y"}] * 257}, 400, "validation_error", "relationships"),
    ("store_context", {"contexts": []}, 400, "validation_error", "contexts"),
    ("store_context", {"contexts": [LOG] * 101}, 400, "validation_error", "contexts"),
    ("store_context", {"contexts": [LOG], **LOG}, 400, "validation_error", "contexts"),
    ("retrieve_context", {"query": ""}, 400, "validation_error", "query"),
    ("retrieve_context", {"query": "x" * 10_001}, 400, "validation_error", "10000"),
    ("retrieve_context", {**FIND, "search_mode": "magic"}, 400, "validation_error", "search_mode"),
    ("retrieve_context", {**FIND, "limit": 101}, 400, "validation_error", "limit"),
    ("retrieve_context", {**FIND, "score_threshold": 2}, 400, "validation_error", "score_threshold"),
    ("retrieve_context", {**FIND, "cursor": "zzz"}, 400, "validation_error", "cursor"),
    ("retrieve_context", {**FIND, "filters": []}, 400, "validation_error", "filters"),
    ("retrieve_context", {**FIND, "filters": {"date_from": "yesterday"}}, 400, "validation_error", "date_from"),
    ("retrieve_context", {**FIND, "filters": {"colour": 1}}, 400, "validation_error", "colour"),
    ("retrieve_context", {"ids": ["a\0"]}, 400, "validation_error", "ids[0]"),
    ("delete_context", {**GONE}, 404, "not_found", "none"),
    ("delete_context", {"context_id": "kept", "reason": "no"}, 400, "validation_error", "reason"),
    ("delete_context", {"context_id": "kept", "reason": "because", "hard_delete": "yes"}, 400, "validation_error", "hard_delete"),
    ("forget_context", {**GONE, "retention_days": -1}, 400, "validation_error", "retention_days"),
    ("forget_context", {**GONE, "retention_days": 10**12}, 400, "validation_error", "retention_days"),
]

NOT_JSON = [b"{", b"", b"\0", b"nul", b"{'a':1}", b'{"a":1,}', b'{"a":01}', b'{"a":1}}', b'{"a":1} {}', b'{"a":NaN}', b'{"a":.5}',
            b'{"a":1.}', b'{"a":"\n"}', b'{"a":"\\x"}', b'{"a" "b"}', b'{a:1}', b'// x\n{}', b'{"a":"\\u12"}', b'{"a":+1}', b'{"a":"x',
            # bytes that are not UTF-8: lone, cut, overlong, surrogate, beyond U+10FFFF; in a key too
            b'{"a":"\xff"}', b'{"a":"\xc3"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"\x80":1}',
            b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}', b'\xef\xbb\xbf{}', b'\xff\xfe{\0}\0',
            # keys that stand twice, plain and escaped, deep
            b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"x":[{"a":{"b":1,"b":1}}]}']


def nested(depth, opening=b'{"a":', closing=b"}"):
    return opening * depth + b"1" + closing * depth


def check_failure(found, tool, arguments, kind, part):
    where = f"{tool} {json.dumps(arguments)[:200]} gave {json.dumps(found)[:300]}"
    equal((found.get("success"), found.get("error_type")), (False, kind), where)
    contains(found["message"], part)
    if len(json.dumps(found)) > 4096:
        raise AssertionError("a failure repeats what it was given: " + where[:300])


def plain_failures():
    """POST /tools/NAME: each bad argument has its status, error_type and a message that names it"""
    with standing() as server:
        for tool, arguments, status, kind, part in FAILURES:
            reply = ask(server.port, call(tool, arguments))
            equal(reply.status, status, f"{tool} {arguments}"[:300])
            check_failure(reply.json(), tool, arguments, kind, part)
            equal(reply.headers.get("connection"), None, "a bad argument ends no connection")
        equal(server.tool("get_agent_state", agent_id="a", prefix="scratchpad")[1]["total_available"], 0)
        equal(server.tool("retrieve_context", query="*", search_mode="text")[1]["total_count"], 1, "contexts")


def session_of(port):
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "attack", "version": "1"}}
    reply = ask(port, post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening}))
    return reply.headers["mcp-session-id"]


def post(body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST", "/mcp", data, Accept="application/json, text/event-stream", **{"Content-Length": len(data), **headers})


def rpc(method, params=None):
    return {"jsonrpc": "2.0", "id": 7, "method": method, **({} if params is None else {"params": params})}


def mcp_failures():
    """POST /mcp: each bad argument is a result with isError and the same object"""
    with standing() as server:
        session = session_of(server.port)
        for tool, arguments, _, kind, part in FAILURES:
            reply = ask(server.port, post(rpc("tools/call", {"name": tool, "arguments": arguments}), Mcp_Session_Id=session))
            equal(reply.status, 200, f"{tool} {arguments}"[:300])
            equal(reply.json()["result"]["isError"], True)
            check_failure(reply.json()["result"]["structuredContent"], tool, arguments, kind, part)


def stdio_failures():
    """stdio, as the owner and forwarding to one: the same objects again"""
    with directory() as path, Peer(path) as owner:
        owner.tool("update_scratchpad", **{**PAD, "key": "mine"})
        with Peer(path) as forwarding:
            for peer in (owner, forwarding):
                for tool, arguments, _, kind, part in FAILURES:
                    check_failure(peer.tool(tool, **arguments), tool, arguments, kind, part)
                equal(peer.tool("get_agent_state", agent_id="a", prefix="scratchpad")["keys"], ["mine"])


def unknown_tool():
    """an unknown tool is 404 at /tools/NAME and -32602 in MCP; so are arguments that are no object"""
    with standing() as server, directory() as path, Peer(path) as peer:
        for name in ("no_such", "store_contex", "%2e%2e", "store_context%00", "x" * 4000):
            reply = ask(server.port, call(name, {}))
            equal((reply.status, reply.json()["error_type"]), (404, "not_found"), name)
        contains(ask(server.port, call("store_contex", {})).json()["message"], "store_context")
        session = session_of(server.port)
        for params in ({"name": "no_such", "arguments": {}}, {"name": "get_agent_state", "arguments": []}, {"name": 7}, {},
                       {"name": "get_agent_state", "arguments": "x"}, {"name": "a\0b", "arguments": {}}):
            reply = ask(server.port, post(rpc("tools/call", params), Mcp_Session_Id=session))
            equal((reply.status, reply.json()["error"]["code"], reply.json()["id"]), (200, -32602, 7), str(params))
            equal(peer.request("tools/call", params)["error"]["code"], -32602, str(params))
        equal(ask(server.port, post(rpc("no/such"), Mcp_Session_Id=session)).json()["error"]["code"], -32601)


def not_json():
    """what is no strict JSON: syntax_error at /tools, -32700 with id null in MCP; nothing after it suffers"""
    with standing() as server, directory() as path, Peer(path) as peer:
        for text in NOT_JSON:
            if text:  # an empty body of /tools is an empty object
                reply = ask(server.port, call("get_agent_state", text))
                equal((reply.status, reply.json()["error_type"]), (400, "syntax_error"), str(text))
            reply = ask(server.port, post(text))
            equal((reply.status, reply.json()["error"]["code"], reply.json()["id"]), (400, -32700, None), str(text))
            if text and b"\n" not in text:
                peer.child.stdin.write(text + b"\n")
                peer.child.stdin.flush()
                found = peer.receive()
                equal((found["error"]["code"], found["id"]), (-32700, None), str(text))
        equal("result" in peer.request("ping"), True)


def nesting():
    """nesting of 64 is read, 65 is refused, 2,000,000 costs no stack"""
    with standing() as server, bounded(server, 80):
        for opening, closing in ((b'{"a":', b"}"), (b"[", b"]")):
            # the message itself is one level, params and arguments are two more
            for depth, fits in ((63, True), (64, False), (1000, False)):
                text = b'{"type":"log","content":{},"extra":' + nested(depth, opening, closing) + b"}"
                reply = ask(server.port, call("store_context", text))
                equal((reply.status, reply.json()["error_type"]), (400, "validation_error" if fits else "syntax_error"), str(depth))
                text = b'{"jsonrpc":"2.0","id":7,"method":"ping","params":' + nested(depth, opening, closing) + b"}"
                equal("error" not in ask(server.port, post(text, Mcp_Session_Id=session_of(server.port))).json(),
                      fits and opening != b"[", str(depth))
        for text in (b"[" * 2_000_000, b'{"a":' * 700_000, nested(64) + b"x"):
            equal(ask(server.port, post(text)).json()["error"]["code"], -32700)


def deepest():
    """a document as deep as a message may be is stored and can be read by every way there is"""
    depth = 63
    with directory() as path, Server(path) as server:
        reply = ask(server.port, call("store_context", b'{"type":"log","id":"deep","content":' + nested(depth) + b"}"))
        equal((reply.status, reply.json()["success"]), (200, True))
        wanted = json.loads(nested(depth))
        found = server.tool("retrieve_context", ids=["deep"])[1]
        equal(found["results"][0]["content"], wanted)
        equal(server.tool("store_context", id="deep", type="log", content={"text": "a newer version"})[0], 200)
        reply = ask(server.port, call("store_context", b'{"type":"log","id":"deep","content":' + nested(depth) + b"}"))
        equal(reply.json()["version"], 3)
        with Peer(path) as peer:
            equal(peer.tool("retrieve_context", ids=["deep"])["results"][0]["content"], wanted)
        equal(json.loads(result("get", "deep", "--json", "--data-dir", path))["content"], wanted)
        result("get", "deep", "--history", "--data-dir", path)
        result("search", "*", "--data-dir", path)


def large_result():
    """a reply over the limit is limit_exceeded and says to ask for less; memory comes back"""
    text = "x" * 1_000_000
    with standing() as server:
        for number in range(80):
            equal(server.tool("store_context", type="log", id=f"big-{number}", content={"text": text})[0], 200)
        with bounded(server, 300):
            ids = [f"big-{number}" for number in range(80)]
            status, found = server.tool("retrieve_context", ids=ids)
            equal((status, found["error_type"]), (400, "limit_exceeded"))
            contains(found["message"], "ask for less")
            status, found = server.tool("retrieve_context", ids=ids[:50])
            equal((status, len(found["results"])), (200, 50))
        # a terminal reads as much, small values too
        for number in range(5):
            equal(server.tool("store_context", type="log", content={"n": [0] * 500_000})[0], 200)
        for limit in ("40", "5"):
            out = result("search", "*", "--limit", limit, "--json", "--data-dir", server.path)
            equal(len(json.loads(out)["results"]), int(limit))


def number_ranges():
    """numbers: 64-bit integers come back exactly, what is beyond is refused, in content and in metadata"""
    with standing() as server:
        numbers = [0, -1, 2**53 + 1, 2**63, 2**64 - 1, -2**63, 0.1, 1e308, 5e-324, -0.0]
        equal(server.tool("store_context", type="log", id="n", content={"n": numbers}, metadata={"n": numbers})[0], 200)
        found = server.tool("retrieve_context", ids=["n"])[1]["results"][0]
        equal((found["content"]["n"], found["metadata"]["n"]), (numbers, numbers))
        for text in (b"1e309", b"-1e999", b"18446744073709551616", b"-9223372036854775809", b"1" * 5000):
            for place in (b"content", b"metadata"):
                body = b'{"type":"log","content":{},"%s":{"n":%s}}' % (place, text)
                if place == b"content":
                    body = b'{"type":"log","content":{"n":%s}}' % text
                reply = ask(server.port, call("store_context", body))
                equal((reply.status, reply.json()["error_type"]), (400, "validation_error"), str(body[:100]))


def strange_queries():
    """what is syntax to the text index is words to a client"""
    with standing() as server:
        for query in ('"', "'", '" OR *', "NEAR(", "AND", "NOT heron", "a^b", "words:heron", "{heron}", "(((", "%", ";DROP TABLE kv;--",
                      "\0", "\u202e", "\U0001f600", "heron " * 1600, "*" * 5000, "-", "\ufffe"):
            for mode in ("text", "hybrid", "auto"):
                status, found = server.tool("retrieve_context", query=query, search_mode=mode)
                equal((status, found["success"]), (200, True), query[:50])


def many_nodes():
    """four megabytes of the smallest values are read or refused in bounded memory, the next message is answered"""
    with standing() as server, bounded(server, 200):
        for text in (b"[" + b"0," * 1_999_000 + b"0]", b'{"type":"log","content":{"a":[' + b"0," * 1_999_000 + b"0]}}",
                     b'{"a":[' + b"{}," * 1_300_000 + b"{}]}"):
            for data in (call("store_context", text), post(text)):
                reply = ask(server.port, data)
                equal(400 <= reply.status < 500, True, f"{reply.status} {reply.body[:200]!r}")


def kept_by_stdio():
    """a stdio owner that was sent nothing but rubbish still has what it stored"""
    with directory() as path:
        with Server(path) as server:
            plant(server)
            equal(server.stop(), 0)
        with Peer(path) as peer:
            peer.tool("get_agent_state", agent_id="kept", key="k", prefix="memory")
            rubbish = [text for text in NOT_JSON if text and b"\n" not in text]
            for text in rubbish:
                peer.child.stdin.write(text + b"\n")
            peer.child.stdin.write(b"\n\r\n" + bytes(range(32, 127)) + b"\n")
            peer.child.stdin.flush()
            for _ in range(len(rubbish) + 1):
                equal(peer.receive()["error"]["code"] in (-32700, -32600), True)
            peer.child.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"')  # the end comes amid a message
            equal(peer.end_input(), 0)
        with Server(path) as server:
            kept(server)


run(plain_failures, mcp_failures, stdio_failures, unknown_tool, not_json, nesting, deepest, large_result, number_ranges, strange_queries,
    many_nodes, kept_by_stdio)
