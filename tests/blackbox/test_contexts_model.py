#!/usr/bin/env python3
"""Contexts against a plain model: CS_MODEL_STEPS random steps (3900) from the seed CS_MODEL_SEED (1), the server killed now and then.

A step stores (one or a list, under a version or not), deletes, forgets, restores, or finds. The model is a dict; what it
says of versions, conflicts, duplicates and edges is compared with each reply, and what is found, by filter, by words and
above a threshold, with looking at every context of the model. Scores are BM25 as it stands in the textbook. A life of the
server is long enough for its words to be loaded into memory, so both ways of searching by words are asked.
"""
import copy
import math
import os
import random

from blackbox import Server, command, directory, equal, run

STEPS = int(os.environ.get("CS_MODEL_STEPS", "3900"))
SEED = int(os.environ.get("CS_MODEL_SEED", "1"))
KILL_EVERY = 1300
IDS = 40
# As written, and as the index keeps them.
WORDS = {**{f"wq{i}x": f"wq{i}x" for i in range(24)}, "żółw": "zołw", "Über": "uber", "東京": "東京", "ДАННЫЕ": "данные"}
TAGS = {"t1": ["t1"], "T1": ["t1"], "a\\n": ["a", "n"], "wq3x": ["wq3x"]}
VALUES = [0, 1, 2, -1, 1.5, 2.0, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 9007199254740992.0, True, False, None, "a", "é", "2", ""]
BOUNDS = [[0, 1.5, 2**53, 2**64 - 1, -(2**63), 9007199254740992.0], ["a", "é", "2"]]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same_scalar(a, b):
    return a == b if is_number(a) and is_number(b) else type(a) is type(b) and a == b


def in_range(value, bounds):
    for name, bound in bounds.items():
        if is_number(value) and is_number(bound):
            left, right = value, bound
        elif isinstance(value, str) and isinstance(bound, str):
            left, right = value.encode(), bound.encode()
        else:
            return False
        if left < right if name == "gte" else left > right:
            return False
    return True


def holds(value, wanted):
    """A metadata predicate of one value; of an array one element has to do."""
    if isinstance(value, list):
        return any(holds(element, wanted) for element in value)
    if isinstance(wanted, dict):
        return in_range(value, wanted)
    return any(same_scalar(value, one) for one in (wanted if isinstance(wanted, list) else [wanted]))


def words_of(context):
    content = context["content"]
    found = [WORDS[word] for text in (content.get("title", ""), content["text"]) for word in text.split()]
    return found + [word for tag in context["metadata"].get("tags", []) for word in TAGS[tag]]


def bm25(documents, query):
    """Score by id of those that have a word of the query."""
    average = sum(map(len, documents.values())) / len(documents) if documents else 0
    scores = {}
    for word in query:
        having = sum(word in words for words in documents.values())
        weight = max(math.log((len(documents) - having + 0.5) / (having + 0.5)), 1e-6)
        for name, words in documents.items():
            times = words.count(word)
            if times:
                norm = 1.2 * (0.25 + 0.75 * len(words) / average)
                scores[name] = scores.get(name, 0) + weight * times * 2.2 / (times + norm)
    return scores


