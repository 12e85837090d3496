#!/usr/bin/env python3
"""The remote embedder against servers that behave and servers that do not."""
import json
import math
import socket
import threading
import time

from blackbox import WAIT_S, Server, command, contains, directory, environment, equal, result, run
from fake_embedder import Fake, good_reply, vector_of

KEY = "sk-very-secret-1234"


def embed(url, texts, *flags, key=None, code=0):
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    found, out, err = command("embed", "--embedding-url", url, "--embedding-model", "fake", *flags, stdin=lines,
                              env=environment(CONTEXT_STORE_EMBEDDING_API_KEY=key))
    equal(found, code, err)
    return [json.loads(line) for line in out.splitlines()], out + err


def is_unit_of(found, vector):
    """The same direction, of length one."""
    length = math.hypot(*vector)
    equal([abs(x - y / length) < 1e-5 for x, y in zip(found, vector, strict=True)], [True] * len(vector), found)


def vectors():
    """texts are sent in batches over few connections; vectors come back unit length, each with its text"""
    texts = [f"text {n}" for n in range(70)]
    with Fake() as fake:
        found, _ = embed(fake.url, texts, "--threads", "2", "--embedding-batch", "16")
        for text, line in zip(texts, found):
            is_unit_of(line["embedding"], vector_of(text, 8))
        asked = [request[2] for request in fake.requests]
        equal(sorted(len(each["input"]) for each in asked), [6, 16, 16, 16, 16])
        equal(sum((each["input"] for each in sorted(asked, key=lambda each: texts.index(each["input"][0]))), []), texts)
        equal({each["model"] for each in asked}, {"fake"})
        equal({request[0] for request in fake.requests}, {"/v1/embeddings"})
        equal(len(fake.connections) <= 2, True)


def one_text():
    """the tokens of a single text are what the server counted; --embedding-dimensions is asked for"""
    with Fake(lambda number, asked: good_reply(asked, asked.get("dimensions", 8))) as fake:
        found, _ = embed(fake.url, ["a"], "--embedding-dimensions", "5")
        equal((len(found[0]["embedding"]), found[0]["tokens"]), (5, 3))
        equal(fake.requests[0][2]["dimensions"], 5)


def addresses():
    """a host alone, a base with a path and a whole endpoint all mean the endpoint"""
    with Fake() as fake:
        host = fake.url[: -len("/v1")]
        for url in (host, host + "/", host + "/v1", host + "/v1/", host + "/v1/embeddings", host + "/api/embeddings"):
            embed(url, ["a"])
        equal([request[0] for request in fake.requests], ["/v1/embeddings"] * 5 + ["/api/embeddings"])
    for url in ("ftp://127.0.0.1/", "localhost:11434", "http://a b/"):
        _, said = embed(url, ["a"], code=1)
        contains(said, "embedding-url must begin with")


def shuffled():
    """vectors that stand in another order are put in order by their index"""
    def answer(number, asked):
        status, headers, body = good_reply(asked)
        return status, headers, {**body, "data": body["data"][::-1]}
    with Fake(answer) as fake:
        found, _ = embed(fake.url, ["a", "b", "c"])
        for text, line in zip("abc", found):
            is_unit_of(line["embedding"], vector_of(text, 8))


def secret():
    """the key goes into the header, and nowhere else, even if the server says it aloud"""
    with Fake(lambda number, asked: (401, {}, {"error": {"message": f"Incorrect API key provided: {KEY}"}})) as fake:
        _, said = embed(fake.url, ["a"], key=KEY, code=1)
        equal(fake.requests[0][1]["Authorization"], f"Bearer {KEY}")
        contains(said, "HTTP status 401")
        contains(said, "CONTEXT_STORE_EMBEDDING_API_KEY")
        equal(KEY in said, False)
        equal(len(fake.requests), 1)
        shown = result("config", env=environment(CONTEXT_STORE_EMBEDDING_API_KEY=KEY))
        equal(KEY in shown, False)
    with Fake() as fake:
        embed(fake.url, ["a"])
        equal("Authorization" in fake.requests[0][1], False)
        address = fake.url.replace("http://", "http://user:pass%40word@") + "/embeddings?token=hidden"
        fake.answer = lambda number, asked: (404, {}, {"error": "model 'fake' not found"})
        _, said = embed(address, ["a"], code=1)
        contains(said, "model 'fake' not found")
        equal("pass" in said or "hidden" in said, False)


def again():
    """429, 503 and a connection that breaks are tried again; Retry-After is honoured; 400 is not tried again"""
    def answer(number, asked):
        if number == 1:
            return 429, {"Retry-After": "1"}, {"error": "slow down"}
        if number == 2:
            return 503, {}, b"<html>busy</html>"
        return good_reply(asked) if number > 3 else None
    with Fake(answer) as fake:
        found, _ = embed(fake.url, ["a"])
        equal(len(found[0]["embedding"]), 8)
        equal(len(fake.requests), 4)
    with Fake(lambda number, asked: (500, {}, {"error": "out of memory"})) as fake:
        _, said = embed(fake.url, ["a"], code=1)
        contains(said, "HTTP status 500: out of memory")
        equal(len(fake.requests), 4)
    with Fake(lambda number, asked: (400, {}, {"error": {"message": "input too long"}})) as fake:
        _, said = embed(fake.url, ["a"], code=1)
        contains(said, "input too long")
        equal(len(fake.requests), 1)
    with Fake(lambda number, asked: (429, {"Retry-After": "86400"}, {"error": "tomorrow"})) as fake:
        _, said = embed(fake.url, ["a"], code=1)
        contains(said, "tomorrow")
        equal(len(fake.requests), 1)


