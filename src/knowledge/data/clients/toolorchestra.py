#!/usr/bin/env python3
"""A stand-in for ToolOrchestra's evaluation clients `eval_hle_oss.py` and `eval_frames_oss.py`, for rehearsals on a
machine without a checkout of them. It asks the same servers in the same way and leaves the same files; what it finds is
made by simulated models, so its results say nothing about a real one. Standard library only.

    toolorchestra.py hle    --model_name M --output_dir OUT --model_config JSON --example_path JSONL ...
    toolorchestra.py frames --model_name M --output_dir OUT --model_config JSON --example_file_path JSONL ...

Faults of the original are kept: results are written in place, a file that exists is done whatever it holds, a question
whose orchestrator fails leaves no trace, the model config is read once and again only within a failing call, an attempt
that fails is three requests (six for a stream), tools are offered only if the orchestrator's name is a path that exists
here, and the exit code is 0.

What differs. Each round offers one tool, since a simulated model calls whatever it is offered. Which ones is decided by
a hash of the question's id, so that 1,900 questions come near the log's night (400 searches, 270 enhance_reasoning, 500
answers, 5,318 orchestrator requests): search 21 %, enhance_reasoning 14 %, answer 26 % of the questions, and before the
answer 1 to 5 rounds in which the tool offered knows only an expert that does not exist (`360 invalid tool calls`). A
question without `answer` ends after its rounds, as the original's end at --max_rounds; a round that brings no call at
all is repeated up to there. Code of the coder is written down but not run; its text stands for the output. Four
characters count as a token. Loopback is never proxied.

Environment, beside the original's (OPENAI_API_KEY, OPENAI_BASE_URL, CLIENT_ID and CLIENT_SECRET, NEBIUS_API_KEY,
TOOL_ORCH_CALL_TIMEOUT_S, TOOL_ORCH_LLM_LOG_PATH, HLE_* and FRAMES_*, *_PROXY):
    TOOLORCH_SIM_SPEED        the servers' time runs so many times faster: pauses and timeouts shrink (never below 5 s)
    TOOLORCH_CLIENT_FALLBACK  `nebius`: with NEBIUS_API_KEY, qwen3-32b is asked at Nebius, as before commit 46bce6b
    TOOLORCH_CLIENT_FAULTS    `30s leak, 40s outside`: what goes wrong, how long after the start by the clock on the wall
    TOOLORCH_CLIENT_CONTROL   a file; each line appended to it is a fault that happens within half a second
    TOOLORCH_CLIENT_LEAK      how many files `leak` leaves open per request, else 50
Faults: leak (files stay open), torn (half a result, then SIGKILL), exit (code 0 with work left), die
(SIGKILL), outside (a call to Nebius), stall (nothing moves any more).
"""

import argparse
import collections
import functools
import hashlib
import http.client
import json
import os
import queue
import random
import re
import select
import signal
import sys
import threading
import time
import urllib.request
import uuid
from urllib.parse import urlsplit

