"""Starts the real servers one after the other, and lets each serve every point that needs it: the check of the tiny
model, the recordings, the failures.

Usage: live.py [--record]   With --record the recordings are written anew, else they are compared. Exits 1 where
something is not as recorded, or a failure is not named right. Needs the environment of server.py, and PyYAML.
"""

import subprocess
import sys
import time

import exchanges
import failures
import record
import server


def say(text):
    print("==> " + text, flush=True)


def before_serving(provoked):
    """Failures that end a server before it loads a model."""
    failures.refused_start(provoked, "unknown-flag", "unknown-flag", "--disable-log-requests")
    failures.refused_start(provoked, "bad-choice", "bad-choice", "--load-format", "auto", "--kv-cache-dtype", "fp3")
    failures.refused_start(
        provoked, "unknown-parser", "bad-tool-parser", "--enable-auto-tool-choice", "--tool-call-parser", "hermez")
    failures.refused_start(provoked, "auto-without-parser", "auto-tool-without-parser", "--enable-auto-tool-choice")
    failures.refused_start(provoked, "missing-path", "model-path-missing", model="/models/nope")
    failures.refused_start(provoked, "context-too-long", "max-len-too-big", "--max-model-len", "99999")


def with_tool_flags(book, provoked):
    """The server that a client meets, up to its end by SIGTERM."""
    with server.Server(*server.TOOL_FLAGS) as one:
        say("the server with tools is ready after %.1f s" % one.ready())
        record.start_up(book, one)
        checked = subprocess.run([sys.executable, sys.path[0] + "/tiny_check.py", str(one.port)])
        record.exchanges(book, one.port, exchanges.WITH_TOOL_FLAGS)
        book.keep("metrics", record.metrics(one.port))
        for name, expected in (
            ("prompt-too-long", "ctx-overflow-new"), ("max-tokens-too-big", "max-tokens-too-big"),
            ("model-unknown", "model-404"),
        ):
            failures.refused_request(provoked, name, expected, one.port, exchanges.WITH_TOOL_FLAGS[name])
        failures.terminate(provoked, one)
    return checked.returncode == 0


def without_tool_flags(book, provoked):
    """The server of someone who forgot the flags; it also holds the port that another wants, and loses its engine."""
    with server.Server(merged=True) as one:
        say("the server without tools is ready after %.1f s" % one.ready())
        record.exchanges(book, one.port, exchanges.WITHOUT_TOOL_FLAGS)
        for name, expected in (("no-flags-tools-auto", "auto-tool-missing"), ("no-flags-tools-required", "forced-tool-missing")):
            failures.refused_request(provoked, name, expected, one.port, exchanges.WITHOUT_TOOL_FLAGS[name])
        failures.refused_start(provoked, "port-in-use", "port-in-use", port=one.port)
        failures.kill_one(provoked, "engine-killed", "engine-exited", one, "VLLM::EngineCore")


def data_parallel(provoked):
    """Two ranks behind one port, of which one is killed."""
    with server.Server(*server.TOOL_FLAGS, "--data-parallel-size", "2", merged=True) as one:
        say("the server with two ranks is ready after %.1f s" % one.ready())
        failures.kill_one(provoked, "rank-killed", "engine-exited", one, "VLLM::EngineCore_DP1")


def main():
    began = time.monotonic()
    book = record.Book("--record" in sys.argv[1:])
    provoked = failures.Provoked(book)
    works = with_tool_flags(book, provoked)
    without_tool_flags(book, provoked)
    say("failures before serving")
    before_serving(provoked)
    data_parallel(provoked)
    for what in book.differences + provoked.wrong:
        print("NOT " + what)
    say("%d failures, %d of them named wrong" % (len(provoked.lines), len(provoked.wrong)))
    say("%d recordings %s, %d differences, %.0f s" % (
        book.seen, "written" if book.write else "compared", len(book.differences), time.monotonic() - began))
    return 0 if works and not book.differences and not provoked.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
