"""The official Python client against the real program: over stdio and HTTP, in every era.

Each combination gets a store of its own, connects, lists the tools, runs scenario.json, and checks every result against the
tool's output schema, structured and textual form alike. Output is TAP.
"""
import asyncio
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import jsonschema
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

PROGRAM = sys.argv[1]
SCENARIO = json.loads((pathlib.Path(__file__).parent / "scenario.json").read_text())
MODES = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
RESULTS = []


def report(ok, name, detail=""):
    RESULTS.append(ok)
    print(f"{'ok' if ok else 'not ok'} {len(RESULTS)} - {name}", flush=True)
    if not ok:
        print(re.sub("^", "# ", str(detail), flags=re.M), flush=True)


def serve(directory):
    """Starts the server and returns it with the URL it tells on standard error."""
    child = subprocess.Popen([PROGRAM, "serve", "--data-dir", directory, "--port", "0"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = ""
    for line in child.stderr:
        said += line
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return child, found.group(0) + "/mcp"
    raise RuntimeError(f"serve ended with {child.wait()}: {said}")


def check(step, result, schema):
    """What is wrong with the result, or None."""
    found = result.structured_content
    jsonschema.Draft202012Validator(schema).validate(found)
    if json.loads(result.content[0].text) != found:
        return f"text and structured content differ: {result.content[0].text}"
    if bool(result.is_error) != step.get("is_error", step["expect"]["success"] is False):
        return f"is_error is {result.is_error}: {found}"
    for name, value in step["expect"].items():
        if found.get(name) != value:
            return f"{name} is {found.get(name)!r}, not {value!r}: {found}"
    return None


async def run_scenario(client, label, revision):
    version = client.session.protocol_version
    report(version == revision, f"{label}: speaks {revision}", f"it speaks {version}")
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    report(sorted(tools) == SCENARIO["tools"], f"{label}: lists the tools", sorted(tools))
    for index, step in enumerate(SCENARIO["steps"], 1):
        result = await client.call_tool(step["tool"], step["arguments"])
        try:
            wrong = check(step, result, tools[step["tool"]].output_schema)
        except jsonschema.ValidationError as error:
            wrong = f"output schema: {error}"
        report(wrong is None, f"{label}: step {index}, {step['tool']}", wrong)
    try:
        await client.call_tool("no_such_tool", {})
        report(False, f"{label}: an unknown tool is -32602", "it was called")
    except Exception as error:  # the client's own error class; its code is what counts
        report(getattr(getattr(error, "error", error), "code", None) == -32602, f"{label}: an unknown tool is -32602", repr(error))


async def run_one(mode, revision, transport):
    label = f"python {mode} over {transport}"
    directory = tempfile.mkdtemp(prefix="context-store-sdk-")
    child, server = None, StdioServerParameters(command=PROGRAM, args=["stdio", "--data-dir", directory])
    try:
        if transport == "http":
            child, server = serve(directory)
        async with Client(server, mode=mode) as client:
            report(True, f"{label}: connects")
            await run_scenario(client, label, revision)
    except Exception as error:
        report(False, f"{label}: goes through", repr(error))
    finally:
        if child:
            child.terminate()
            report(child.wait(timeout=30) == 0, f"{label}: the server ends with 0", child.returncode)
        shutil.rmtree(directory, ignore_errors=True)


for MODE, REVISION in MODES.items():
    for TRANSPORT in ("stdio", "http"):
        asyncio.run(run_one(MODE, REVISION, TRANSPORT))
print(f"1..{len(RESULTS)}")
sys.exit(0 if all(RESULTS) else 1)
