#!/usr/bin/env python3
"""`context-store embed`: lines in, lines out, in order; what it cannot embed is told in its place."""
import json
import math
import subprocess

from blackbox import PROGRAM, WAIT_S, command, contains, directory, environment, equal, run
from model_files import test_model


def embed(lines, *flags, code=0):
    """Objects of the output; lines may be objects or raw text."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    found, out, err = command("embed", "--embedding-model", str(test_model()), *flags, stdin=text)
    equal(found, code, err)
    return [json.loads(line) for line in out.splitlines()], err


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def unit_length():
    """each text gets a vector of unit length and its tokens; a text that means the same is nearer than another"""
    texts = ["How do I bake bread?", "A recipe for a loaf", "The parliament voted on taxes"]
    found, _ = embed([{"id": i, "text": text} for i, text in enumerate(texts)])
    equal([line["id"] for line in found], [0, 1, 2])
    equal([line["tokens"] for line in found], [7, 5, 5])
    vectors = [line["embedding"] for line in found]
    for vector in vectors:
        equal(len(vector), 384)
        equal(round(math.hypot(*vector), 5), 1.0)
    equal(cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.2, True)


def order():
    """ids may be any JSON and come back as they went in, in order, however many threads there are"""
    ids = [7, "x", None, [1, {"a": 2}], {"k": []}, True] * 50
    lines = [{"id": id_, "text": "word " * (n % 40)} for n, id_ in enumerate(ids)]
    one, _ = embed(lines, "--threads", "1")
    many, _ = embed(lines, "--threads", "4")
    equal([line["id"] for line in one], ids)
    equal(one, many)


def precision():
    """int8 and f32 differ, and hardly"""
    lines = [{"id": 1, "text": "Vectors live in SQLite and are searched in memory."}]
    (small,), _ = embed(lines, "--precision", "int8")
    (full,), _ = embed(lines, "--precision", "f32")
    equal(small["embedding"] == full["embedding"], False)
    equal(cosine(small["embedding"], full["embedding"]) > 0.99, True)


def windows():
    """a text longer than the window is embedded whole; --first-window takes its beginning and says what there was"""
    long = [{"id": 1, "text": "one two three four five six seven eight nine ten " * 100}]
    (whole,), _ = embed(long)
    equal(whole["tokens"], 1000)
    equal("tokens_all" in whole, False)
    (first,), _ = embed(long, "--first-window", "--max-tokens", "512")
    equal((first["tokens"], first["tokens_all"]), (511, 1000))
    equal(round(math.hypot(*whole["embedding"]), 5), 1.0)


def refused():
    """a line that is no JSON, has no text, or is no UTF-8 gets an error in its place; the exit code is 1 at the end"""
    found, err = embed(["{", '{"id": "a"}', '{"id": 2, "text": 3}', "", '{"id": 3, "text": ""}', '"text"'], code=1)
    equal([line["id"] for line in found], [None, "a", 2, 3, None])
    equal(["error" in line for line in found], [True, True, True, False, True])
    contains(found[0]["error"], "line 1")
    contains(found[2]["error"], "line 3")
    contains(err, "4 lines got no embedding")
    code, out, _ = command("embed", "--embedding-model", str(test_model()), stdin=b'{"id": 1, "text": "\xff"}\n')
    equal(code, 1)
    contains(json.loads(out)["error"], "UTF-8")


def nothing():
    """no input gives no output; a last line without its newline counts"""
    equal(embed([])[0], [])
    code, out, err = command("embed", "--embedding-model", str(test_model()), stdin='{"id": 1, "text": "last"}')
    equal((code, err), (0, ""))
    equal(json.loads(out)["id"], 1)


def dialogue():
    """a line is answered before the next is sent"""
    child = subprocess.Popen([PROGRAM, "embed", "--embedding-model", str(test_model())], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, env=environment())
    for id_ in range(3):
        child.stdin.write(json.dumps({"id": id_, "text": f"line {id_}"}).encode() + b"\n")
        child.stdin.flush()
        equal(json.loads(child.stdout.readline())["id"], id_)
    child.stdin.close()
    equal(child.wait(60), 0)
    child.stdout.close()


def reader_left():
    """when nobody reads the output any more it ends, with more input to come"""
    child = subprocess.Popen([PROGRAM, "embed", "--embedding-model", str(test_model())], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    child.stdin.write(b'{"id": 1, "text": "one"}\n')
    child.stdin.flush()
    child.stdout.readline()
    child.stdout.close()
    child.stdin.write(b'{"id": 2, "text": "two"}\n')
    child.stdin.flush()
    try:
        equal(child.wait(WAIT_S), 1)
        contains(child.stderr.read().decode(), "standard output: Broken pipe")
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stderr.close()


def no_model():
    """without a model the reason and the way to one are told"""
    with directory() as models:
        code, out, err = command("embed", "--model-dir", models, stdin='{"id": 1, "text": "a"}')
        equal((code, out), (1, ""))
        contains(err, "model pull")
        code, _, err = command("embed", "--embedding-model", "off", stdin="")
        equal(code, 1)
        contains(err, "off")


def usage():
    """wrong options are wrong usage"""
    for words in (["--precision", "int4"], ["--threads", "0"], ["--threads", "many"], ["--max-tokens", "-1"]):
        code, _, err = command("embed", *words)
        equal(code, 2, words)
        contains(err, words[0])
    code, _, err = command("embed", "--embedding-precision", "int4")
    equal(code, 1)
    contains(err, "int8 or f32")


run(unit_length, order, precision, windows, refused, nothing, dialogue, reader_left, no_model, usage)
