"""Runs clients of others under `toolorch up clusters/clients.yaml`: clients.py TOOLORCH [ENGINE…]

lm-eval, Inspect and a script around `openai`, on two real servers and on two simulated ones. Each client is killed once
it has some results: it must be started again, complete the rest, and ask nothing twice. How many files it opens is seen
in /proc. Standard library only. Needs the environment of server.py and TOOLORCH_REAL_CLIENTS.
"""

import json
import os
import signal
import sys
import threading
import time

from up import Night, processes, read

EVALS = {"sums": "lm-eval", "tools": "inspect-ai", "script": "openai"}
SETS = {
    # Slow enough that a client can be caught at work.
    "sim": ["models.tiny.engine=sim", "models.tiny.model=Qwen/Qwen3-8B", "models.tiny.env.set.TOOLORCH_SIM_LATENCY_MS=150"],
    "vllm": ["models.tiny.model=" + os.environ.get("TOOLORCH_REAL_MODEL", "")],
}
QUESTIONS, KILLED_AT = 60, 10


class Watch(threading.Thread):
    """Sees how many files each client opens, and kills it once it has some results."""

    def __init__(self, night):
        super().__init__(daemon=True)
        self.night, self.over = night, threading.Event()
        self.files, self.killed, self.early = dict.fromkeys(EVALS, 0), {}, {}

    def results(self, name):
        return {path.name: path.stat().st_ino for path in (self.night.out / EVALS[name]).glob("*.json")}

    def run(self):
        while not self.over.wait(0.2):
            there = processes()
            for name in EVALS:
                self.look(name, there)

    def look(self, name, all_of_them):
        mark = "/eval-%s/" % name
        pids = [pid for pid, known in all_of_them.items() if mark in known[3] and str(self.night.folder) in known[3]]
        for pid in pids:
            try:
                self.files[name] = max(self.files[name], len(os.listdir("/proc/%d/fd" % pid)))
            except OSError:
                continue
        there = self.results(name)
        if pids and name not in self.killed and KILLED_AT <= len(there) < QUESTIONS:
            self.early[name], self.killed[name] = there, len(there)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue


def check(night, watch, name):
    """What one client left; a line that says so."""
    found = watch.results(name)
    if len(found) != QUESTIONS:
        sys.exit("%s: %d results" % (name, len(found)))
    if name not in watch.killed:
        sys.exit("%s was never caught at work" % name)
    changed = [result for result, inode in watch.early[name].items() if found[result] != inode]
    if changed:
        sys.exit("%s asked again: %s" % (name, changed))
    starts = sum(event["kind"] == "launched" and event["unit"] == "eval-" + name for event in night.journal())
    if starts != 2:
        sys.exit("%s was started %d times" % (name, starts))
    results = [json.loads((night.out / EVALS[name] / result).read_text()) for result in found]
    right = sum(result.get("correct") is True for result in results)
    # How well the tiny model uses a tool is its own affair.
    if right < (0.75 if name == "tools" else 0.9) * QUESTIONS or any(result["status"] != "done" for result in results):
        sys.exit("%s: %d right: %s" % (name, right, results[0]))
    return "%s: killed at %d results, 60 of 60 after one restart, %d right, at most %d open files in a process" % (
        EVALS[name], watch.killed[name], right, watch.files[name])


def run(program, engine):
    clients = ["evals.%s.env.venv=%s" % (name, os.environ["TOOLORCH_REAL_CLIENTS"]) for name in EVALS]
    night = Night(program, "clients", SETS[engine] + clients + ["vllm.env.venv=" + os.environ["TOOLORCH_REAL_VENV"]])
    night.out = night.folder / "clusters/clients/out"
    watch = Watch(night)
    try:
        watch.start()
        began = time.monotonic()
        night.run("up")
        watch.over.set()
        print("%s: three clients one after the other in %.1f s" % (engine, time.monotonic() - began), flush=True)
        for name in EVALS:
            print("%s: %s" % (engine, check(night, watch, name)), flush=True)
        _, seconds = night.run("up")
        print("%s: nothing left to do, seen in %.1f s" % (engine, seconds), flush=True)
        if night.marked():
            sys.exit("left after the end: %s" % [read(pid, "cmdline") for pid in night.marked()])
    finally:
        watch.over.set()
        night.down()
    night.remove()


if __name__ == "__main__":
    for each in sys.argv[2:] or SETS:
        run(sys.argv[1], each)
