#!/usr/bin/env python3
"""scripts/run-tests counts what programs say, and does not take their word for more than they showed."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import blackbox

RUN_TESTS = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "run-tests"


def run(*scripts, options=()):
    """Lines of output and the exit status for programs that are these shell scripts."""
    with tempfile.TemporaryDirectory() as root:
        names = []
        for number, script in enumerate(scripts):
            names.append(pathlib.Path(root, f"test_{number}"))
            names[-1].write_text("#!/bin/sh\n" + script + "\n")
            names[-1].chmod(0o755)
        done = subprocess.run([RUN_TESTS, *options, *names], capture_output=True, text=True)
        return done.stdout.replace(root + "/", "").splitlines(), done.returncode


def last(expected, status, *scripts, options=()):
    lines, code = run(*scripts, options=options)
    blackbox.equal((lines[-1], code), (expected, status), "\n".join(lines))
    return "\n".join(lines)


def counts():
    """passed, failed and skipped are summed over programs and groups"""
    last("3 passed, 0 failed, 0 skipped", 0, "echo 1..2; echo ok 1 - a; echo ok 2 - b", "echo ok 1; echo 1..1")
    last("2 passed, 1 failed, 0 skipped", 1, "echo 1..2; echo ok 1; echo not ok 2 - b; echo 1..1; echo ok 1; exit 1")


def failing_output():
    """the output of a failing program is shown, standard error too"""
    text = last("0 passed, 1 failed, 0 skipped", 1, "echo 1..1; echo not ok 1 - a; echo why >&2; exit 1")
    blackbox.contains(text, "| not ok 1 - a")
    blackbox.contains(text, "| why")


def failures():
    """what failed is named again at the end, with the last it said or what is wrong with the program"""
    text = last("1 passed, 3 failed, 0 skipped", 1,
                "echo 1..3; echo not ok 1 - a; echo '# Traceback'; echo '#   line'; echo; echo '# 1 is not 2'; echo ok 2; echo '# no matter';"
                "echo not ok 3 - c; exit 1", "exit 7")
    blackbox.contains(text, "failed: test_0: a: Traceback | line | 1 is not 2\nfailed: test_0: c: it gave no reason\n")
    blackbox.contains(text, "failed: test_1: it ended with status 7, though no test failed\n")


def skips():
    """a skipped test is listed with its reason, in the form of TAP and of cmocka 1.1.5"""
    text = last("1 passed, 0 failed, 3 skipped", 0,
                "echo 1..4; echo ok 1; echo 'ok 2 - a # SKIP no net'; echo because; echo 'not ok 3 # SKIP b'; echo 'not ok 4 # SKIP c'")
    blackbox.contains(text, "skipped: test_0: a: no net")
    blackbox.contains(text, "skipped: test_0: b: because")
    blackbox.contains(text, "skipped: test_0: c: no reason given")


def crashes():
    """a crash, an error at exit and a program that cannot be started are failures, whatever passed before"""
    last("1 passed, 1 failed, 0 skipped", 1, "echo 1..1; echo ok 1; kill -SEGV $$")
    last("1 passed, 1 failed, 0 skipped", 1, "echo 1..1; echo ok 1; exit 23")
    last("0 passed, 1 failed, 0 skipped", 1, options=("/nonexistent/test",))


def plans():
    """a plan that is missing, too long, too short or broken off is a failure"""
    last("1 passed, 1 failed, 0 skipped", 1, "echo ok 1")
    last("1 passed, 1 failed, 0 skipped", 1, "echo 1..2; echo ok 1")
    last("2 passed, 1 failed, 0 skipped", 1, "echo 1..1; echo ok 1; echo ok 2")
    last("1 passed, 1 failed, 0 skipped", 1, "echo 1..2; echo ok 1; echo 'Bail out! no disk'")


def nothing():
    """that no test ran is no success"""
    last("0 passed, 0 failed, 0 skipped", 1)
    last("0 passed, 0 failed, 1 skipped", 1, "echo '1..0 # SKIP not here'")


def time_out():
    """a program that hangs is ended with what it started"""
    text = last("1 passed, 1 failed, 0 skipped", 1, "echo 1..2; echo ok 1; sleep 1000 & wait", options=("--timeout", "0.5"))
    blackbox.contains(text, "it ran out of time and was ended")


if __name__ == "__main__":
    blackbox.run(counts, failing_output, failures, skips, crashes, plans, nothing, time_out)
