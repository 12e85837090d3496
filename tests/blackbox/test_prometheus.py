#!/usr/bin/env python3
"""A real Prometheus scrapes a running server and answers questions about it; promtool finds no fault with the text, nor with
the configuration and rules of docs/operations.md."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

from blackbox import ROOT, WAIT_S, Server, Skip, command, contains, directory, environment, equal, run
from wire import ask, eventually, request

CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: context-store
    static_configs: [{{targets: ["127.0.0.1:{open}"]}}]
  - job_name: with-key
    authorization: {{credentials: "a-key-for-prometheus"}}
    static_configs: [{{targets: ["127.0.0.1:{keyed}"]}}]
  - job_name: without-key
    static_configs: [{{targets: ["127.0.0.1:{keyed}"]}}]
"""

# An alert of the page, made to happen: critical for three minutes.
RULES_TEST = """\
rule_files: [{rules}]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - series: 'mcp_status_level{{measure="memory_usage_mb", instance="a:1", job="context-store"}}'
        values: '0x8 2x12'
      - series: 'up{{instance="b:1", job="context-store"}}'
        values: '1x8 0x12'
      - series: 'mcp_requests_total{{tool_name="store_context", result="storage_error", instance="a:1"}}'
        values: '0x4 1+1x40'
    alert_rule_test:
      - eval_time: 2m
        alertname: ContextStoreCritical
        exp_alerts: []
      - eval_time: 4m
        alertname: ContextStoreCritical
        exp_alerts:
          - exp_labels: {{severity: critical, measure: memory_usage_mb, instance: "a:1", job: context-store}}
            exp_annotations: {{summary: "memory_usage_mb of a:1 is critical; GET /status tells more"}}
      - eval_time: 4m
        alertname: ContextStoreDown
        exp_alerts:
          - exp_labels: {{severity: critical, instance: "b:1", job: context-store}}
            exp_annotations: {{summary: "b:1 does not answer"}}
      - eval_time: 9m
        alertname: ContextStoreFailing
        exp_alerts:
          - exp_labels: {{severity: critical, tool_name: store_context, result: storage_error, instance: "a:1"}}
            exp_annotations: {{summary: "store_context fails with storage_error on a:1"}}
"""

BOUNDS_S = [step * 10.0**power for power in range(-6, 1) for step in (1, 2.5, 5)] + [10]


def tool(name):
    """Where it is installed, or where scripts/setup has unpacked it."""
    found = shutil.which(name) or shutil.which(name, path=ROOT / "build/sdk/prometheus/usr/bin")
    if not found:
        raise Skip(f"{name} is not installed; scripts/setup check unpacks Debian's prometheus below build/sdk")
    return found


def promtool(*words, stdin=""):
    done = subprocess.run([tool("promtool"), *words], input=stdin, capture_output=True, text=True, timeout=WAIT_S)
    return done.returncode, done.stdout + done.stderr


