"""Runs `toolorch up clusters/cpu-vllm.yaml` with two real servers: up.py TOOLORCH LAUNCHER [LAUNCHER…]

For each launcher: servers alone until the ladder has proved them, the tool canary included; then every process of theirs
must carry our marker; then one process of a server is killed, the others must go with it and the server must come
back; then the evaluation, and nothing may be left. Standard library only. Needs the environment of server.py.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CLUSTERS = pathlib.Path(__file__).resolve().parents[2] / "clusters"
# What vLLM 0.32 calls its processes; the first keeps the command line of `vllm serve`.
KINDS = ("vllm serve", "VLLM::EngineCore", "VLLM::Worker")


def read(pid, name):
    """A file of /proc as text; empty where the process is gone."""
    try:
        return pathlib.Path("/proc/%d/%s" % (pid, name)).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def processes():
    """{pid: (parent, session, command line, environment)} of everything that lives."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = read(int(entry), "stat").rpartition(") ")[2].split()
            if fields and fields[0] not in "ZX":
                line = read(int(entry), "cmdline").strip()
                found[int(entry)] = (int(fields[1]), int(fields[3]), line, read(int(entry), "environ"))
    return found


def family(all_of_them, leader):
    """The leader, its descendants, and whoever shares a session with one of them."""
    members, size = {leader}, 0
    while size != len(members):
        size = len(members)
        sessions = {all_of_them[pid][1] for pid in members if pid in all_of_them}
        members |= {pid for pid, (parent, session, _, _) in all_of_them.items() if parent in members or session in sessions}
    return members & set(all_of_them)


class Night:
    """One folder, one YAML of `clusters/`, with these `--set`."""

    def __init__(self, program, name, sets):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="toolorch-real-up-", dir="/var/tmp"))
        shutil.copytree(CLUSTERS, self.folder / "clusters")
        self.program, self.name, self.sets = str(pathlib.Path(program).resolve()), name, sets
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VLLM_", "TOOLORCH_"))}
        (self.folder / "tmux").mkdir()
        self.environment = dict(
            kept, TOOLORCH_HOME=str(self.folder / "home"), TOOLORCH_STATE=str(self.folder / "state"),
            TMUX_TMPDIR=str(self.folder / "tmux"),
        )

    def command(self, verb, *more):
        argv = [self.program, verb, "clusters/%s.yaml" % self.name]
        if verb == "up":
            argv += [word for each in self.sets for word in ("--set", each)]
        return argv + list(more)

    def run(self, verb, *more):
        """Runs a command to its end; its output is shown where it fails."""
        began = time.monotonic()
        done = subprocess.run(
            self.command(verb, *more), cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=1200,
        )
        if done.returncode != 0:
            sys.exit("%s ended with %d:\n%s%s" % (verb, done.returncode, done.stdout, done.stderr))
        return done.stdout, time.monotonic() - began

    def journal(self):
        """Every event so far."""
        lines = []
        for path in sorted((self.folder / "home/runs" / self.name / "latest").glob("journal.*.jsonl")):
            lines += [json.loads(line)["record"]["event"] for line in path.read_text().splitlines()]
        return lines

    def leaders(self):
        """{unit: pid} of the last start of each server."""
        started = [event for event in self.journal() if event["kind"] == "started"]
        return {event["unit"]: event["pid"] for event in started if event["unit"].startswith("tiny-")}

    def marked(self):
        """Live processes of this run."""
        run = next(event["run"] for event in self.journal() if event["kind"] == "run-started")
        return {pid for pid, known in processes().items() if "TOOLORCH_UNIT=%s/" % run in known[3]}

    def down(self):
        """Whatever came before."""
        subprocess.run(self.command("down"), cwd=self.folder, env=self.environment, capture_output=True, timeout=120, check=False)

    def remove(self):
        shutil.rmtree(self.folder)


def marks(night):
    """Every process of every server carries our marker, and all kinds of them are there."""
    alive, count = processes(), 0
    for unit, leader in night.leaders().items():
        members = family(alive, leader)
        # Python's own helper of multiprocessing is a child like any other.
        missing = [alive[pid][2] for pid in members if "/%s/" % unit not in alive[pid][3]]
        absent = [kind for kind in KINDS if not any(kind in alive[pid][2] for pid in members)]
        if missing or absent:
            sys.exit("%s: without marker: %s; not there: %s" % (unit, missing, absent))
        count += len(members)
    return count


def kill_an_engine(night):
    """The engine core of `tiny-0` is killed while nobody watches; the next `up` must leave none of the old processes."""
    alive, leader = processes(), night.leaders()["tiny-0"]
    old = family(alive, leader)
    engine = next(pid for pid in old if "VLLM::EngineCore" in alive[pid][2])
    began = time.monotonic()
    os.kill(engine, signal.SIGKILL)
    while old & set(processes()):
        if time.monotonic() - began > 60:
            sys.exit("left of a server whose engine was killed: %s" % [read(pid, "cmdline") for pid in old])
        time.sleep(0.1)
    return time.monotonic() - began


def night(program, launcher):
    one = Night(program, "cpu-vllm", [
        "launcher=" + launcher, "models.tiny.model=" + os.environ["TOOLORCH_REAL_MODEL"],
        "vllm.env.venv=" + os.environ["TOOLORCH_REAL_VENV"],
    ])
    try:
        _, seconds = one.run("up", "--no-eval")
        print("%s: two real servers proved by the whole ladder after %.1f s" % (launcher, seconds), flush=True)
        print("%s: the marker is in all %d processes of them" % (launcher, marks(one)), flush=True)
        gone = kill_an_engine(one)
        print("%s: engine core killed, its whole server gone after %.1f s" % (launcher, gone), flush=True)
        out, seconds = one.run("up")
        results = [json.loads(path.read_text()) for path in (one.folder / "clusters/cpu-vllm/out/results").glob("*.json")]
        right = sum(result["correct"] for result in results)
        if len(results) != 60 or right < 54:
            sys.exit("%d results, %d of them right:\n%s" % (len(results), right, out))
        starts = [event for event in one.journal() if event["kind"] == "launched" and event["unit"].startswith("tiny-")]
        if len(starts) != 3:
            sys.exit("%d starts of servers, not 3: only the killed one starts again" % len(starts))
        print("%s: the killed server came back and 60 sums were asked, %d right, after %.1f s" % (launcher, right, seconds), flush=True)
        if one.marked():
            sys.exit("left after the end: %s" % [read(pid, "cmdline") for pid in one.marked()])
        one.run("down")
        print("%s: nothing is left" % launcher, flush=True)
    finally:
        one.down()
    one.remove()


if __name__ == "__main__":
    for name in sys.argv[2:]:
        night(sys.argv[1], name)
