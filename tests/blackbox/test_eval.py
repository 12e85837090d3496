#!/usr/bin/env python3
"""`context-store eval`: recall of questions over answers, in a store that is gone afterwards; and what doctor says of vectors."""
import json
import os
import pathlib

from blackbox import ROOT, command, contains, directory, environment, equal, result, run
from fake_embedder import Fake
from model_files import test_model


def evaluate(lines, fake, *flags, code=0):
    """What eval prints; also what it left behind, which is nothing."""
    with directory() as folder:
        path = pathlib.Path(folder, "pairs.jsonl")
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        rest = pathlib.Path(folder, "temporary")
        rest.mkdir()
        found, out, err = command("eval", str(path), "--embedding-url", fake.url, "--embedding-model", "m", *flags,
                                  env=environment(TMPDIR=str(rest)))
        equal(found, code, err)
        equal(os.listdir(rest), [])
        return out, err


def meaning(number, asked):
    """Texts about food point one way, all others another way."""
    data = [{"index": i, "embedding": [1, 0.01 * len(text)] if "bread" in text or "loaf" in text else [-1, 0.01 * len(text)]}
            for i, text in enumerate(asked["input"])]
    return 200, {}, {"data": data}


PAIRS = [{"id": "a", "question": "Which bread is best?", "answer": "A sour loaf"},
         {"id": "b", "question": "Who rules?", "answer": "The council rules by majority"},
         {"id": "c", "question": "Unrelated", "answer": "Trains leave hourly"}]


def measured():
    """each mode finds what it can find, counted against the answers of the file"""
    with Fake(meaning) as fake:
        out, _ = evaluate(PAIRS, fake, "--json", "--at", "1")
        found = json.loads(out)
        equal((found["questions"], found["at"]), (3, 1))
        equal(round(found["text"]["recall"], 3), 0.333)
        equal(found["vector"]["recall"] >= 0.333, True)
        equal(found["hybrid"]["recall"] >= 0.333, True)
        out, _ = evaluate(PAIRS, fake)
        contains(out, "recall@5")
        contains(out, "text    0.333")


def refused():
    """a file that is not there, holds something else or nothing, and an embedder that fails are told"""
    with Fake(meaning) as fake:
        contains(evaluate(["nonsense\n"], fake, code=1)[1], "line 1")
        contains(evaluate([PAIRS[0], {"id": 1}], fake, code=1)[1], "line 2")
        contains(evaluate(["\n"], fake, code=1)[1], "no questions")
        code, _, err = command("eval", "/nonexistent/pairs")
        equal(code, 1)
        contains(err, "/nonexistent/pairs")
        equal(command("eval", "x", "--at", "0")[0], 2)
    with Fake(lambda number, asked: (401, {}, {"error": "no key"})) as fake:
        contains(evaluate(PAIRS, fake, code=1)[1], "no key")


def paraphrases():
    """on the paraphrases both ways together find at least what either finds alone"""
    out = result("eval", str(ROOT / "tests/data/paraphrases.jsonl"), "--json", "--embedding-model", str(test_model()))
    found = json.loads(out)
    equal(found["hybrid"]["recall"] >= found["vector"]["recall"], True, out)
    equal(found["hybrid"]["recall"] >= found["text"]["recall"], True, out)


def vectors_of(*flags):
    with directory() as data:
        code, out, _ = command("doctor", "--data-dir", data, "--port", "0", "--json", *flags)
        (check,) = [check for check in json.loads(out)["checks"] if check["check"] == "vectors"]
        return code, check


def told_when_off():
    """a store without vectors says so once, and how to have them"""
    with directory() as data:
        where = ("--json", "--data-dir", data, "--embedding-model", "off")
        off = "embedding-model is off; give --embedding-model a model or --embedding-url a server to turn vectors on"
        equal(json.loads(result("store", "log", "bread", *where))["message"], "stored; vectors are off: " + off)
        equal(json.loads(result("search", "bread", *where))["degraded"], [f"vector: {off}; answered from text"])


def examined():
    """doctor says which embedder there is, and how to get one"""
    with directory() as models, Fake() as fake:
        code, check = vectors_of("--model-dir", models)
        equal((code, check["verdict"]), (0, "warning"))
        contains(check["mend"], "model pull")
        equal(vectors_of("--embedding-model", "off")[1]["verdict"], "ok")
        code, check = vectors_of("--embedding-url", fake.url)
        equal((code, check["verdict"]), (0, "ok"))
        contains(check["detail"], "8 dimensions")
        fake.answer = lambda number, asked: (404, {}, {"error": "no such model"})
        code, check = vectors_of("--embedding-url", fake.url)
        equal((code, check["verdict"]), (1, "fault"))
        contains(check["detail"], "no such model")
        pathlib.Path(models, "all-MiniLM-L6-v2").mkdir()
        pathlib.Path(models, "all-MiniLM-L6-v2", "config.json").write_text("{")
        pathlib.Path(models, "all-MiniLM-L6-v2", "model.safetensors").write_text("no weights")
        code, check = vectors_of("--model-dir", models)
        equal((code, check["verdict"]), (1, "fault"))
        contains(check["mend"], "model verify")


run(measured, refused, paraphrases, told_when_off, examined)
