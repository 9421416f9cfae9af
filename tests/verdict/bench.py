#!/usr/bin/env python3
"""Whether the verdict on a run is right where the truth is known: rehearsals of four kinds, each with several seeds.

    tests/verdict/bench.py TOOLORCH [--seeds 10] [--speed 20] [--kinds queue,decode,client,balanced] [--questions N]

Of the first kind the advice is followed: its patch is applied to the YAML, which is rehearsed again, and that report sets the measured
factor beside the predicted one. A table is printed, and one line of JSON for each rehearsal is written to DIR/results.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# What differs: the workers, the pause of the client, and how many replicas with how many seats answer how long.
KINDS = {
    "queue": {"workers": 32, "orchestrator": (2, 8, 1000), "expert": (6, 8, 1000), "pause": 0, "often": 0.12, "expect": "class orchestrator queue-limited"},
    "decode": {"workers": 20, "orchestrator": (4, 32, 1000), "expert": (2, 32, 1000), "pause": 0, "expect": "class orchestrator decode-limited"},
    "client": {"workers": 32, "orchestrator": (2, 32, 400), "expert": (2, 32, 400), "pause": 60, "expect": "client"},
    "balanced": {"workers": 56, "orchestrator": (3, 8, 1000), "expert": (3, 8, 1000), "pause": 0, "often": 1.0, "expect": "balanced"},
}


def model(name, port, shape):
    replicas, seats, tokens = shape
    return """
  %s:
    model: %s-model
    node: %s
    replicas: %d
    port: %d
    max_model_len: 32768
    args: { max_num_seqs: %d }
    sim: { prefill_rate: 20000, decode_rate: 40, batch_slowdown: 0.02, cache_tokens: 4000000, answer_tokens: %d, answer_spread: 0.6, startup: 1s }""" % (
        name, name, "one" if name == "orchestrator" else "two", replicas, port, seats, tokens)


def cluster(kind, seed, folder, questions):
    shape = KINDS[kind]
    name = "verdict-%s-%d" % (kind, seed)
    text = """version: 1
name: %s
vllm: { version: "0.12.0" }
launcher: process
nodes:
  one: { gpus: %d, gpu: H100-80GB, transport: local, address: 127.0.77.1 }
  two: { gpus: %d, gpu: H100-80GB, transport: local, address: 127.0.77.2 }
models:%s%s
client_config: { format: toolorchestra, path: config.json }
sim: { seed: %d }
evals:
  bench:
    cwd: .
    command: [python3, %s, --config, "{config}", --dataset, "{dataset}", --output, "{results}", --concurrency, "{concurrency}",
              --pause, "%s", --expert, "%s", --seed, "%d"]
    marker: '\\[TASK_COMPLETE\\]'
    dataset: questions.jsonl
    id_fields: [id]
    results: results
    concurrency: %d
""" % (name, shape["orchestrator"][0], shape["expert"][0], model("orchestrator", 18100, shape["orchestrator"]),
       model("expert", 18200, shape["expert"]), seed, os.path.join(HERE, "client.py"), shape["pause"], shape.get("often", 0.33), seed,
       shape["workers"])
    path = os.path.join(folder, "%s.yaml" % name)
    with open(path, "w") as file:
        file.write(text)
    with open(os.path.join(folder, "questions.jsonl"), "w") as file:
        for number in range(questions):
            file.write(json.dumps({"id": "q%05d" % number, "question": "What is %d + %d?" % (number, number * 7)}) + "\n")
    return name, path


def apply(path, changes):
    """Changes values of a YAML that has each key on a line of its own."""
    with open(path) as file:
        lines = file.read().split("\n")
    for change in changes:
        _, name, key = change["path"].split(".")
        at = lines.index("  %s:" % name)
        at = next(number for number in range(at, len(lines)) if lines[number].startswith("    %s:" % key))
        lines[at] = "    %s: %s" % (key, change["to"])
    with open(path, "w") as file:
        file.write("\n".join(lines))


def rehearse(options, folder, path):
    command = [options.toolorch, "rehearse", path, "--no-kill", "--speed", str(options.speed), "--events", "plain"]
    began = time.monotonic()
    log = os.path.join(folder, "rehearse.log")
    with open(log, "a") as out:
        done = subprocess.run(command, stdout=out, stderr=out, cwd=folder, env=dict(os.environ, TOOLORCH_HOME=os.path.join(folder, ".toolorch")))
    if done.returncode not in (0, 3):
        sys.stderr.write("rehearsal of %s ended with %d: see %s\n" % (path, done.returncode, log))
    return time.monotonic() - began


def report(options, folder, name):
    command = [options.toolorch, "report", name + "-rehearsal", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=dict(os.environ, TOOLORCH_HOME=os.path.join(folder, ".toolorch")))
    if done.returncode != 0:
        raise SystemExit("no report: %s" % done.stderr)
    return json.loads(done.stdout)["judgements"][0]


def limit(judged):
    found = judged["analysis"]["limit"]
    return " ".join(found[key] for key in ("is", "class", "verdict", "why") if key in found)


def one(options, kind, seed, folder):
    name, path = cluster(kind, seed, folder, options.questions)
    took = rehearse(options, folder, path)
    judged = report(options, folder, name)
    analysis = judged["analysis"]
    row = {"kind": kind, "seed": seed, "took": round(took), "limit": limit(judged), "right": limit(judged) == KINDS[kind]["expect"],
           "advice": analysis["advice"]["is"], "elsewhere": analysis["questions"]["elsewhere"], "gap": analysis["questions"]["gap"],
           "load": os.getloadavg()[0]}
    if analysis["advice"]["is"] == "change":
        prediction = analysis["advice"]["prediction"]
        row.update(moves=["%(gpus)d %(from)s:%(to)s" % move for move in prediction["moves"]], predicted=prediction["estimate"],
                   before=prediction["throughput"])
        apply(path, prediction["patch"]["changes"])
        row["took"] += round(rehearse(options, folder, path))
        after = report(options, folder, name)
        row["compared"] = after.get("followed", {}).get("compared")
        row["limit after"] = limit(after)
    else:
        row["why"] = analysis["advice"]["why"]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("toolorch")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--speed", type=float, default=20)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--dir", help="where runs are kept; default: a temporary folder")
    options = parser.parse_args()
    options.toolorch = os.path.abspath(options.toolorch)
    base = options.dir or tempfile.mkdtemp(prefix="toolorch-verdict-")
    os.makedirs(base, exist_ok=True)
    rows = []
    for kind in options.kinds.split(","):
        for seed in range(options.first, options.first + options.seeds):
            folder = os.path.join(base, "%s-%d" % (kind, seed))
            os.makedirs(folder, exist_ok=True)
            row = one(options, kind, seed, folder)
            rows.append(row)
            print(json.dumps(row), flush=True)
            with open(os.path.join(base, "results.jsonl"), "a") as file:
                file.write(json.dumps(row) + "\n")
    wrong = [row for row in rows if not row["right"]]
    advised = [row for row in rows if row["advice"] == "change" and row["kind"] != "queue"]
    followed = [row for row in rows if row.get("compared")]
    within = [row for row in followed if row["compared"].get("within")]
    print("%d of %d verdicts right, advice where none was due: %d, measured within the interval: %d of %d; runs in %s" % (
        len(rows) - len(wrong), len(rows), len(advised), len(within), len(followed), base))
    missed = len(within) < 0.9 * len(followed) or (not followed and "queue" in options.kinds)
    sys.exit(1 if wrong or advised or missed else 0)


if __name__ == "__main__":
    main()