class Model:
    """What should be stored: by id, with its version and whether it is live, hidden or forgotten."""

    def __init__(self, path):
        self.path, self.random, self.kept, self.server = path, random.Random(SEED), {}, None

    def live(self):
        return {name: context for name, context in self.kept.items() if context["state"] == "live"}

    def version(self, name):
        return self.live().get(name, {"version": 0})["version"]

    def some_id(self):
        return f"id-é{self.random.randrange(IDS)}"

    def text(self, most):
        return " ".join(self.random.choice(list(WORDS)) for _ in range(self.random.randint(0, most)))

    def new_context(self):
        pick, chance = self.random.choice, lambda share: self.random.random() < share
        content, metadata = {"text": self.text(10)}, {}
        if chance(0.3):
            content["title"] = self.text(2)
        if chance(0.6):
            metadata["tags"] = [pick(list(TAGS)) for _ in range(self.random.randint(0, 3))]
        if chance(0.7):
            metadata["v"] = pick(VALUES)
        if chance(0.3):
            metadata["v"] = [pick(VALUES) for _ in range(self.random.randint(0, 4))]
        for name, values in (("source", "st"), ("status", "od"), ("namespace", "nm")):
            if chance(0.4):
                metadata[name] = pick(values)
        edges = [{"type": pick(["USES", "KNOWS"]), "target": self.some_id()} for _ in range(self.random.randint(0, 3))]
        context = {"content": content, "metadata": metadata, "type": pick(["log", "trace", "design"]), "relationships": edges}
        if self.kept and chance(0.15):
            twin = pick(list(self.kept.values()))
            context.update(content=copy.deepcopy(twin["content"]), type=twin["type"])
        return context

    def twins(self, name, context):
        """Others of the same content, type and namespace."""
        def key(one):
            return list(one["content"].items()), one["type"], one["metadata"].get("namespace")
        return [other for other, one in self.live().items() if other != name and key(one) == key(context)]

    def keep(self, name, context, reply):
        """What a store under this id should have answered."""
        old, twins = self.kept.get(name), self.twins(name, context)
        if old is None or old["state"] == "forgotten":
            old = {"version": 0, "relationships": []}
        equal((reply["success"], reply["version"]), (True, old["version"] + 1), f"storing {name}")
        equal(reply["duplicate_of"] in twins if twins else reply["duplicate_of"] is None, True, f"duplicate of {name}")
        edges = [{(edge["type"], edge["target"]) for edge in one["relationships"]} for one in (old, context)]
        equal(reply["relationships_created"], len(edges[1] - edges[0]), f"edges of {name}")
        self.kept[name] = dict(context, version=old["version"] + 1, state="live")

    def store(self):
        name, context, more = self.some_id(), self.new_context(), {}
        if self.random.random() < 0.3:
            more["if_version"] = self.random.choice([self.version(name), self.version(name), 0, 1, self.version(name) + 1])
        if self.random.random() < 0.3:
            more["on_duplicate"] = "skip"
        status, reply = self.server.tool("store_context", id=name, **context, **more)
        if more.get("if_version", self.version(name)) != self.version(name):
            equal((status, reply["error_type"]), (409, "version_conflict"), f"storing {name}")
        elif "on_duplicate" in more and self.twins(name, context):
            equal(reply["id"] in self.twins(name, context), True, f"{name} is a duplicate")
        else:
            self.keep(name, context, reply)

    def store_many(self):
        items = [(self.some_id(), self.new_context(), self.random.choice([None, None, 0])) for _ in range(self.random.randint(1, 6))]
        _, reply = self.server.tool("store_context", contexts=[
            {"id": name, **context, **({} if version is None else {"if_version": version})} for name, context, version in items])
        for (name, context, version), own in zip(items, reply["results"], strict=True):
            if version is not None and version != self.version(name):
                equal(own["error_type"], "version_conflict", f"storing {name}")
            else:
                self.keep(name, context, own)

    def remove(self):
        name, state = self.some_id(), self.random.choice(["hidden", "forgotten", "gone"])
        old = self.kept.get(name)
        if state == "forgotten":
            status, reply = self.server.tool("forget_context", context_id=name, reason="a reason")
        else:
            status, reply = self.server.tool("delete_context", context_id=name, reason="a reason", hard_delete=state == "gone")
        if old is None or (state == "hidden" and old["state"] != "live"):
            equal((status, reply["error_type"]), (404, "not_found"), f"removing {name}")
        elif state == "gone":
            del self.kept[name]
        else:
            old["state"] = state

    def restore(self):
        name = self.some_id()
        code, _, _ = command("restore", "--data-dir", self.path, name)
        removed = name in self.kept and self.kept[name]["state"] != "live"
        equal(code == 0, removed, f"restoring {name}")
        if removed:
            self.kept[name]["state"] = "live"

    def new_filter(self):
        pick, chance, filters = self.random.choice, lambda share: self.random.random() < share, {}
        if chance(0.3):
            filters["tags"] = [pick(list(TAGS))]
        for name, values in (("status", "od"), ("namespace", "nm")):
            if chance(0.25):
                filters[name] = pick(values)
        if chance(0.5):
            ends = pick(BOUNDS)
            filters["metadata"] = {"v": pick([pick(VALUES), [pick(VALUES), pick(VALUES)], {"gte": pick(ends)}, {"lte": pick(ends)},
                                              {"gte": pick(ends), "lte": pick(ends)}])}
        return filters

    @staticmethod
    def passes(context, filters, exclude):
        metadata = context["metadata"]
        predicate = filters.get("metadata", {})
        return (metadata.get("source") not in exclude
                and all(metadata.get(name) == filters[name] for name in ("status", "namespace") if name in filters)
                and set(filters.get("tags", [])) <= set(metadata.get("tags", []))
                and all(name in metadata and holds(metadata[name], wanted) for name, wanted in predicate.items()))

    def pages(self, arguments):
        """All pages as one list."""
        hits, more = [], {}
        while True:
            status, reply = self.server.tool("retrieve_context", **arguments, **more)
            equal(status, 200, f"{arguments} gave {reply}")
            hits += reply["results"]
            if "next_cursor" not in reply:
                equal(reply["total_count"], len(hits), f"total of {arguments}")
                return hits
            more = {"cursor": reply["next_cursor"]}

    def find(self):
        filters, exclude = (self.new_filter(), self.random.choice([[], ["s"]])) if self.random.random() < 0.6 else ({}, [])
        arguments = {"filters": filters, "exclude_sources": exclude, "limit": self.random.choice([3, 100]),
                     "include_relationships": True, "query": "*"}
        wanted = {name: 1 for name, context in self.live().items() if self.passes(context, filters, exclude)}
        threshold = 0
        if self.random.random() < 0.8:
            threshold = self.random.choice([0, 0, 0.3, 0.7, 1])
            query = self.random.sample(list(WORDS), self.random.randint(1, 3))
            arguments.update(query=" ".join(query), search_mode="text", score_threshold=threshold,
                             sort_by=self.random.choice(["relevance", "timestamp"]))
            scores = bm25({name: words_of(context) for name, context in self.live().items()}, [WORDS[word] for word in query])
            best = max((score for name, score in scores.items() if name in wanted), default=1)
            wanted = {name: scores[name] / best for name in wanted if name in scores}
        hits = self.pages(arguments)
        found = [hit["id"] for hit in hits]
        equal(len(set(found)), len(found), f"ids of {arguments}")
        # What lies on the threshold but for rounding may go either way.
        must = {name for name, score in wanted.items() if score >= threshold + 1e-9}
        may = {name for name, score in wanted.items() if score >= threshold - 1e-9}
        equal((must - set(found), set(found) - may), (set(), set()), f"missing and too many of {arguments}")
        key = "score" if arguments.get("sort_by") == "relevance" else "created_at"
        equal([hit[key] for hit in hits], sorted((hit[key] for hit in hits), reverse=True), f"order of {arguments}")
        for hit in hits:
            context = self.kept[hit["id"]]
            equal(abs(hit["score"] - wanted[hit["id"]]) < 1e-9, True, f"score {hit['score']} of {hit['id']}, {arguments}")
            for name in ("content", "metadata", "type", "version"):
                equal(hit[name], context[name], f"{name} of {hit['id']}")
            equal({(edge["type"], edge["target"]) for edge in hit["relationships"]},
                  {(edge["type"], edge["target"]) for edge in context["relationships"]}, f"edges of {hit['id']}")


def test_model():
    """what a dict says of random steps, the server says, killed in between or not"""
    steps = [Model.store] * 10 + [Model.store_many] * 2 + [Model.remove] * 5 + [Model.find] * 10
    with directory() as path:
        model = Model(path)
        for first in range(0, STEPS, KILL_EVERY):
            with Server(path, "--embedding-model", "off") as model.server:
                for step in range(first, min(first + KILL_EVERY, STEPS)):
                    # A command is a process, so restoring is rare.
                    (Model.restore if step % 40 == 0 else model.random.choice(steps))(model)
        equal(command("doctor", "--data-dir", path)[0], 0, "doctor")


run(test_model)
