"""Starts and ends a real vLLM server, and talks HTTP to one. Standard library only.

The environment says where: TOOLORCH_REAL_VENV is the real vLLM's, TOOLORCH_REAL_MODEL the tiny model's directory.
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# Room for the 2048 tokens that toolorch's canary asks for, and small enough to be overrun by a small prompt.
CONTEXT = 4096
TOOL_FLAGS = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
# Long, because two cores load three processes.
READY_WITHIN = 300


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment():
    """A user's environment: quiet about the network, one GiB for the cache, no Python switches of this shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VLLM_"))}
    return dict(
        kept, VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", NO_COLOR="1",
        VLLM_CACHE_ROOT=os.environ["TOOLORCH_REAL_VENV"] + "-cache",
    )


class Server:
    """One `vllm serve` in a session of its own, its two streams in files, or in one as with `2>&1`."""

    def __init__(self, *flags, model=None, port=None, merged=False):
        self.port = port or free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="toolorch-real-"))
        program = os.environ["TOOLORCH_REAL_VENV"] + "/bin/vllm"
        argv = [program, "serve", model or os.environ["TOOLORCH_REAL_MODEL"], "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--served-model-name", "tiny", "--dtype", "bfloat16", "--enforce-eager"]
        if "--max-model-len" not in flags:
            argv += ["--max-model-len", str(CONTEXT)]
        self.began = time.monotonic()
        with open(self.folder / "stdout", "w") as out, open(self.folder / "stderr", "w") as err:
            self.process = subprocess.Popen(
                argv + list(flags), stdin=subprocess.DEVNULL, stdout=out, stderr=out if merged else err,
                env=environment(), cwd=self.folder, start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def age(self):
        """Seconds since its start."""
        return time.monotonic() - self.began

    def text(self):
        """What it wrote so far: stdout, then stderr."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))

    def ready(self):
        """Waits until it serves; seconds since its start."""
        while self.age() < READY_WITHIN:
            if self.process.poll() is not None:
                raise RuntimeError("it ended with %d before it was ready:\n%s" % (self.process.returncode, self.text()[-3000:]))
            try:
                if request(self.port, "GET", "/health")["status"] == 200:
                    return self.age()
            except OSError:
                pass
            time.sleep(0.2)
        raise RuntimeError("not ready after %d s:\n%s" % (READY_WITHIN, self.text()[-3000:]))

    def exit_status(self, within=READY_WITHIN):
        """Waits for its end; (exit status as a shell says it, seconds since its start)."""
        status = self.process.wait(timeout=within)
        return (128 - status if status < 0 else status), self.age()

    def others(self):
        """Its other processes: {pid: title}, by session, which all of them keep."""
        return {pid: title for pid, title in session(self.process.pid).items() if pid != self.process.pid}

    def end(self):
        """Ends it and all that it started, politely first."""
        mine = self.others()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in set(mine) | set(session(self.process.pid)):
            if pid in session(self.process.pid):
                os.kill(pid, signal.SIGKILL)


def session(leader):
    """The living processes of a session: {pid: title}."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, _, sid = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(sid) == leader and state != "Z":
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(entry.name)] = title.strip()
        except (OSError, ValueError):
            continue  # it ended while we looked
    return found


def request(port, method, path, body=None, headers=None, timeout=60):
    """One exchange: {status, headers, text}. A body that is no text is sent as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        sent = dict({"Content-Type": "application/json"} if body is not None else {}, **(headers or {}))
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        text = response.read().decode()
        return {"status": response.status, "headers": {k.lower(): v for k, v in response.getheaders()}, "text": text}
    finally:
        connection.close()


def chat(port, content, **more):
    """The choice of one chat completion at temperature 0."""
    body = dict({"model": "tiny", "messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 64}, **more)
    answer = request(port, "POST", "/v1/chat/completions", body)
    if answer["status"] != 200:
        raise RuntimeError("%d: %s" % (answer["status"], answer["text"]))
    return json.loads(answer["text"])["choices"][0]
