#!/usr/bin/env python3
"""A server that has its model in use stays small, whatever texts it has embedded before."""
from blackbox import Server, Skip, directory, equal, result, run
from model_files import test_model
from wire import SANITIZED, memory_kb

RESIDENT_MB_MAX = 48  # 64 are promised; less here, so that a test sees what begins to grow
WORDS = ("store", "recall", "vector", "writer", "commit", "agent", "session", "replica", "latency", "backup", "schema")


def text(seed, words):
    """Words in no order, and of different number, as documents are."""
    found = []
    for _ in range(words):
        seed = (seed * 1103515245 + 12345) % 2**31
        found.append(WORDS[seed // 65536 % len(WORDS)])
    return " ".join(found)


def documents():
    """after a hundred long documents and as many questions, resident memory is what the model and the store need"""
    if SANITIZED:
        raise Skip("a sanitizer keeps what is freed")
    # The first use of a model makes its file of 8-bit weights, which takes more memory for that moment.
    result("embed", "--embedding-model", str(test_model()), stdin=b'{"id": 1, "text": "a"}\n')
    with directory() as path, Server(path, "--embedding-model", str(test_model())) as server:
        for first in range(0, 100, 20):
            contexts = [{"type": "log", "content": {"text": text(n, 300 + n * 13)}} for n in range(first, first + 20)]
            status, found = server.tool("store_context", contexts=contexts)
            equal((status, found["stored"]), (200, 20))
        for n in range(100):
            status, found = server.tool("retrieve_context", query=text(n, 5 + n % 40), limit=3)
            equal((status, found["degraded"]), (200, []))
        resident = memory_kb(server.child.pid) / 1024
        print(f"# {resident:.1f} MB resident", flush=True)
        if resident >= RESIDENT_MB_MAX:
            raise AssertionError(f"{resident:.1f} MB resident, not under {RESIDENT_MB_MAX} MB")


run(documents)