Bench = collections.namedtuple("Bench", "name mark examples pools doc_seen doc_sent room")
BENCHES = [
    Bench("hle", "HLE", "example_path", ["retrieval"], 1200, 1000, 27000),
    Bench("frames", "FRAMES", "example_file_path", ["wiki_retrieval", "retrieval"], 4000, None, 24000),
]
CODER, SEARCHER, ANSWERER = "Qwen/Qwen2.5-Coder-14B-Instruct", "openai/gpt-oss-20b", "Qwen/Qwen3-32B-FP8"
EXPERTS = {  # tool: {name of an expert: model}
    "enhance_reasoning": {"reasoner-%d" % n: CODER for n in (1, 2, 3)},
    "search": {"search-%d" % n: SEARCHER for n in (1, 2, 3)},
    "answer": {"answer-" + name: ANSWERER for name in ("1", "2", "3", "4", "math-1", "math-2")},
}
SHARES = {"search": 0.21, "enhance_reasoning": 0.14, "answer": 0.26}  # of the questions; the last ends them
MISSES = [1, 1, 2, 2, 2, 5]  # rounds in which no expert is found
NEBIUS, NEBIUS_MODEL = "https://api.tokenfactory.nebius.com/v1", "Qwen/Qwen3-32B-fast"
ASKING = {
    "vLLM": "DEBUG: Calling vLLM at %(base_url)s/chat/completions (model=%(model)s) req_id=%(req_id)s",
    "OpenAI": "DEBUG: Calling OpenAI model=%(model)s req_id=%(req_id)s",
}
SPEED = float(os.environ.get("TOOLORCH_SIM_SPEED") or 1)
LEAK = int(os.environ.get("TOOLORCH_CLIENT_LEAK") or 50)
ATTEMPTS = 5
NOT_AGAIN = (400, 401, 403)
CALL_S = float(os.environ.get("TOOL_ORCH_CALL_TIMEOUT_S") or 600)


def say(line):
    """One line of the log, in one write."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def pause(seconds):
    time.sleep(seconds / SPEED)


def patience(seconds):
    """A timeout at the servers' speed; a busy laptop gets five seconds in any case."""
    return max(5.0, seconds / SPEED)


def read(path):
    """A model config."""
    with open(path) as file:
        return json.load(file)


def bases_of(places):
    """The base URLs of a list in a model config."""
    return ["http://%s:%s/v1" % (place["ip_addr"], place["port"]) for place in places]


class CallError(Exception):
    """A call that failed; `kind` is its name in the openai package, which becomes a result's `error_type`."""

    KINDS = {400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
             409: "ConflictError", 422: "UnprocessableEntityError", 429: "RateLimitError"}

    def __init__(self, kind, text, status=None, passing=True):
        super().__init__(text)
        self.kind, self.status, self.passing = kind, status, passing

    @classmethod
    def refused(cls, status, body):
        kind = cls.KINDS.get(status, "InternalServerError" if status >= 500 else "APIStatusError")
        text = "Error code: %d - %s" % (status, body[:500].decode("utf-8", "replace"))
        return cls(kind, text, status, status >= 500 or status in (408, 409, 429))

    @classmethod
    def broken(cls, error, passing=True):
        late = isinstance(error, TimeoutError) or str(error) == "timed out"
        return cls("APITimeoutError" if late else "APIConnectionError", str(error) or type(error).__name__, None, passing)


