#!/usr/bin/env python3
"""Makes results as ToolOrchestra's HLE client leaves them, with damage planted, from nothing but a seed. Standard library only.

    make_results.py OUT [QUESTIONS]

    OUT/results/ID.json         one per question, indented by 2, as `json.dump` writes them
    OUT/results/step_N/...      what the client leaves beside them
    OUT/dataset.jsonl           the questions, with some more that have no result
    OUT/calls.jsonl             the client's log of its calls
    OUT/client.log              what it printed

Planted: results cut anywhere, empty ones, one that is no JSON; fields of calls that are missing, zero, null, NaN, text or
negative; responses that are no objects; a file that is no result; questions without a result. Searches are slow at first.
"""

import datetime
import json
import os
import random
import sys

ORCHESTRATOR = "/ckpt/nvidia/Nemotron-Orchestrator-8B/"
EXPERTS = {
    "search": ("openai/gpt-oss-20b", "_query_llm_ms", "_retrieval_ms"),
    "answer": ("Qwen/Qwen3-32B-FP8", "_expert_ms", "_judge_ms"),
    "enhance_reasoning": ("Qwen/Qwen2.5-Coder-14B-Instruct", "_llm_ms", "_exec_ms"),
}
# Medians in seconds and spreads, near those of the log.
TIMES = {"_query_llm_ms": (1.6, 0.8), "_retrieval_ms": (0.2, 0.4), "_expert_ms": (31.5, 0.5), "_judge_ms": (1.8, 0.4),
         "_llm_ms": (7.7, 0.4), "_exec_ms": (0.8, 1.5)}
CONFIG = {
    "vllm_model_config_path": "/eval/model_config.json",
    ORCHESTRATOR: [{"ip_addr": "10.0.0.5", "port": 1800 + n} for n in range(4)],
    "openai/gpt-oss-20b": [{"ip_addr": "10.0.0.31", "port": 1840 + n} for n in range(4)],
    "Qwen/Qwen3-32B-FP8": [{"ip_addr": "10.0.0.12", "port": 1820 + n} for n in range(8)],
    "Qwen/Qwen2.5-Coder-14B-Instruct": [{"ip_addr": "10.0.0.11", "port": 1810 + n} for n in range(8)],
    "retrieval": [{"ip_addr": "10.0.0.13", "port": 8765}],
}
BEGAN = 1767139200  # 2025-12-31 00:00:00 UTC
EVERY = 40  # seconds from one result to the next


def drawn(luck, key):
    median, spread = TIMES[key]
    return 1000.0 * luck.lognormvariate(0, spread) * median


def spoil(luck, record, keys):
    """Damages one of the keys, now and then."""
    key, what = luck.choice(keys), luck.random()
    if what < 0.03:
        record.pop(key, None)
    elif what < 0.06:
        record[key] = luck.choice([0, 0.0])
    elif what < 0.07:
        record[key] = None
    elif what < 0.08:
        record[key] = float("nan")
    elif what < 0.09:
        record[key] = "a long time"
    elif what < 0.10:
        record[key] = -record[key] if record.get(key) else -1


def response(luck, tool, name, number):
    model, first, second = EXPERTS[tool]
    record = {"tool": tool, "model": model, "context_str": "Documents:\n" + "Doc \u00e9 \"quoted\" \\ " * luck.randrange(40),
              "vllm_model_configs": CONFIG, "problem": "What is it?", "id": name, "eid": number}
    record[first] = drawn(luck, first)
    if tool == "search":
        record[second] = drawn(luck, second) * (40 if number < 90 else 1)
        record["_retrieval_retries"] = luck.choice([0] * 12 + [1, 3])
        record["search_results_data"] = ["text [{\"_retrieval_ms\": 99}] " * 5] * luck.randrange(4)
    elif tool == "answer":
        if luck.random() < 0.7:  # the others are literally right
            record[second] = drawn(luck, second)
        record["correctness"] = luck.random() < 0.4
    else:
        record[second] = drawn(luck, second)
        record["exec_result"] = "1\n" * luck.randrange(9)
    if luck.random() < 0.04:
        record["tool_error"], record["tool_error_type"] = "APITimeoutError('late')", "APITimeoutError"
    spoil(luck, record, [first, second] if second in record else [first])
    return record