def wrong_answers():
    """HTML, a wrong count, NaN, another dimension, an endless reply and a redirect are told, and nothing is embedded"""
    def data(*vectors):
        return 200, {}, {"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]}
    for answer, says in (
        ((200, {"Content-Type": "text/html"}, b"<!doctype html><h1>Welcome</h1>"), "HTML"),
        ((200, {}, b"hello"), "no JSON"),
        ((200, {}, b""), "nothing"),
        ((200, {}, {"embeddings": [[1]]}), 'no array "data"'),
        (data([1.0, 2.0]), "1 vectors for 2 texts"),
        ((200, {}, b'{"data":[{"embedding":[NaN]},{"embedding":[1]}]}'), "no JSON"),
        (data([1.0], [None]), "no finite number"),
        (data([1.0, 2.0], [1.0]), "1 numbers where 2"),
        (data([0.0, 0.0], [1.0, 0.0]), "no length"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "points elsewhere"),
        ((200, {}, b"[" + b" " * (65 << 20)), "more than"),
    ):
        with Fake(lambda number, asked, answer=answer: answer) as fake:
            found, said = embed(fake.url, ["a", "b"], code=1)
            equal(["error" in line for line in found], [True, True], said[:300])
            contains(found[0]["error"], says)
            equal(len(fake.requests), 1)


def changed_dimension():
    """the first answer pins the dimension; a later one of another is refused, and the text says so"""
    with Fake(lambda number, asked: good_reply(asked, 8 if number == 1 else 9)) as fake:
        found, _ = embed(fake.url, ["a", "b"], "--embedding-batch", "1", "--threads", "1", code=1)
        equal(len(found[0]["embedding"]), 8)
        contains(found[1]["error"], "9 numbers where 8 are expected")


def refused_text():
    """a text that the server refuses takes no others with it, and those stored behind it get their vectors"""
    def answer(number, asked):
        if any("LONG" in text for text in asked["input"]):
            return 400, {}, {"error": {"message": "this model's maximum context length is 8192 tokens"}}
        return good_reply(asked)
    with Fake(answer) as fake, directory() as data:
        found, _ = embed(fake.url, ["a", "LONG", "b"], "--threads", "1", code=1)
        equal(["error" in line for line in found], [False, True, False])
        contains(found[1]["error"], "maximum context length")
        with Server(data, "--embedding-url", fake.url, "--embedding-model", "fake", "--embedding-threads", "1") as server:
            contexts = [{"type": "log", "content": {"text": text}, "embedding": "wait"} for text in ("one", "LONG", "two")]
            _, stored = server.tool("store_context", contexts=contexts)
            equal([each["embedding_status"] for each in stored["results"]], ["completed", "failed", "completed"])
            contains(stored["results"][1]["message"], "maximum context length")
            _, found = server.tool("retrieve_context", query="one", search_mode="vector")
            equal(found.get("total_count"), 2, str(found))
            server.tool("store_context", type="log", content={"text": "three"}, embedding="later")
            until = time.monotonic() + WAIT_S
            while found["total_count"] < 3 and time.monotonic() < until:
                _, found = server.tool("retrieve_context", query="one", search_mode="vector", use_cache=False)
                time.sleep(0.05)
            equal(found["total_count"], 3, str(found))


def nobody_there():
    """a port where nobody listens is told after some attempts; what comes next fails at once"""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    found, said = embed(url, ["a", "b", "c"], "--embedding-batch", "1", "--threads", "1", code=1)
    listener.close()
    equal(len(found), 3)
    contains(said, "cannot be reached")
    contains(said, "--embedding-url")


def hangs():
    """a server that takes the request and says nothing does not hold a search by words"""
    done = threading.Event()

    def answer(number, asked):
        done.wait(WAIT_S)
        return None
    with Fake(answer) as fake, directory() as data:
        try:
            with Server(data, "--embedding-url", fake.url, "--embedding-model", "fake", "--request-timeout", "2") as server:
                status, stored = server.tool("store_context", type="log", content={"text": "hello there"})
                # Whether the server or the call gives up first is a matter of milliseconds.
                equal((status, stored["embedding_status"] in ("pending", "disabled")), (200, True), str(stored))
                status, found = server.tool("retrieve_context", query="hello", search_mode="text")
                equal((status, found["total_count"]), (200, 1))
        finally:
            done.set()


def quiet():
    """the address in use is told in the log, without its secrets; nothing is sent before there is a text"""
    with Fake() as fake, directory() as data:
        url = fake.url.replace("http://", "http://user:word@")
        with Server(data, "--embedding-url", url, env=environment(CONTEXT_STORE_EMBEDDING_API_KEY=KEY)) as server:
            said = "".join(server.said)
            contains(said, "vectors are on")
            contains(said, fake.url)
            equal("user:word" in said, False)
            equal(KEY in said, False)
            equal(fake.requests, [])


run(vectors, one_text, addresses, shuffled, secret, again, wrong_answers, changed_dimension, refused_text, nobody_there, hangs, quiet)
