#!/usr/bin/env python3
"""The manual and the reference pages are what the tables say: `make man` prints them anew."""
import pathlib
import re
import shutil
import subprocess

from blackbox import ROOT, Skip, contains, equal, result, run

PAGES = ["commands", "settings", "errors", "metrics", "tools"]


def same(path, printed):
    committed = pathlib.Path(ROOT, path).read_text()
    if committed != printed:
        raise AssertionError(f"{path} is not what the program prints; run make man and commit it")


def manual():
    """docs/context-store.1 equals the tables"""
    same("docs/context-store.1", result("man"))


def reference():
    """docs/reference/*.md equal the tables"""
    for page in PAGES:
        same(f"docs/reference/{page}.md", result("reference", page))


def no_other_page():
    """docs/reference has no page that nothing prints"""
    found = sorted(path.stem for path in pathlib.Path(ROOT, "docs/reference").glob("*.md"))
    equal(found, sorted(PAGES))


def complete():
    """each row of each table is in its page"""
    settings = (ROOT / "src/base/settings_table.h").read_text()
    for flag in re.findall(r'^SETTING\(\w+, "([^"]+)"', settings, re.M):
        contains(result("reference", "settings"), f"`--{flag}")
    metrics = (ROOT / "src/base/metrics_table.h").read_text()
    for name in re.findall(r'^METRIC\(\w+, \w+, "([^"]+)"', metrics, re.M):
        contains(result("reference", "metrics"), f"`{name}`")


def renders():
    """groff renders the manual without a complaint"""
    groff = shutil.which("groff")
    if not groff:
        raise Skip("groff is not installed")
    done = subprocess.run([groff, "-man", "-Tutf8", "-ww", "-z"], input=result("man").encode(), capture_output=True, check=True)
    equal(done.stderr.decode(), "")


run(manual, reference, no_other_page, complete, renders)
