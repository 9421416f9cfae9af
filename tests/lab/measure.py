#!/usr/bin/env python3
"""How long the controller takes around 64 servers on four nodes: python3 tests/lab/measure.py [ssh|slurm] [BINARY]

In a lab of its own (root; see README.md) with simulated servers:
  submitting  what passed between starts while none was under way: the controller's own time
  ready       from the last server's first good answer, as somebody sees it who asks each of them five times a second, to
              all of them being ready by the run's journal
What `up` adds to the servers' own start is the sum of the two. Nodes are nicer than the login node here, where all of them
share the processors: a controller does not share its own with 64 servers that start.
"""

import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys

KIND = sys.argv[1] if len(sys.argv) > 1 else "ssh"
BINARY = sys.argv[2] if len(sys.argv) > 2 else "target/release/toolorch"
HERE = pathlib.Path(__file__).parent
PLAIN = ["research-secure-05", "research-secure-11", "research-secure-12", "research-secure-13"]
SLURM = ["gpu-31-10", "gpu-31-11", "gpu-31-12", "gpu-31-13"]
NODES = PLAIN if KIND == "ssh" else SLURM
LAB = f"/var/tmp/toolorch-measure-{os.getpid()}"


def lab(verb, *words, check=True):
    env = dict(os.environ, LAB_OWNER="none", LAB_INNER_NODES="")
    env["LAB_PLAIN_NODES"] = " ".join(NODES if KIND == "ssh" else [])
    env["LAB_SLURM_NODES"] = " ".join(NODES if KIND == "slurm" else [])
    return subprocess.run([HERE / "lab.sh", verb, LAB, *words], env=env, check=check, stdin=subprocess.DEVNULL)


def yaml():
    launcher = "tmux" if KIND == "ssh" else "slurm"
    lines = ["version: 1", "name: s", f"launcher: {launcher}", "nodes:"]
    lines += [f"  {node}: {{ gpus: 0 }}" for node in NODES]
    if KIND == "slurm":
        lines.append("slurm: { partition: main, time: '01:00:00' }")
    lines += ["models:", "  m:", "    model: Qwen/Qwen3-8B", "    engine: sim", "    replicas: 64", "    gpus: []"]
    lines += [f"    node: [{', '.join(NODES)}]", "    port: 20000", "when_done: keep"]
    return "\n".join(lines) + "\n"


WATCHER = """
import asyncio, json, sys, time
async def first(host, port):
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /health HTTP/1.0\\r\\n\\r\\n")
            if b" 200 " in await asyncio.wait_for(reader.readline(), 5):
                return time.time() * 1000
        except (OSError, asyncio.TimeoutError):
            pass
        await asyncio.sleep(0.2)
async def main():
    places = [(node, 20000 + at) for at, node in enumerate(node for node in sys.argv[1:] for _ in range(16))]
    print(json.dumps(await asyncio.gather(*(first(*place) for place in places))))
asyncio.run(main())
"""


def moments():
    """When the first event of each kind happened to each server, in milliseconds since 1970."""
    seen = {}
    for path in sorted(glob.glob(f"{LAB}/home/tester/c/.toolorch/runs/s/1/journal.*.jsonl")):
        for line in open(path):
            record = json.loads(line)["record"]
            event = record["event"]
            if "unit" in event:
                seen.setdefault(event["kind"], {}).setdefault(event["unit"], record["at"])
    return seen


def idle(begun, ended):
    """How long nothing was under way between the first start and the last, in milliseconds."""
    spans = sorted((begun[unit], ended[unit]) for unit in begun if unit in ended)
    total, until = 0, spans[0][0]
    for start, end in spans:
        total += max(0, start - until)
        until = max(until, end)
    return total


def main():
    lab("up")
    try:
        subprocess.run(["install", "-m", "755", BINARY, f"{LAB}/bin/toolorch"], check=True)
        for node in NODES:
            lab("on", node, "bash", "-c", "renice -n 10 -p $(pgrep -x 'slurmd|sshd') >/dev/null", check=False)
        site = pathlib.Path(LAB, "home/tester/c")
        lab("exec", "mkdir", "c")
        (site / "cluster.yaml").write_text(yaml())
        (site / "watcher.py").write_text(WATCHER)
        both = "cd c; python3 watcher.py $0 >answers & toolorch up --events plain cluster.yaml >up.log 2>&1; wait"
        lab("exec", "bash", "-c", both.replace("$0", " ".join(NODES)), check=False)
        answered = json.loads((site / "answers").read_text())
        seen = moments()
        intended, handed, ready = (seen[kind] for kind in ("launch-intended", "launched", "ready"))
        first = min(intended.values())
        print(f"{KIND}: {len(ready)} of 64 ready after {(max(ready.values()) - first) / 1000:.1f} s")
        print(f"submitting: {idle(intended, handed) / 1000:.2f} s")
        print(f"ready: {(max(ready.values()) - max(answered)) / 1000:.2f} s")
        lab("exec", "bash", "-c", "cd c && toolorch down cluster.yaml >/dev/null 2>&1", check=False)
    finally:
        lab("down")
        shutil.rmtree(LAB, ignore_errors=True)


main()