def page_block(start):
    """The block of docs/operations.md that begins so."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.S)
    return next(block for block in blocks if block.startswith(start))


def written(folder, name, text):
    path = pathlib.Path(folder, name)
    path.write_text(text)
    return str(path)


def lint():
    """promtool check metrics is content with /metrics, and so is promtool with what docs/operations.md configures"""
    with directory() as path, Server(path) as server:
        server.tool("store_context", type="log", content={"text": "a heron"})
        server.tool("retrieve_context", query="heron", search_mode="text")
        server.tool("get_agent_state")
        for page in ("/nothing", "/status", "/mcp"):
            ask(server.port, request("GET", page))
        text = ask(server.port, request("GET", "/metrics")).body.decode()
        for family in ("mcp_response_time_seconds", "mcp_memory_bytes", "process_cpu_seconds_total", "context_store_build_info"):
            contains(text, f"# TYPE {family} ")
        equal(promtool("check", "metrics", stdin=text), (0, ""))
        # It would find something.
        equal(promtool("check", "metrics", stdin=text.replace("mcp_requests_total", "mcp_requests"))[0] != 0, True)
    with directory() as path:
        code, said = promtool("check", "config", "--syntax-only", written(path, "prometheus.yml", page_block("scrape_configs")))
        equal(code, 0, said)
        rules = written(path, "rules.yml", page_block("groups"))
        code, said = promtool("check", "rules", rules)
        equal(code, 0, said)
        code, said = promtool("test", "rules", written(path, "test.yml", RULES_TEST.format(rules=rules)))
        equal(code, 0, said)


class Prometheus:
    """A server of its own, on a port that was free a moment ago and with storage in `folder`."""

    def __init__(self, folder, config):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = open(pathlib.Path(folder, "prometheus.log"), "w+", encoding="utf-8")
        self.child = subprocess.Popen(
            [tool("prometheus"), f"--config.file={written(folder, 'prometheus.yml', config)}",
             f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log, stderr=self.log, env=environment(), cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(WAIT_S)
        self.log.close()

    def get(self, path):
        if self.child.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"prometheus ended with {self.child.returncode}: {self.log.read()[-2000:]}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request("GET", path)
            reply = json.loads(connection.getresponse().read())
            equal(reply["status"], "success", path)
            return reply["data"]

    def query(self, promql):
        """[(labels, value)] of a query; [] also while it does not listen yet."""
        try:
            data = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": promql}))
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return []
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def value(self, promql):
        """Of a query with one answer; None when there is none."""
        found = self.query(promql)
        return found[0][1] if len(found) == 1 else None

    def await_value(self, promql, wanted):
        eventually(f"{promql} == {wanted}", lambda: self.value(promql) == wanted)


def timed_calls(server, count):
    """Calls get_agent_state so often; returns the longest time one took, in seconds."""
    longest = 0
    for _ in range(count):
        start = time.monotonic()
        equal(server.tool("get_agent_state", agent_id="a", key="k", prefix="memory")[0], 200)
        longest = max(longest, time.monotonic() - start)
    return longest


def ask_prometheus(server, prom):
    prom.await_value('up{job="context-store"}', 1)
    prom.await_value('up{job="with-key"}', 1)
    prom.await_value('up{job="without-key"}', 0)
    server.tool("update_scratchpad", agent_id="a", key="k", prefix="memory", content="v")
    equal(server.tool("get_agent_state", agent_id="a", key="none")[0], 404)
    # The rate of a counter needs two scrapes with a difference, so the calls come in two parts.
    own = 'job="context-store"'
    calls = f'mcp_requests_total{{{own}, tool_name="get_agent_state", result="ok"}}'
    longest = timed_calls(server, 20)
    prom.await_value(calls, 20)
    longest = max(longest, timed_calls(server, 30))
    prom.await_value(calls, 50)
    equal(prom.value(f'mcp_requests_total{{{own}, tool_name="get_agent_state", result="key_not_found"}}'), 1)
    equal(prom.value(f'sum(mcp_response_time_seconds_count{{{own}}})'), 52)
    equal(prom.value(f'mcp_response_time_seconds_bucket{{{own}, tool_name="get_agent_state", le="+Inf"}}'), 51)
    equal(prom.value(f'mcp_commit_writes_sum{{{own}}}'), 1)
    grown = prom.value(f"increase({calls}[1m])")
    equal(grown is not None and grown >= 29.99, True, f"{grown} calls more, extrapolated from at least 30")
    # The client waited longer than the server worked, so the bucket its longest time falls into bounds every quantile.
    bound = next((bound for bound in BOUNDS_S if bound >= longest), 10)
    p99 = dict((labels["tool_name"], value) for labels, value in prom.query(
        f"histogram_quantile(0.99, sum by (le, tool_name) (rate(mcp_response_time_seconds_bucket{{{own}}}[1m])))"))
    equal(0 < p99["get_agent_state"] <= bound * 1.000001, True, f"p99 {p99['get_agent_state']} and longest {longest}")
    info = prom.query(f"context_store_build_info{{{own}}}")
    equal([value for _, value in info], [1])
    equal(re.fullmatch(r"\d+\.\d+\.\d+", info[0][0]["version"]) is not None and info[0][0]["compiler"] != "", True, str(info))
    equal(prom.value(f"process_start_time_seconds{{{own}}} > bool 1e9"), 1)
    equal(prom.value(f"(time() - process_start_time_seconds{{{own}}}) < bool 600"), 1)


def questions():
    """Prometheus scrapes the server and answers PromQL with what was sent; a crossed threshold raises the alert of the page"""
    tool("prometheus")
    keys = environment(API_KEY_PROMETHEUS="a-key-for-prometheus:prometheus:guest:true")
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        path, keyed_path, folder = enter(directory()), enter(directory()), enter(directory())
        server = enter(Server(path, "--status-connections", "1/40/50"))
        keyed = enter(Server(keyed_path, env=keys))
        rules = written(folder, "rules.yml", page_block("groups"))
        prom = enter(Prometheus(folder, CONFIG.format(rules=rules, open=server.port, keyed=keyed.port)))
        ask_prometheus(server, prom)
        level = 'mcp_status_level{job="context-store", measure="concurrent_connections"}'
        prom.await_value(level, 0)
        crowd = [enter(socket.create_connection(("127.0.0.1", server.port), WAIT_S)) for _ in range(60)]
        prom.await_value(level, 2)
        server.wait_for('msg="a threshold is reached" measure=concurrent_connections from=ok to=critical')
        eventually("the alert", lambda: any(
            alert["labels"]["alertname"] == "ContextStoreCritical" and alert["labels"]["measure"] == "concurrent_connections"
            for alert in prom.get("/api/v1/alerts")["alerts"]))
        status = json.loads(ask(server.port, request("GET", "/status")).body)
        equal((status["status"], status["thresholds"]["concurrent_connections"]["level"]), ("critical", "critical"))
        equal(status["thresholds"]["concurrent_connections"]["warning"], 40)
        for one in crowd:
            one.close()
        prom.await_value(level, 0)
        server.wait_for('msg="below a threshold again" measure=concurrent_connections from=critical to=ok')


def thresholds_are_checked():
    """Thresholds of the wrong form are an error that names the setting"""
    with directory() as path:
        code, out, err = command("serve", "--data-dir", path, "--port", "0", "--status-cpu", "90/75/50")
        equal((code, out), (1, ""))
        contains(err, "status-cpu (flag --status-cpu): thresholds are three numbers that do not fall")


run(lint, questions, thresholds_are_checked)
