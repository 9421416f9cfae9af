"""The mask of what differs between two runs or two machines, for logs and for answers. Standard library only.

What is masked keeps its shape, so that a pattern which fits the masked text fits the real one:

    directories             /venv, /python (the interpreter's library), /models/tiny, /run
    the machine's name, user, address       machine, user, 192.0.2.1
    process ids, ports      1, 8000
    dates, clock times, unix times          11-23 00:00:00, 1795400000
    durations, rates, sizes of memory       0
    random ids (requests, tool calls, permissions, rendezvous files, hashes)        0
"""

import getpass
import os
import re
import socket
import sysconfig

CREATED = 1795400000

RULES = [
    (r"\b(pid[= ]|process \[|PID:? )\d+", r"\g<1>1"),
    (r"\b\d\d-\d\d \d\d:\d\d:\d\d\b", "11-23 00:00:00"),
    (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?", "2026-11-23 00:00:00"),
    (r"\[([WE])\d{4} \d\d:\d\d:\d\d\.\d+", r"[\g<1>1123 00:00:00.0"),
    (r"(127\.0\.0\.1|localhost|0\.0\.0\.0):\d+", r"\g<1>:8000"),
    (r"('port': |--port[ =]|port[ =])\d+", r"\g<1>8000"),
    (r"(?<![\d.])(?!127\.0\.0\.1|0\.0\.0\.0|192\.0\.2\.1)(\d{1,3}\.){3}\d{1,3}(?![\d.])", "192.0.2.1"),
    (r"((?:chat)?cmpl|chatcmpl-tool|modelperm|tokcmpl)-[0-9a-f]{8,}(-\d+)?(-[0-9a-f]{8})?", r"\g<1>-0"),
    (r"(vllm_dist_|vllm-[\d.]+-)[0-9a-f]{8,}", r"\g<1>0"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "0"),
    (r"\b[0-9a-f]{32,}\b", "0"),
    (r"0x[0-9a-f]{6,}", "0x0"),
    (r"\b(took|in|for|after) \d+(\.\d+)?(e-?\d+)?( ?)(s|seconds|secs|ms)\b", r"\g<1> 0\g<4>\g<5>"),
    (r"\d+(\.\d+)?(?= (GiB|tokens/s|it/s)\b)", "0"),
    (r"\(\d+(\.\d+)?/\d+(\.\d+)?\)", "(0/0)"),
    (r"\d+\.\d+it/s", "0it/s"),
    (r"\bulimit of \d+", "ulimit of 1024"),
]


def directories(folder):
    """(text, mask) of the places of this machine, the longest first."""
    places = {
        str(folder): "/run",
        os.environ["TOOLORCH_REAL_MODEL"]: "/models/tiny",
        os.environ["TOOLORCH_REAL_VENV"] + "-cache": "/venv-cache",
        os.environ["TOOLORCH_REAL_VENV"]: "/venv",
        sysconfig.get_path("stdlib"): "/python/lib/python3.12",
        sysconfig.get_config_var("base") or "/usr": "/python",
        os.path.expanduser("~"): "/home/user",
    }
    pairs = [(os.path.realpath(path), mask) for path, mask in places.items()] + list(places.items())
    return sorted(set(pairs) - {("/usr", "/python")}, key=lambda pair: -len(pair[0]))


def text(raw, folder="/nowhere"):
    """A text with its volatile parts masked."""
    for path, mask in directories(folder):
        raw = raw.replace(path, mask)
    raw = re.sub(r"(?<![\w/])%s(?![\w/])" % re.escape(socket.gethostname()), "machine", raw)
    # `root` is also a word: "see the root cause above".
    if getpass.getuser() != "root":
        raw = re.sub(r"(?<![\w/])%s(?![\w/])" % re.escape(getpass.getuser()), "user", raw)
    for pattern, mask in RULES:
        raw = re.sub(pattern, mask, raw)
    return raw


def value(found, key=""):
    """A JSON value with its volatile parts masked; log probabilities are those of weights that differ a little."""
    if isinstance(found, dict):
        return {name: value(inner, name) for name, inner in found.items()}
    if isinstance(found, list):
        return [value(inner, key) for inner in found]
    if key == "created":
        return CREATED
    if isinstance(found, float) and key in ("logprob", "token_logprobs", "top_logprobs"):
        return round(found, 1) + 0.0
    return text(found) if isinstance(found, str) else found