class Logs:
    """Both logs of the client; each call stands in both."""

    def __init__(self, out):
        self.calls = open(os.path.join(out, "calls.jsonl"), "w")
        self.said = open(os.path.join(out, "client.log"), "w")
        self.number = 0

    def ask(self, luck, model, seconds, stream):
        """A call with its attempts; now and then one fails first, or nobody ever hears of it again."""
        self.number += 1
        req, at = "%08x" % (self.number * 2654435761 % 2**32), BEGAN + self.number * 13
        attempts = 2 if luck.random() < 0.03 else 1
        for attempt in range(1, attempts + 1):
            place = luck.choice(CONFIG[model])
            url = "http://%s:%d/v1" % (place["ip_addr"], place["port"])
            self.said.write("DEBUG: Calling vLLM at %s/chat/completions (model=%s) req_id=%s\n" % (url, model, req))
            failed = attempt < attempts
            line = {"event": "error" if failed else "response", "req_id": req, "backend": "vLLM", "model": model, "base_url": url,
                    "attempt": attempt, "duration_s": round(0.5 if failed else seconds, 2),
                    "ts": datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")}
            if failed:
                line["error"] = "APIConnectionError: refused"
                self.said.write("Error calling vLLM: refused\nRetry 1/5 in 5 seconds...\n")
            elif luck.random() < 0.01:
                continue  # the client was killed meanwhile
            else:
                how = "stream complete (took %.2fs, ttft 0.10s)" if stream else "request successful (took %.2fs)"
                self.said.write("DEBUG: vLLM %s req_id=%s\n" % (how % seconds, req))
            self.calls.write(json.dumps({"event": "enter", "req_id": req, "model": model}) + "\n")
            self.calls.write(json.dumps(line) + "\n")

    def close(self):
        self.calls.write('{"event": "response", "model": "' + ORCHESTRATOR[:9])
        self.said.write("DEBUG: Calling vLLM at http://10.0.0.5:18")
        self.calls.close()
        self.said.close()


def question(luck, number, logs):
    name = "%024x" % (number * 7919 + 1)
    tools = [tool for tool in ("search", "enhance_reasoning") if luck.random() < 0.6]
    tools += [luck.choice(["search", "enhance_reasoning"]) for _ in range(luck.randrange(3))]
    tools += ["answer"] if luck.random() < 0.7 else []
    calls, responses, messages, step = [], {}, {}, 0
    for tool in tools:
        for _ in range(luck.choice([0, 0, 0, 1, 2])):
            logs.ask(luck, ORCHESTRATOR, luck.lognormvariate(4.2, 0.6), True)
            calls.append(luck.choice(["342 invalid tool calls []", ["360 invalid tool calls [..]"]]))
            step += 1
        logs.ask(luck, ORCHESTRATOR, luck.lognormvariate(4.2, 0.6), True)
        record = response(luck, tool, name, number)
        logs.ask(luck, record["model"], luck.lognormvariate(1.0, 0.5), False)
        calls.append([[{"name": tool, "arguments": {"model": "x"}}]])
        answers = [record] + (["RuntimeError()", None] if luck.random() < 0.02 else [])
        responses["turn_%d_response" % step] = answers
        messages["turn_%d_message" % step] = {"content": None, "tool_calls": []}
        step += 1
    last = responses[list(responses)[-1]][0] if responses else {}
    status = "error" if last.get("tool_error") else "done"
    result = {"id": name, "problem": "What is it?", "all_tool_calls": calls, "all_tool_responses": responses, "answer": "42",
              "all_message_responses": messages, "correct": bool(last.get("correctness", False)), "status": status}
    if status == "error":
        result["error_type"] = last["tool_error_type"]
    return name, result


def write(luck, path, result):
    text, what = json.dumps(result, indent=2), luck.random()
    if what < 0.02:
        text = text[: luck.randrange(1, len(text) - 1)]
    elif what < 0.03:
        text = ""
    elif what < 0.035:
        text = "Traceback (most recent call last):\n"
    with open(path, "w") as file:
        file.write(text)


def main():
    out, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500
    luck = random.Random("toolorch %d" % count)
    results = os.path.join(out, "results")
    os.makedirs(os.path.join(results, "answer_cache"))
    for step in range(3):
        os.makedirs(os.path.join(results, "step_%d" % step, "tool_return"))
        with open(os.path.join(results, "step_%d" % step, "exec_out_a.txt"), "w") as file:
            file.write("1\n")
    with open(os.path.join(results, "step_0", "settings.json"), "w") as file:
        json.dump({"tool": "search", "all_tool_responses": {}}, file)
    logs = Logs(out)
    with open(os.path.join(out, "dataset.jsonl"), "w") as dataset:
        for number in range(count):
            name, result = question(luck, number, logs)
            dataset.write(json.dumps({"id": name, "question": "What is it?", "answer": "42"}) + "\n")
            path = os.path.join(results, name + ".json")
            write(luck, path, result)
            os.utime(path, (BEGAN + number * EVERY,) * 2)
        for number in range(17):
            dataset.write(json.dumps({"id": "missing-%d" % number, "question": "?", "answer": "42"}) + "\n")
    with open(os.path.join(results, "model_config.json"), "w") as file:
        json.dump(CONFIG, file)
    logs.close()


main()