class Faults:
    """What goes wrong on purpose, by a timeline or a control file."""

    KINDS = ("leak", "torn", "exit", "die", "outside", "stall")

    def __init__(self, wire):
        self.wire, self.on, self.leaked = wire, set(), []

    def start(self):
        """Reads the environment; a fault that is not known ends the program here."""
        for part in filter(None, map(str.strip, os.environ.get("TOOLORCH_CLIENT_FAULTS", "").split(","))):
            found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)\s+(%s)" % "|".join(self.KINDS), part)
            if not found:
                sys.exit("TOOLORCH_CLIENT_FAULTS: `%s` is not a time and one of %s" % (part, ", ".join(self.KINDS)))
            after = float(found[1]) * {"ms": 0.001, "s": 1, "m": 60}[found[2]]
            timer = threading.Timer(after, self.happen, [found[3]])
            timer.daemon = True
            timer.start()
        path = os.environ.get("TOOLORCH_CLIENT_CONTROL")
        if path:
            threading.Thread(target=self.watch, args=(path, len(self.lines(path))), daemon=True).start()

    def lines(self, path):
        """The complete lines of a control file."""
        try:
            with open(path) as file:
                return file.read().split("\n")[:-1]
        except OSError:
            if self.leaked:
                os.close(self.leaked.pop())  # for the next look
            return []

    def watch(self, path, seen):
        while True:
            time.sleep(0.5)
            for line in self.lines(path)[seen:]:
                seen += 1
                self.happen(line.strip())

    def happen(self, kind):
        """Carries a fault out, or notes that it holds from now on."""
        if kind == "exit":
            os._exit(0)
        elif kind == "die":
            die()
        elif kind == "outside":
            self.outside()
        elif kind in self.KINDS:
            self.on.add(kind)
        else:
            sys.stderr.write("TOOLORCH_CLIENT_CONTROL: `%s` is none of %s\n" % (kind, ", ".join(self.KINDS)))

    def outside(self):
        """A question to Nebius, without any key, as the fallback would send one."""
        try:
            request = {"model": NEBIUS_MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
            self.wire.post(NEBIUS + "/chat/completions", request, "EMPTY", 10, 10)
        except Exception as error:
            say("Error calling Nebius API: %s" % error)

    def gate(self):
        """Where a stalled worker stops for ever."""
        while "stall" in self.on:
            time.sleep(3600)

    def after_request(self):
        try:
            for _ in range(LEAK if "leak" in self.on else 0):
                self.leaked.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass  # as many as there may be
        self.gate()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@functools.lru_cache(maxsize=None)
def proxy_of(scheme, host, netloc):
    """The environment's proxy for a target, by urllib's rules; none for loopback."""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(netloc):
        return None
    text = urllib.request.getproxies().get(scheme)
    return urlsplit(text if "://" in text else "http://" + text) if text else None


class Wire:
    """Kept-open connections, shared by all workers: as many as are in use at once."""

    def __init__(self):
        self.idle = collections.defaultdict(list)
        self.faults = Faults(self)

    def connection(self, url, connect_s):
        """An idle connection that the server has not closed, or a new one; whether requests go to a proxy."""
        kept = self.idle[url.scheme, url.netloc]
        proxy = proxy_of(url.scheme, url.hostname, url.netloc)
        plain = bool(proxy) and url.scheme == "http"
        while True:
            try:
                connection = kept.pop()
            except IndexError:  # none, or another worker was faster
                break
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            if not poll.poll(0):
                return connection, plain
            connection.close()
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        at = proxy or url
        connection = kind(at.hostname, at.port or (80 if proxy else None), timeout=connect_s)
        if proxy and not plain:
            connection.set_tunnel(url.hostname, url.port or 443)
        try:
            connection.connect()  # sets TCP_NODELAY
        except BaseException:
            connection.close()
            raise
        return connection, plain

    def post(self, address, request, key, connect_s, read_s, each=None):
        """The body that answers a request; `each` gets it piece by piece instead."""
        self.faults.gate()
        url = urlsplit(address)
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
        connection = None
        try:
            connection, plain = self.connection(url, patience(connect_s))
            connection.sock.settimeout(patience(read_s))
            connection.request("POST", address if plain else url.path, json.dumps(request).encode(), headers)
            reply = connection.getresponse()
            if reply.status != 200:
                raise CallError.refused(reply.status, reply.read())
            body = self.pieces(reply, each) if each else reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise CallError.broken(error)
        else:
            if not ("leak" in self.faults.on or reply.will_close):
                self.idle[url.scheme, url.netloc].append(connection)
                connection = None
            return body
        finally:
            if connection:
                connection.close()
            self.faults.after_request()

    def pieces(self, reply, each):
        """Nobody asks again in the middle of an answer, but the caller may."""
        try:
            piece = reply.read1(65536)
            while piece:
                each(piece)
                piece = reply.read1(65536)
        except (OSError, http.client.HTTPException) as error:
            raise CallError.broken(error, passing=False)


class Stream:
    """A streamed completion: its text, tool calls and usage."""

    def __init__(self):
        self.rest, self.first, self.text, self.calls, self.usage = b"", None, [], [], {}

    def feed(self, piece):
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            # Most lines carry nothing that is looked at.
            empty = b'"content":""' in line and b"tool_calls" not in line
            if line.startswith(b"data: {") and not empty and b'"delta":{"reasoning' not in line:
                self.event(json.loads(line[6:]))

    def event(self, event):
        if "error" in event:
            raise CallError("APIError", str(event["error"]), passing=False)
        self.usage = event.get("usage") or self.usage
        for choice in event.get("choices") or []:
            delta = choice.get("delta") or {}
            if self.first is None and (delta.get("content") or delta.get("tool_calls")):
                self.first = time.monotonic()
            self.text.append(delta.get("content") or "")
            for call in delta.get("tool_calls") or []:
                said = call.get("function") or {}
                if call.get("index", 0) >= len(self.calls):
                    self.calls.append({"name": "", "arguments": ""})
                self.calls[-1]["name"] += said.get("name") or ""
                self.calls[-1]["arguments"] += said.get("arguments") or ""


class Models:
    """The calls to models: where each is asked, how often, and what is logged."""

    def __init__(self, config, wire):
        self.config, self.wire = config, wire
        self.log_path = os.environ.get("TOOL_ORCH_LLM_LOG_PATH")

    def log(self, **event):
        """A line about a call; nothing that fails here may stop a question."""
        if not self.log_path:
            return
        try:
            line = json.dumps(dict(event, ts=time.strftime("%Y-%m-%d %H:%M:%S"))) + "\n"
            with open(self.log_path, "a") as file:
                file.write(line)
        except OSError:
            pass

    def single(self, base, request, key):
        """One completion: message, usage, and when its first token came, where that is known."""
        url, stream = base + "/chat/completions", Stream()
        if request.get("stream"):
            self.wire.post(url, request, key, CALL_S, CALL_S, stream.feed)
            return {"content": "".join(stream.text), "tool_calls": stream.calls or None}, stream.usage, stream.first
        reply = json.loads(self.wire.post(url, request, key, CALL_S, CALL_S))
        return reply["choices"][0]["message"], reply.get("usage") or {}, None

    def tried(self, base, request, key):
        """A completion, asked for three times as openai's package does, and as often again without a stream's usage."""
        plain = {name: value for name, value in request.items() if name != "stream_options"}
        ways = [request] * 3 + [plain] * (3 if request.get("stream") else 0)
        for number, way in enumerate(ways, 1):
            try:
                return self.single(base, way, key)
            except CallError as error:
                if not error.passing or number == len(ways):
                    raise
                pause(0.25 * 2 ** min(number, 3))

    def once(self, backend, request, key, base, req_id, attempt):
        """One attempt, logged: the message that answers."""
        about = {"req_id": req_id, "backend": backend, "model": request["model"], "base_url": base, "attempt": attempt}
        if backend in ASKING:
            say(ASKING[backend] % about)
        started = time.monotonic()
        try:
            message, usage, first = self.tried(base, request, key)
        except Exception as error:
            what = "%s: %s" % (getattr(error, "kind", type(error).__name__), error)
            self.log(event="error", duration_s=round(time.monotonic() - started, 4), error=what, **about)
            say("Error calling %s: %s" % (backend, error))
            raise
        took = time.monotonic() - started
        tokens = {name: usage[name] for name in ("prompt_tokens", "completion_tokens") if name in usage}
        self.log(event="response", duration_s=round(took, 4), **dict(about, **tokens))
        if request.get("stream"):
            ttft = first - started if first else took
            say("DEBUG: vLLM stream complete (took %.2fs, ttft %.2fs) req_id=%s" % (took, ttft, req_id))
        else:
            say("DEBUG: %s request successful (took %.2fs) req_id=%s" % (backend, took, req_id))
        return message

    def call(self, backend, request, key, bases, path=""):
        """The message that answers, after up to five attempts; each goes to one of `bases`, or of `path` after a failure."""
        req_id, began, model = str(uuid.uuid4()), time.monotonic(), request["model"]
        for attempt in range(1, ATTEMPTS + 1):
            base = random.choice(bases)
            try:
                return self.once(backend, request, key, base, req_id, attempt)
            except Exception as error:
                late = time.monotonic() - began > patience(CALL_S)
                if getattr(error, "status", None) in NOT_AGAIN or attempt == ATTEMPTS or late:
                    say("FATAL: no answer from model=%s after %d attempts req_id=%s" % (model, attempt, req_id))
                    raise
                if os.path.isfile(path):
                    bases = bases_of(read(path)[model])
                say("Retry %d/%d in %d seconds..." % (attempt, ATTEMPTS, 5 * attempt))
                pause(5 * attempt)

    def nebius(self, request, key):
        """The fallback before commit 46bce6b, which never gives up."""
        while True:
            try:
                return self.once("Nebius API", dict(request, model=NEBIUS_MODEL), key, NEBIUS, str(uuid.uuid4()), 1)
            except Exception:
                pause(60)

    def ask(self, model, messages, **more):
        """A model of the config; its replicas are those of the start, and of the file after a failed attempt."""
        path, places = self.config["vllm_model_config_path"], self.config[model]
        request = dict({"model": model, "messages": messages}, **more)
        key = os.environ.get("NEBIUS_API_KEY")
        if key and "qwen3-32b" in model.lower() and os.environ.get("TOOLORCH_CLIENT_FALLBACK") == "nebius":
            return self.nebius(request, key)
        return self.call("vLLM", request, "EMPTY", bases_of(places), path)

    def judge(self, prompt):
        """The judge's text. With CLIENT_ID the original asks NVIDIA's Azure; no secret leaves here for that."""
        key = os.environ.get("OPENAI_API_KEY")
        if not key and not (os.environ.get("CLIENT_ID") and os.environ.get("CLIENT_SECRET")):
            raise ValueError("CLIENT_ID/CLIENT_SECRET are required when OPENAI_API_KEY is not set.")
        base = (os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1").rstrip("/")
        request = {"model": "gpt-5", "messages": [{"role": "user", "content": prompt}], "temperature": 1,
                   "max_completion_tokens": 16384}
        return self.call("OpenAI", request, key or "EMPTY", [base])["content"]


def plan(name):
    """The tools that a question is offered, one a round; None is a round in which no expert is found."""
    digest = hashlib.sha256(str(name).encode()).digest()
    drawn = [int.from_bytes(digest[at:at + 4], "big") / 2**32 for at in (0, 4, 8)]
    tools = [tool for tool, number in zip(SHARES, drawn) if number < SHARES[tool]]
    last = ["answer"] if "answer" in tools else []
    return tools[: len(tools) - len(last)] + [None] * MISSES[digest[12] % len(MISSES)] + last


def offer(tool):
    """The schema of a tool; one without experts of its own knows only `expert-1`."""
    experts, name = sorted(EXPERTS[tool]) if tool else ["expert-1"], tool or "enhance_reasoning"
    model = {"type": "string", "enum": experts, "description": "The model to ask. Choices: %s." % experts}
    parameters = {"type": "object", "properties": {"model": model}, "required": ["model"]}
    function = {"name": name, "description": "Hands the problem to an expert for this.", "parameters": parameters}
    return {"type": "function", "function": function}


def boxed(text):
    """What an expert means: between <answer> tags, in the last box as simulated models write it, or everything."""
    if "<answer>" in text:
        return text.split("<answer>")[-1].split("</answer>")[0].strip()
    found = re.findall(r"\\boxed\{([^{}]*)\}", text)
    return (found[-1] if found else text).strip()


class Question:
    """One question: rounds in which the orchestrator chooses a tool and an expert works."""

    def __init__(self, client, example):
        self.client, self.models, self.bench, self.example = client, client.models, client.bench, example
        self.docs, self.code = [], []
        self.calls, self.responses, self.messages = [], {}, {}

    def context(self, seen, room):
        """What was found so far, the last of it if it is too much; `seen` characters of each document."""
        text = "".join("Doc %d: %s\n\n" % (n, doc[:seen]) for n, doc in enumerate(self.docs, 1))
        for code, output in self.code:
            text += "```python\n%s\n```\n\n```output\n%s\n```\n\n" % (code, output)
        text = text[-4 * room:]
        return "Documents:\n" + text if self.docs else text

    def choose(self, tool):
        """The orchestrator's message of a round."""
        options, name = self.client.options, self.client.options.model_name
        known = self.context(self.bench.doc_seen, self.bench.room)
        prompt = "Problem: %s\n\n%s\n\nChoose an appropriate tool." % (self.example["question"], known)
        chat = [{"role": "system", "content": "You are good at using tools."}, {"role": "user", "content": prompt}]
        more = {"tools": [offer(tool)]} if os.path.exists(str(name)) else {}
        return self.models.ask(name, chat, temperature=1, max_tokens=options.orch_max_tokens, stream=True,
                               stream_options={"include_usage": True}, **more)

    def checked(self, call):
        """(tool, its arguments) of a valid call, or none and the note that the original leaves about the other ones."""
        try:
            arguments = json.loads(call["arguments"])
        except ValueError:
            arguments = None
        if call["name"] in EXPERTS and isinstance(arguments, dict) and arguments.get("model") in EXPERTS[call["name"]]:
            return call["name"], arguments
        return None, "%d invalid tool calls %s" % (360 if call["name"] in EXPERTS else 350, [call])

    def expert(self, record, prompt, timing, **more):
        """An expert's text, and how long it took."""
        started = time.monotonic()
        messages = [{"role": "user", "content": prompt}]
        message = self.models.ask(record["model"], messages, temperature=0.2, max_tokens=8000, **more)
        record[timing] = 1000 * (time.monotonic() - started)
        return message["content"]

    def enhance_reasoning(self, record):
        prompt = ("%s\n\nQuestion: %s\nInstead of directly answering the question, please write additional python code "
                  "that will give intermediate results after execution. Wrap the code within ```python and ```.")
        text = self.expert(record, prompt % (record["context_str"].strip(), record["problem"]), "_llm_ms")
        code = text.split("```python")[-1].split("```")[0]
        for name, what in (("exec_code_%s.py", code), ("exec_out_%s.txt", text)):
            with open(os.path.join(record["cur_output_dir"], name % record["id"]), "w") as file:
                file.write(what)
        record.update(generated_code=code, exec_result=text, _exec_ms=0.0)
        self.code.append((code, text))

    def search(self, record):
        prompt = ("%s\n\nQuestion: %s\nInstead of directly answering the question, please write a query to search for a "
                  "piece of relevant and missing information. Wrap the query within <query> and </query>.")
        text = self.expert(record, prompt % (record["context_str"].strip(), record["problem"]), "_query_llm_ms")
        query = text.split("<query>")[-1].split("</query>")[0] if "<query>" in text else record["problem"]
        started = time.monotonic()
        found = self.client.retrieve(record, query)
        record["_retrieval_ms"] = 1000 * (time.monotonic() - started)
        documents = [hit["document"] for hit in (found or [[]])[0]]
        contents = [document.get("content") or document["contents"] for document in documents]
        record.update(query=query, search_results_data=contents)
        self.docs += [doc for doc in dict.fromkeys(reversed(contents)) if doc not in self.docs]

    def answer(self, record):
        prompt = ("%s\n\nProblem:\n%s\nWrap the thinking process and explanation between <think> and </think> and wrap "
                  "only the exact answer without any explanation within <answer> and </answer>.")
        prompt %= (record["context_str"].strip(), record["problem"])
        more = {"chat_template_kwargs": {"enable_thinking": False}}
        text = self.expert(record, prompt, "_expert_ms", **more) or ""
        pred, answer = boxed(text), record["answer"].strip()
        record.update(messages=prompt, response=text, pred=pred)
        if not pred or len(pred.split(" ")) > 500:
            record["correctness"] = False
        elif pred.lower() == answer.lower():
            record["correctness"] = True
        else:
            started = time.monotonic()
            lines = tuple(" ".join(line.split()) for line in (record["problem"], answer, pred))
            verdict = self.models.judge(
                "Question: %s\n\nReference: %s\nPrediction: %s\n\nAssume that the reference is correct. Output "
                "<correct>True</correct> if the prediction matches it, and <correct>False</correct> if it does not." % lines)
            record["_judge_ms"] = 1000 * (time.monotonic() - started)
            record["correctness"] = verdict.split("<correct>")[-1].split("</correct>")[0].lower() == "true"

    def use(self, step, tool, arguments):
        """What a tool brings; whatever goes wrong in it is noted in its record."""
        seen = None if tool == "answer" else self.bench.doc_sent
        record = {
            "tool": tool, "model": EXPERTS[tool][arguments["model"]], "context_str": self.context(seen, 24000),
            "vllm_model_configs": self.models.config, "cur_output_dir": self.client.step_dir(step),
            "problem": self.example["question"], "answer": self.example["answer"], "id": self.example["id"],
            "eid": self.example["eid"], "step": step,
        }
        try:
            getattr(self, tool)(record)
        except Exception as error:
            record.update(tool_error=repr(error), tool_error_type=getattr(error, "kind", type(error).__name__))
        return record

    def rounds(self):
        """Goes through the plan; the last tool's record, if that ends the question."""
        left = plan(self.example["id"])
        for step in range(self.client.options.max_rounds):
            if not left:
                return None
            self.client.step_dir(step)
            message = self.choose(left[0])
            wanted = message["tool_calls"]
            if self.bench.name == "frames" and wanted is None:
                raise TypeError("object of type 'NoneType' has no len()")
            if not wanted:
                self.calls.append("342 invalid tool calls []")
                continue
            left.pop(0)
            tool, arguments = self.checked(wanted[0])
            if not tool:
                self.calls.append([arguments])
                continue
            call = {"name": tool, "arguments": arguments}
            self.calls.append([[call]] if self.bench.name == "hle" else [call])
            record = self.use(step, tool, arguments)
            self.responses["turn_%d_response" % step] = [record]
            self.messages["turn_%d_message" % step] = {
                "content": message["content"], "tool_calls": [{"tool_name": tool, "tool_arguments": arguments}]}
            if tool == "answer" or "tool_error" in record:
                return record
        return None

    def result(self):
        """The finished record; raises where the orchestrator could not be asked."""
        last = self.rounds() or {}
        status = "error" if "tool_error" in last else "done"
        result = {"id": self.example["id"], "problem": self.example["question"], "all_tool_calls": self.calls,
                  "all_tool_responses": self.responses, "answer": self.example["answer"],
                  "all_message_responses": self.messages, "correct": last.get("correctness", False), "status": status}
        if self.bench.name == "frames":
            for name in ("problem", "answer", "all_message_responses"):
                del result[name]
        if status == "error":
            result["error_type"] = last["tool_error_type"]
        return result


class Client:
    """One run: questions from a queue until it is empty."""

    def __init__(self, bench, options):
        self.bench, self.options, self.wire = bench, options, Wire()
        os.makedirs(os.path.join(options.output_dir, "answer_cache"), exist_ok=True)
        self.models = Models(read(options.model_config), self.wire)
        self.waiting = queue.Queue()
        with open(options.examples) as lines:
            for eid, line in enumerate(lines.readlines()):
                self.waiting.put(dict(json.loads(line), eid=eid))
        self.wire.faults.start()

    def step_dir(self, step):
        path = os.path.join(self.options.output_dir, "step_%d" % step)
        if not os.path.isdir(os.path.join(path, "tool_return")):
            os.makedirs(os.path.join(path, "tool_return"), exist_ok=True)
        return path

    def setting(self, name, default):
        return float(os.environ.get("%s_RETRIEVAL_%s" % (self.bench.mark, name)) or default)

    def retrieve(self, record, query):
        """The answer of a retrieval, or None where none answers, which the question survives."""
        request = {"queries": [query[:390]], "topk": 50, "return_scores": True, "eid": record["id"]}
        pools = [self.models.config[name] for name in self.bench.pools if self.models.config.get(name)] or [[]]
        timeouts = self.setting("CONNECT_TIMEOUT_S", 3), self.setting("READ_TIMEOUT_S", 60)
        record.update(_retrieval_retries=0, _retrieval_error=None, _search_backend="local_only")
        for pool in pools:
            for attempt in range(int(self.setting("MAX_ATTEMPTS", 8))):
                try:
                    if not pool:
                        raise RuntimeError("no_retrieval_endpoints_configured")
                    place = random.choice(pool)
                    url = "http://%s:%s/retrieve" % (place["ip_addr"], place["port"])
                    return json.loads(self.wire.post(url, request, "EMPTY", *timeouts))
                except Exception as error:
                    record["_retrieval_retries"] += 1
                    record["_retrieval_error"] = repr(error)
                    pause(min(self.setting("BACKOFF_S", 2) * 2 ** min(attempt, 4), 15))
        record["_search_backend"] = "retrieval_unavailable"
        tries = "%d retries" % record["_retrieval_retries"] if self.bench.name == "hle" else "trying %d pool(s)" % len(pools)
        say("[search] WARNING: retrieval failed after %s; continuing with empty results. last_err=%s"
            % (tries, record["_retrieval_error"]))
        return None

    def write(self, path, record):
        """Straight to the final name, as the original does: whoever is killed here leaves half a file."""
        with open(path, "w") as file:
            if "torn" in self.wire.faults.on:
                text = json.dumps(record, indent=2)
                file.write(text[: len(text) // 2])
                file.flush()
                die()
            json.dump(record, file, indent=2)

    def finish(self, example):
        """A question from start to marker."""
        path = os.path.join(self.options.output_dir, "%s.json" % example["id"])
        if os.path.isfile(path):
            return say("[%s_TASK_COMPLETE] id=%s status=skipped" % (self.bench.mark, example["id"]))
        record = Question(self, example).result()
        self.wire.faults.gate()
        self.write(path, record)
        line = "[%s_TASK_COMPLETE] id=%s status=" % (self.bench.mark, example["id"])
        line += "%s correct=%s" % (record["status"], record["correct"])
        say(line + (" error_type=%s" % record["error_type"] if "error_type" in record else ""))

    def work(self):
        while True:
            try:
                example = self.waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self.finish(example)
            except Exception:
                pass  # the original keeps it in a list that nobody prints

    def run(self):
        count = max(1, self.options.concurrency)
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="bench", required=True)
    for bench in BENCHES:
        one, env = kinds.add_parser(bench.name), os.environ.get
        for name in ("model_name", "output_dir", "model_config"):
            one.add_argument("--" + name)
        one.add_argument("--" + bench.examples, dest="examples", default="frames.jsonl" if bench.name == "frames" else None)
        one.add_argument("--max_rounds", type=int, default=50)
        one.add_argument("--model_type", default="Qwen/Qwen3-8B")
        one.add_argument("--concurrency", type=int, default=int(env(bench.mark + "_CONCURRENCY") or 2))
        one.set_defaults(orch_max_tokens=12000)
    hle, frames = (kinds.choices[bench.name] for bench in BENCHES)
    hle.add_argument("--orch_max_tokens", type=int, default=int(os.environ.get("HLE_ORCH_MAX_TOKENS") or 12000))
    hle.add_argument("--log_level", default="INFO", help="taken and not used")
    hle.add_argument("--log_file", default="", help="taken and not used")
    frames.add_argument("--basic_tools", action="store_true", help="taken and not used")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        options = arguments()
        Client(next(bench for bench in BENCHES if bench.name == options.bench), options).run()
    except KeyboardInterrupt:
        os._exit(130)
