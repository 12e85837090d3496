#!/usr/bin/env python3
"""`context-store reembed`: what was stored without a vector gets one, another model's vectors are made anew, here and in a
server, and what cannot be done is told."""
from blackbox import Server, command, contains, directory, equal, result, run
from fake_embedder import Fake, good_reply


def store(data, count, *flags):
    for number in range(count):
        result("store", "log", f"note {number}", "--data-dir", data, *flags)


def server_of(fake, model="one"):
    return ["--embedding-url", fake.url, "--embedding-model", model]


def modes(data, fake, model="one"):
    """(Exit code, total) of a search by vectors alone."""
    with Server(data, *server_of(fake, model)) as server:
        status, found = server.tool("retrieve_context", query="note 1", search_mode="vector")
        return status, found.get("total_count"), found.get("message")


def missing():
    """contexts stored while vectors were off get theirs; a second call has nothing to do"""
    with Fake() as fake, directory() as data:
        store(data, 5, "--embedding-model", "off")
        equal(fake.requests, [])
        out = result("reembed", "--data-dir", data, *server_of(fake))
        equal(out, "5 contexts have a vector of one\n")
        asked = len(fake.requests)
        equal(result("reembed", "--data-dir", data, *server_of(fake)), out)
        texts = [text for request in fake.requests[asked:] for text in request[2]["input"]]
        equal([text for text in texts if "note" in text], [])
        equal(modes(data, fake)[:2], (200, 5))


def other_model():
    """vectors of another model are refused until reembed has made them anew"""
    with Fake() as fake, directory() as data:
        store(data, 3, *server_of(fake, "one"))
        status, _, message = modes(data, fake, "two")
        equal(status != 200, True)
        contains(message, "reembed")
        equal(result("reembed", "--data-dir", data, *server_of(fake, "two")), "3 contexts have a vector of two\n")
        equal(modes(data, fake, "two")[:2], (200, 3))


def other_dimension():
    """so are those of another dimension"""
    with Fake(lambda number, asked: good_reply(asked, 8 if asked["model"] == "one" else 12)) as fake, directory() as data:
        store(data, 3, *server_of(fake, "one"))
        equal(result("reembed", "--data-dir", data, *server_of(fake, "two")), "3 contexts have a vector of two\n")


def everything():
    """--all makes every vector anew"""
    with Fake() as fake, directory() as data:
        store(data, 3, *server_of(fake))
        fake.requests.clear()
        result("reembed", "--all", "--data-dir", data, *server_of(fake))
        texts = [text for request in fake.requests for text in request[2]["input"] if "note" in text]
        equal(len(texts), 3)


def in_a_server():
    """a server that owns the store does the work, and answers meanwhile"""
    with Fake() as fake, directory() as data:
        store(data, 4, "--embedding-model", "off")
        with Server(data, *server_of(fake)) as server:
            equal(result("reembed", "--all", "--data-dir", data), "4 contexts have a vector of one\n")
            status, found = server.tool("retrieve_context", query="note", search_mode="vector")
            equal((status, found["total_count"]), (200, 4))


def model_that_fails():
    """without a model that answers nothing is forgotten"""
    with Fake() as fake, directory() as data:
        store(data, 2, *server_of(fake))
        fake.answer = lambda number, asked: (401, {}, {"error": "no"})
        code, out, err = command("reembed", "--all", "--data-dir", data, *server_of(fake, "two"))
        equal((code, out), (1, ""))
        contains(err, "HTTP status 401")
        code, _, err = command("reembed", "--data-dir", data, "--embedding-model", "off")
        equal(code, 1)
        contains(err, "off")
        fake.answer = lambda number, asked: good_reply(asked)
        equal(modes(data, fake)[:2], (200, 2))


def resumed():
    """what was made before the embedder failed is kept, and the next call goes on"""
    def answer(number, asked):
        if broken and any("note 19" in text for text in asked["input"]):
            return 401, {}, {"error": "no more"}
        return good_reply(asked)
    broken = True
    with Fake(answer) as fake, directory() as data:
        store(data, 40, "--embedding-model", "off")
        code, _, err = command("reembed", "--data-dir", data, *server_of(fake), "--embedding-batch", "1")
        equal(code, 1)
        contains(err, "call again")
        broken = False
        fake.requests.clear()
        equal(result("reembed", "--data-dir", data, *server_of(fake)), "40 contexts have a vector of one\n")
        again = {text for request in fake.requests for text in request[2]["input"] if "note" in text}
        equal(len(again) < 40, True)


def no_store():
    """a directory without a store is told"""
    with directory() as data:
        code, _, err = command("reembed", "--data-dir", data)
        equal(code, 1)
        contains(err, "no store")


run(missing, other_model, other_dimension, everything, in_a_server, model_that_fails, resumed, no_store)
