#!/usr/bin/env python3
"""Each rule of scripts/lint fires on a small bad file, and stays quiet beside it on a good one."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import blackbox

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINT = ROOT / "scripts" / "lint"
GOOD = "int good(int);\n\nint good(int a)\n{\n\treturn a;\n}\n"


def lint(files, fast=True):
    """Findings of a tree with these files as (file, line, rule), and the exit status."""
    with tempfile.TemporaryDirectory() as root:
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(ROOT / name, root)
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([LINT, *(["--fast"] if fast else []), "--root", root], capture_output=True, text=True)
        found = re.findall(r"^([^:\n]+):(\d+): ([a-z-]+): (warning: )?", done.stdout, re.M)
        return [(name, int(line), rule) for name, line, rule, _ in found], done.returncode


def finds(text, *expected, name="src/base/x.c"):
    """The findings in one file, as (line, rule); formatting is left aside unless asked for."""
    found, _ = lint({name: text})
    found = [(line, rule) for _, line, rule in found if rule != "format"]
    blackbox.equal(found, list(expected), text[:200])


def function(body):
    return f"int f(int a);\nint f(int a)\n{{\n{body}\n}}\n"


def good_file():
    """a good file has no finding and the exit status is 0"""
    blackbox.equal(lint({"src/base/x.c": GOOD}), ([], 0))


def no_files():
    """a tree without files is no success"""
    blackbox.equal(lint({}), ([], 1))


def include_direction():
    """include: every pair of layers is judged as the map says"""
    allowed = {
        "base": "base", "net": "base net", "port": "base port", "engine": "base port vector embed engine",
        "remote": "base net port remote", "cypher": "base port cypher", "store": "base port cypher store",
        "mcp": "base net port store mcp", "bench": "base mcp bench",
        "cli": "base net port vector embed engine remote cypher store mcp bench cli",
    }  # fmt: skip
    layers = sorted(set(" ".join(allowed.values()).split()))
    files = {f"src/{layer}/x.c": "".join(f'#include "{other}/y.h"\n' for other in layers) for layer in allowed}
    found, status = lint(files)
    expected = [(f"src/{layer}/x.c", n, "include") for layer in allowed for n, other in enumerate(layers, 1)
                if other not in allowed[layer].split()]
    blackbox.equal(sorted(f for f in found if f[2] == "include"), sorted(expected))
    blackbox.equal(status, 1)


def include_names():
    """include: a header is named from src/, a layer is on the map, main.c knows cli/ only"""
    finds('#include "y.h"\n#include "../base/y.h"\n#include <base.h>\n', (1, "include"), (2, "include"))
    finds("int x;\n", (1, "include"), name="src/extra/x.c")
    finds('#include "cli/cli.h"\n#include "base/x.h"\n', (2, "include"), name="src/main.c")


def file_length():
    """file-length: 600 lines are fine, 601 warn, 1001 fail"""
    line = "extern int x;\n"
    blackbox.equal(lint({"src/base/x.c": line * 600}), ([], 0))
    blackbox.equal(lint({"src/base/x.c": line * 601}), ([("src/base/x.c", 601, "file-length")], 0))
    blackbox.equal(lint({"src/base/x.c": line * 1001}), ([("src/base/x.c", 1001, "file-length")], 1))


def function_length():
    """function-length: 70 lines are fine, 71 are not, whatever stands before or inside"""
    finds(function("\n".join(["\ta++;"] * 66) + "\n\treturn a;"))
    finds(function("\n".join(["\ta++;"] * 67) + "\n\treturn a;"), (2, "function-length"))
    finds("struct s {\n\tint a;\n};\n#define M(x) {\n" + "int x = 1;\n" * 80 + GOOD)
    finds(function('\tconst char *s = "{"; /* { */\n' + "\n".join(["\ta++; // }"] * 66) + "\n\treturn *s;"), (2, "function-length"))
    finds("static int\ng(struct s *s)\n{\n" + "\ts->a = (struct t){.b = 1}.b;\n" * 70 + "}\n", (1, "function-length"))


def nesting():
    """nesting: four levels are fine, five are not, with and without braces"""
    finds(function("if (a) for (;;) while (a) do { a++; } while (a);\nreturn a;"))
    finds(function("if (a) for (;;) while (a) do\nif (a) a++;\nwhile (a);\nreturn a;"), (5, "nesting"))
    finds(function("for (;;) {\nif (a) {\nwhile (a) {\nswitch (a) {\ncase 1:\nif (a)\na++;\n}\n}\n}\n}\nreturn a;"), (10, "nesting"))
    finds(function("if (a) a = 1;\nelse if (a) a = 2;\nelse if (a) a = 3;\nelse if (a) a = 4;\nelse if (a) a = 5;\nelse a = 6;\nreturn a;"))
    finds(function("int t[] = {1, 2};\nif (a) { int u[2][2] = {{1, 2}, {3, 4}}; a = u[0][0]; }\nreturn t[0];"))
    finds(function("if (a) if (a) if (a) EACH_THING(a)\nif (a)\na++;\nreturn a;"), (6, "nesting"))


def banned_calls():
    """banned: each call is found, in tests too; names that only look like one, comments and text are not"""
    calls = "sprintf vsprintf strcpy strcat strncpy strncat strtok atoi atol atoll gmtime localtime ctime asctime rand srand gets alloca system popen tmpnam mktemp"
    for call in calls.split():
        finds(function(f"\t{call}(a);\n\treturn a;"), (4, "banned"), name="tests/unit/test_x.c")
    finds(function('\tsnprintf(0, 0, "atoi(x)"); /* atoi(a) */\n\tmy_atoi(a);\n\ta->system(a);\n\treturn strtok_r(a);'))


def arrays_of_variable_length():
    """vla: an array sized by a variable is found, constants and sizeof are not"""
    finds(function("\tchar text[a + 1];\n\treturn text[0];"), (4, "vla"))
    finds(function("\tunsigned char one[8], two[a];\n\treturn one[0];"), (4, "vla"))
    finds(function("\tchar text[16], more[SIZE_MAX_X], t[sizeof(int) * 2], u[sizeof \"abc\" + 64], v[0x1f];\n\tx = t[a];\n\treturn t[a];"))
    finds(function("\tstatic const char *const names[] = {[X] = \"x\"};\n\tstruct s s = {0};\n\treturn s.t[a];"))


def typedefs():
    """typedef: of a struct or union is found, of a function or number is not"""
    finds("typedef struct s s_t;\ntypedef union {\n\tint a;\n} u;\n", (1, "typedef"), (2, "typedef"))
    finds("typedef int (*call_fn)(struct s *);\ntypedef unsigned id;\n")


def todos():
    """todo: one without a reason is found"""
    word = "TO" + "DO"
    finds(f"/* {word} */\n// {word}: later\n/* {word} fix it */\n", (1, "todo"), (2, "todo"), (3, "todo"))
    finds(f"/* {word}: needs the planner of the next version */\n")


def formatting():
    """format: what clang-format would change is found; tables are exempt"""
    if not shutil.which("clang-format"):
        raise blackbox.Skip("clang-format is not installed")
    bad = "int  x ;\n"
    found, status = lint({"src/base/x.c": bad, "src/base/x_table.h": bad})
    blackbox.equal((sorted({(name, rule) for name, _, rule in found}), status), ([("src/base/x.c", "format")], 1))


def tidy():
    """tidy: a null dereference is found, a failure that is returned is none"""
    if not shutil.which("clang-tidy"):
        raise blackbox.Skip("clang-tidy is not installed")
    headers = {f"src/base/{name}.h": (ROOT / f"src/base/{name}.h").read_text() for name in ("error", "slice", "banned")}
    bad = "int bad(int a);\n\nint bad(int a)\n{\n\tint *p = 0;\n\n\tif (a)\n\t\treturn *p;\n\treturn 0;\n}\n"
    fine = (
        '#include "base/error.h"\n\n#include <errno.h>\n\nextern int *source;\n\n'
        "static enum cs_status get(int **ret)\n{\n\tif (!source)\n\t\treturn cs_fail(0, CS_STORAGE, \"none\");\n"
        "\t*ret = source;\n\treturn CS_OK;\n}\n\nint use(void);\n\nint use(void)\n{\n\tint *p = 0;\n\n"
        "\tif (get(&p) != CS_OK)\n\t\treturn 0;\n\treturn *p;\n}\n"
    )
    found, status = lint({**headers, "src/base/bad.c": bad, "src/base/fine.c": fine}, fast=False)
    blackbox.equal(([f for f in found if f[2] == "tidy"], status), ([("src/base/bad.c", 8, "tidy")], 1))


if __name__ == "__main__":
    blackbox.run(good_file, no_files, include_direction, include_names, file_length, function_length, nesting, banned_calls,
                 arrays_of_variable_length, typedefs, todos, formatting, tidy)
