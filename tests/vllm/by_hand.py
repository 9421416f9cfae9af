"""The start-up loop of people beside `toolorch up`: by_hand.py TOOLORCH [sim | real]…

By hand, as the evaluation log had it: in a terminal for each node `vllm serve … &` and a fixed sleep, one server after the
other; then curl /v1/models of each, again every five seconds until all answer. `sim`: the log's 24 servers on four nodes,
whose start times are drawn from a log-normal distribution, all at a tenth of the time (sleeps of 3, 2, 2 and 2 s).
`real`: two real servers and the log's 30 s. When a server first completes something is seen by a prober of its own that
asks each every 50 ms. Standard library only. Needs the environment of server.py.
"""

import http.client
import json
import math
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

# (model, first port, servers, seconds of sleep after each) of the log's four nodes.
LOG = [
    ("Qwen/Qwen3-8B", 19800, 4, 30), ("Qwen/Qwen2.5-Coder-14B-Instruct", 19810, 8, 20),
    ("Qwen/Qwen3-32B-FP8", 19820, 8, 20), ("openai/gpt-oss-20b", 19840, 4, 20),
]
SPEED = 10
# Log-normal: half of the servers take less than a minute, one in forty more than two.
MEDIAN, SPREAD, SEED = 60, 0.4, 1
# How often a person tries again.
CURL_EVERY = 5


def completes(port, model):
    """Whether the server completes a token now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Probers:
    """Sees when each server first completes something."""

    def __init__(self, servers):
        self.ready = {}
        self.threads = [threading.Thread(target=self.watch, args=server, daemon=True) for server in servers]
        for thread in self.threads:
            thread.start()

    def watch(self, port, model):
        while not completes(port, model):
            time.sleep(0.05)
        self.ready[port] = time.monotonic()

    def last(self):
        """When the last of them did."""
        for thread in self.threads:
            thread.join()
        return max(self.ready.values())


class Scene:
    """Which servers there are, and how each way starts them."""

    def __init__(self, program, real):
        self.program, self.real = program, real
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="toolorch-by-hand-", dir="/var/tmp"))
        self.speed = 1 if real else SPEED
        nodes = [("tiny", 18200, 2, 30)] if real else LOG
        self.nodes = [[(port + place, model, sleep) for place in range(count)] for model, port, count, sleep in nodes]
        self.servers = [(port, model) for node in self.nodes for port, model, _ in node]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VLLM_", "TOOLORCH_"))}
        # A home of its own: both ways begin with empty compile caches.
        self.environment = dict(kept, HOME=str(self.folder), TOOLORCH_HOME=str(self.folder / "runs"),
                                TOOLORCH_STATE=str(self.folder / "state"), VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1",
                                VLLM_NO_USAGE_STATS="1")
        if not real:
            self.put_vllm()

    def put_vllm(self):
        """`vllm` on PATH is the simulator, which takes as long as the distribution says for its port."""
        draw = random.Random(SEED)
        times = {port: draw.lognormvariate(math.log(MEDIAN), SPREAD) / self.speed for port, _ in self.servers}
        self.slowest = max(times.values())
        (self.folder / "bin").mkdir()
        cases = "\n".join("  %d) export TOOLORCH_SIM_STARTUP_MS=%d ;;" % (port, 1000 * seconds) for port, seconds in times.items())
        script = self.folder / "bin/vllm"
        script.write_text(
            "#!/bin/bash\nfor word; do case $word in\n%s\nesac; done\n"
            "exec '%s' sim vllm \"$@\"\n" % (cases, self.program))
        script.chmod(0o755)
        self.environment["PATH"] = "%s:%s" % (self.folder / "bin", os.environ["PATH"])

    def serve(self, port, model):
        """The command that a person types."""
        if not self.real:
            return ["vllm", "serve", model, "--host", "127.0.0.1", "--port", str(port)]
        return [os.environ["TOOLORCH_REAL_VENV"] + "/bin/vllm", "serve", os.environ["TOOLORCH_REAL_MODEL"],
                "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny", "--max-model-len", "4096",
                "--enforce-eager", "--dtype", "bfloat16", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]

    def yaml(self):
        """The same servers, as toolorch is told."""
        if self.real:
            return """version: 1
name: by-hand
vllm: {{ version: "0.32.0", env: {{ venv: {venv} }} }}
nodes: {{ here: {{ gpus: 0, transport: local, address: 127.0.0.1 }} }}
when_done: keep
models:
  tiny: {{ model: {model}, served_name: tiny, node: here, replicas: 2, gpus: [], port: 18200, max_model_len: 4096, tools: true,
          tool_parser: hermes, args: {{ enforce-eager: true, dtype: bfloat16 }},
          env: {{ set: {{ VLLM_CPU_KVCACHE_SPACE: "1", HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1" }} }} }}
""".format(venv=os.environ["TOOLORCH_REAL_VENV"], model=os.environ["TOOLORCH_REAL_MODEL"])
        lines = ["version: 1", "name: by-hand", 'vllm: { version: "0.12.0" }', "when_done: keep",
                 "nodes: { here: { gpus: 24, transport: local, address: 127.0.0.1 } }", "models:"]
        for place, (model, port, count, _) in enumerate(LOG):
            lines.append("  m%d: { model: %s, node: here, replicas: %d, port: %d }" % (place, model, count, port))
        return "\n".join(lines) + "\n"


def by_hand(scene):
    """Seconds until a person knows that all are ready, and how many of them after the last was."""
    started, lock = [], threading.Lock()

    def terminal(node):
        for port, model, sleep in node:
            with lock, open(scene.folder / ("%d.log" % port), "w") as log:
                started.append(subprocess.Popen(
                    scene.serve(port, model), env=scene.environment, cwd=scene.folder, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True))
            time.sleep(sleep / scene.speed)

    probers = Probers(scene.servers)
    began = time.monotonic()
    terminals = [threading.Thread(target=terminal, args=(node,)) for node in scene.nodes]
    for each in terminals:
        each.start()
    for each in terminals:
        each.join()
    try:
        while not all(lists_models(port) for port, _ in scene.servers):
            time.sleep(CURL_EVERY / scene.speed)
        known = time.monotonic()
        return known - began, max(0.0, known - probers.last())
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait()


def lists_models(port):
    """What the log's curl asks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/v1/models")
        return '"id"' in connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def by_toolorch(scene):
    """The same of `toolorch up`, which proves more: a completion from each, and from those with tools a call."""
    (scene.folder / "cluster.yaml").write_text(scene.yaml())
    command = lambda verb: subprocess.run(
        [scene.program, verb, "cluster.yaml"], cwd=scene.folder, env=scene.environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=1200)
    probers = Probers(scene.servers)
    began = time.monotonic()
    done = command("up")
    known = time.monotonic()
    try:
        if done.returncode != 0:
            sys.exit("up ended with %d:\n%s%s" % (done.returncode, done.stdout, done.stderr))
        return known - began, known - probers.last()
    finally:
        command("down")


def compare(program, kind):
    for name, way in (("by hand", by_hand), ("toolorch up", by_toolorch)):
        scene = Scene(program, kind == "real")
        took, wasted = way(scene)
        slowest = "" if scene.real else "; the slowest server takes %.1f s" % scene.slowest
        print("%s, %s: all %d ready and known after %.1f s, %.1f s of it after the last was%s" % (
            kind, name, len(scene.servers), took, wasted, slowest), flush=True)
        shutil.rmtree(scene.folder, ignore_errors=True)


if __name__ == "__main__":
    for each in sys.argv[2:] or ["sim", "real"]:
        compare(str(pathlib.Path(sys.argv[1]).resolve()), each)
