"""Provokes the failures that people meet, for real, and checks that our data names each one's cause.

Each gets a log and a JSON file {flags, exit_status, seconds, expected, matched, …} under
tests/recordings/vllm-0.32.0/failures/. `matched` are the failures of src/knowledge/data/vllm.yaml whose pattern fits a
line of the log or of the answer, in the order in which they come. Needs PyYAML.
"""

import json
import os
import pathlib
import re
import signal
import socket
import threading
import time

import yaml

import exchanges
import masks
import record
import server

DATA = pathlib.Path(__file__).resolve().parents[2] / "src/knowledge/data/vllm.yaml"
SIGNATURES = [(entry, re.compile(entry["match"])) for entry in yaml.load(DATA.read_text(), yaml.CSafeLoader)["failures"]]
# A tail is enough of a log, and few lines are longer for a reason.
LINES, WIDTH = 120, 400
# Some seconds of work for the tiny model.
LONG = exchanges.chat(max_tokens=server.CONTEXT - 100, ignore_eos=True)


def matched(text):
    """The failures that a text shows: each line's first, as src/knowledge/failures.rs does it."""
    found = []
    for line in text.splitlines():
        hit = next((entry["id"] for entry, pattern in SIGNATURES if pattern.search(line)), None)
        if hit and hit not in found:
            found.append(hit)
    return found


def verdict(text):
    """The failure that our classifier would name: the first cause, else the first wrapper, warning, request."""
    kinds = {entry["id"]: entry["kind"] for entry, _ in SIGNATURES}
    order = ["cause", "wrapper", "warning", "request"]
    return min(matched(text), key=lambda name: order.index(kinds[name]), default=None)


def shortened(text):
    """The tail of a log, its long lines cut."""
    lines = text.splitlines()[-LINES:]
    return "".join("%s\n" % (line if len(line) <= WIDTH else line[:WIDTH] + " […]") for line in lines)


class Provoked:
    """The failures so far, with what our data says of them."""

    def __init__(self, book):
        self.book, self.wrong, self.lines = book, [], []

    def keep(self, name, expected, text, folder, or_else=(), **facts):
        """Notes one failure: its log, what was measured, and whether our data names the cause; `or_else` are others that
        chance may bring."""
        log = shortened(masks.text(text, folder))
        facts = dict(facts, expected=expected, matched=matched(log), verdict=verdict(log))
        if facts["verdict"] not in (expected, *or_else):
            self.wrong.append("%s: our data says %s (of %s), not %s" % (name, facts["verdict"], facts["matched"], expected))
        lasting = ("exit_status", "expected", "http") + (() if or_else else ("matched", "verdict"))
        timeless = lambda found: {key: found.get(key) for key in lasting}
        self.book.keep("failures/" + name, facts, timeless)
        self.book.keep_log("failures/%s.log" % name, log)
        told = ["exit %s" % facts["exit_status"]] if "exit_status" in facts else []
        told += ["HTTP %s" % facts["http"]["status"]] if facts.get("http") else []
        told += ["%s s" % facts["seconds"]] if "seconds" in facts else []
        self.lines.append("%-24s %-20s %s" % (name, ", ".join(told), facts["verdict"]))
        print("    " + self.lines[-1], flush=True)


def refused_start(provoked, name, expected, *flags, **options):
    """A server that ends by itself before it serves."""
    with server.Server(*flags, merged=True, **options) as one:
        status, seconds = one.exit_status()
        provoked.keep(name, expected, one.text(), one.folder, flags=list(flags), exit_status=status, seconds=round(seconds, 1))


def refused_request(provoked, name, expected, port, wanted):
    """A request that a living server refuses; its answer's text is what our classifier reads."""
    began = time.monotonic()
    found = record.exchange(port, *wanted)
    body = found["response"]["body"]
    message = body["error"]["message"] if isinstance(body, dict) and "error" in body else json.dumps(body)
    provoked.keep(name, expected, message, "/nowhere", seconds=round(time.monotonic() - began, 2),
                  http={"status": found["response"]["status"], "body": body})


class InFlight(threading.Thread):
    """A long request, sent aside; `answer` is what it brought: {status, body} or {error}, and `seconds`."""

    def __init__(self, port, timeout):
        super().__init__(daemon=True)
        self.port, self.timeout, self.answer = port, timeout, None
        self.began = time.monotonic()
        self.start()

    def run(self):
        try:
            found = server.request(self.port, *LONG, timeout=self.timeout)
            self.answer = {"status": found["status"], "body": masks.value(record.parsed(found["text"]))}
        except OSError as error:
            self.answer = {"error": type(error).__name__}
        except Exception as error:  # http.client's own: the connection was dropped in the middle
            self.answer = {"error": type(error).__name__}
        self.answer["seconds"] = round(time.monotonic() - self.began, 1)


def watch(one, began, within=90):
    """What /health says from now until nothing of the server is left: [[seconds, what], …], only the changes."""
    changes, last = [], None
    known = set(server.session(one.process.pid))
    while time.monotonic() - began < within:
        try:
            health = "health %d" % server.request(one.port, "GET", "/health", timeout=2)["status"]
        except (ConnectionRefusedError, socket.timeout) as error:
            health = "health refused" if isinstance(error, ConnectionRefusedError) else "health silent"
        except Exception:
            health = "health dropped"
        gone = one.process.poll() is not None
        left = [pid for pid in server.session(one.process.pid) if pid in known and pid != one.process.pid]
        now = "%s, server %s, %d others" % (health, "gone" if gone else "there", len(left))
        if now != last:
            changes.append([round(time.monotonic() - began, 2), now])
            last = now
        if gone and not left:
            break
        time.sleep(0.05)
    return changes


def kill_one(provoked, name, expected, one, title):
    """kill -9 of one process of a server, with a request in flight."""
    mark = len(one.text())
    flight = InFlight(one.port, 60)
    time.sleep(1)
    pid = next(pid for pid, found in one.others().items() if title in found)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    changes = watch(one, began)
    flight.join(60)
    status, _ = one.exit_status(10)
    provoked.keep(name, expected, one.text()[mark:], one.folder, killed=title, exit_status=status,
                  seconds=changes[-1][0], timeline=changes, in_flight=flight.answer)


def terminate(provoked, one, patience=20):
    """SIGTERM with a request in flight whose client is patient."""
    mark = {stream: len((one.folder / stream).read_text()) for stream in ("stdout", "stderr")}
    flight = InFlight(one.port, patience)
    time.sleep(1)
    began = time.monotonic()
    one.process.terminate()
    changes = watch(one, began)
    flight.join(patience)
    status, _ = one.exit_status(30)
    text = "".join((one.folder / stream).read_text()[at:] for stream, at in mark.items())
    # Whether the server still says that its engine is dead depends on which of the two goes first.
    provoked.keep("sigterm-in-flight", None, text, one.folder, ("engine-dead",), exit_status=status, seconds=changes[-1][0],
                  client_waits=patience, timeline=changes, in_flight=flight.answer)
