#!/usr/bin/env python3
"""A small agentic evaluation client: the orchestrator chooses tools, an expert and a search answer
them, a judge decides. Standard library only.

It reads the model config as ToolOrchestra's clients do: a JSON object of model or service name to
a list of {"ip_addr", "port"}, and `vllm_model_config_path`, the file's own path, which is read
again after a failed attempt. Every attempt goes to a replica chosen at random.

One JSON per question goes to OUTPUT/<id>.json, by rename, so that a file that exists is complete:

    id, question, answer, correct, status (done | error), error_type, error, rounds,
    calls: [{model, tool, endpoint, ms, error}]   each attempt; `error` only where it failed

Questions that have a file are not asked again. The exit code is 0 if every question has one.
"""

import argparse
import json
import os
import queue
import re
import sys
import threading
import time

from http_pool import Pool

SYSTEM = "You answer questions. Use the tools as you see fit, then give the final answer in \\boxed{}."
TOOLS = [
    {"type": "function", "function": {
        "name": "search",
        "description": "Looks for pages about something.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    }},
    {"type": "function", "function": {
        "name": "ask_expert",
        "description": "Asks an expert, who sees the pages found so far.",
        "parameters": {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]},
    }},
]


class BadReply(Exception):
    """A server answered, but not in the shape that was asked for."""


class Task:
    """One question on its way to an answer; remembers every call."""

    def __init__(self, example, pool, options):
        self.example, self.pool, self.options = example, pool, options
        self.calls, self.pages, self.rounds = [], [], 0

    def chat(self, model, tool, messages, **more):
        """The assistant's message of one chat completion."""
        request = dict({"model": model, "messages": messages, "temperature": 0, "max_tokens": 512}, **more)
        url = self.options.judge if model == self.options.judge_model else None
        reply = self.pool.post(model, tool, "/v1/chat/completions", request, self.calls, url)
        try:
            return reply["choices"][0]["message"]
        except (TypeError, KeyError, IndexError):
            raise BadReply("no message in the reply of `%s`" % model)

    def search(self, query):
        """The tool `search`: pages as text."""
        request = {"queries": [query[:390]], "topk": 2, "return_scores": True, "eid": self.example["id"]}
        reply = self.pool.post(self.options.retrieval, "search", "/retrieve", request, self.calls)
        try:
            found = [hit["document"]["contents"] for hit in reply[0]]
        except (TypeError, KeyError, IndexError):
            raise BadReply("no documents in the reply of `%s`" % self.options.retrieval)
        self.pages += [page for page in found if page not in self.pages]
        return "\n".join(found)

    def ask_expert(self, question):
        """The tool `ask_expert`: the expert's text."""
        prompt = "\n".join([question, "Think it through and put the answer in \\boxed{}.", "Pages:"] + self.pages)
        more = {"chat_template_kwargs": {"enable_thinking": False}}
        return self.chat(self.options.expert, "ask_expert", [{"role": "user", "content": prompt}], **more).get("content") or ""

    def use(self, call):
        """What a tool call of the orchestrator brings, as text; its own mistakes are told to it."""
        tools = {"search": (self.search, "query"), "ask_expert": (self.ask_expert, "question")}
        name = call["function"]["name"]
        if name not in tools:
            return "there is no tool `%s`" % name
        tool, argument = tools[name]
        try:
            text = str(json.loads(call["function"]["arguments"])[argument])
        except (ValueError, TypeError, KeyError):
            return "`%s` needs a JSON object with `%s`" % (name, argument)
        return tool(text)

    def answer(self):
        """Rounds of tool calls until the orchestrator answers; "" if it never does."""
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": self.example["question"]}]
        for self.rounds in range(1, self.options.max_rounds + 1):
            offered = {"tools": TOOLS, "tool_choice": "auto"} if self.rounds < self.options.max_rounds else {}
            message = self.chat(self.options.orchestrator, "orchestrator", messages, **offered)
            wanted = message.get("tool_calls") or []
            if not wanted:
                return final_answer(message.get("content") or "")
            messages.append({"role": "assistant", "content": message.get("content") or "", "tool_calls": wanted})
            for call in wanted:
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": self.use(call)})
        return ""

    def judged(self, answer):
        """Whether the judge takes the answer for the reference; an empty one is not worth a call."""
        if not answer:
            return False
        prompt = (
            "Are these the same answer to the question? Write <correct>True</correct> or <correct>False</correct>."
            "\nQuestion: %s\nReference: %s\nPrediction: %s"
        ) % (self.example["question"], self.example["answer"], " ".join(answer.split()))
        text = self.chat(self.options.judge_model, "judge", [{"role": "user", "content": prompt}]).get("content") or ""
        found = re.search(r"<correct>\s*(true|false)\s*</correct>", text, re.IGNORECASE)
        if not found:
            raise BadReply("no verdict in the judge's reply")
        return found.group(1).lower() == "true"

    def result(self):
        """The finished record of this question, whatever happened."""
        record = {"id": self.example["id"], "question": self.example["question"], "answer": "", "correct": None}
        try:
            record["answer"] = self.answer()
            record.update(correct=self.judged(record["answer"]), status="done")
        except Exception as error:  # one question must not end the others
            record.update(status="error", error_type=type(error).__name__, error=str(error))
        return dict(record, rounds=self.rounds, calls=self.calls)


def final_answer(text):
    """The last `\\boxed{...}` of a text, or the text."""
    boxed = re.findall(r"\\boxed\{([^{}]*)\}", text)
    return (boxed[-1] if boxed else text).strip()


def write(path, record):
    """Writes a record so that its file is there completely or not at all."""
    part = "%s.part" % path
    with open(part, "w") as file:
        json.dump(record, file)
    os.replace(part, path)


def say(record):
    """The marker line of a finished question, in one write."""
    line = "[QUICKSTART_TASK_COMPLETE] id=%s status=%s" % (record["id"], record["status"])
    for key in ("correct", "error_type"):
        if record.get(key) is not None:
            line += " %s=%s" % (key, record[key])
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def work(waiting, pool, options):
    """One worker: questions from the queue until it is empty."""
    while True:
        try:
            example = waiting.get_nowait()
        except queue.Empty:
            return
        path = os.path.join(options.output, "%s.json" % example["id"])
        if os.path.exists(path):
            say({"id": example["id"], "status": "skipped"})
            continue
        record = Task(example, pool, options).result()
        write(path, record)
        say(record)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-config", required=True, metavar="JSON")
    parser.add_argument("--dataset", required=True, metavar="JSONL", help="lines with id, question, answer")
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--orchestrator", required=True, metavar="MODEL", help="its key in the model config")
    parser.add_argument("--expert", required=True, metavar="MODEL", help="its key in the model config")
    parser.add_argument("--retrieval", default="retrieval", metavar="SERVICE", help="its key in the model config")
    parser.add_argument("--judge", default=os.environ.get("JUDGE_URL"), metavar="URL",
                        help="an OpenAI-compatible server, with its /v1; default: $JUDGE_URL, else the service `judge`")
    parser.add_argument("--judge-model", default="judge", metavar="MODEL")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--max-rounds", type=int, default=6)
    return parser.parse_args()


def main():
    options = arguments()
    pool = Pool(options.model_config)
    with open(options.dataset) as lines:
        examples = [json.loads(line) for line in lines if line.strip()]
    os.makedirs(options.output, exist_ok=True)
    waiting = queue.Queue()
    for example in examples:
        waiting.put(example)
    started = time.monotonic()
    count = max(1, min(options.concurrency, len(examples)))
    workers = [threading.Thread(target=work, args=(waiting, pool, options), daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    missing = [e["id"] for e in examples if not os.path.exists(os.path.join(options.output, "%s.json" % e["id"]))]
    print("%d questions, %d without a result, %.1f s" % (len(examples), len(missing), time.monotonic() - started))
    return 1 if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        os._exit(130)
