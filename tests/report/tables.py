#!/usr/bin/env python3
"""The tables of a report by numpy, from the files alone: what `toolorch report` is compared with.

    tables.py RESULTS CALLS.jsonl CLIENT.log

It counts as the script behind the evaluation log does (a search needs both of its times, an answer its expert's, a reasoning its
model's; what is absent or zero is left out, and so is a file that is no JSON), and says what it left out. Prints one JSON object.
"""

import collections
import glob
import json
import math
import os
import re
import sys

import numpy as np

NEEDED = {"search": ("_query_llm_ms", "_retrieval_ms"), "answer": ("_expert_ms",), "enhance_reasoning": ("_llm_ms",)}
ADDED = {"search": "_retrieval_ms", "answer": "_judge_ms", "enhance_reasoning": "_exec_ms"}
ORCHESTRATOR = "/ckpt/nvidia/Nemotron-Orchestrator-8B/"


def row(seconds):
    """The columns of the log's tables."""
    if not seconds:
        return None
    a = np.array(seconds, dtype=float)
    p50, p90, p99 = np.percentile(a, [50, 90, 99])
    return {"count": int(a.size), "total": a.sum(), "mean": a.mean(), "std": a.std(), "min": a.min(), "max": a.max(),
            "p50": p50, "p90": p90, "p99": p99, "under_5s": (a < 5).mean(), "over_300s": int((a > 300).sum())}


def lack(record, key, absent_is_fine=False):
    """Why a field cannot be used, or None."""
    value = record.get(key)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None if absent_is_fine else "missing"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return "odd"
    return "zero" if value == 0 and not absent_is_fine else None


def number(record, key):
    value = record.get(key)
    return 0.0 if value is None or math.isnan(value) else float(value)


def tools(folder):
    whole, model, left = (collections.defaultdict(list) for _ in range(3))
    calls, torn, rounds = collections.Counter(), 0, []
    outcomes = collections.Counter()
    parts = collections.defaultdict(list)
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        try:
            with open(path) as file:
                result = json.load(file)
        except ValueError:
            torn += 1
            continue
        if "status" not in result:
            continue
        outcomes["results"] += 1
        outcomes["errors"] += result["status"] == "error"
        outcomes["correct"] += bool(result["correct"] and result["status"] != "error")
        rounds.append(len(result["all_tool_calls"]))
        for turn in result["all_tool_responses"].values():
            for record in turn:
                if not isinstance(record, dict):
                    continue
                tool = record["tool"]
                calls[tool] += 1
                lacks = [lack(record, key) for key in NEEDED[tool]]
                if tool != "search":
                    lacks.append(lack(record, ADDED[tool], absent_is_fine=True))
                why = "missing" if "missing" in lacks else next(filter(None, lacks), None)
                if why:
                    left[tool].append(why)
                    continue
                expert = number(record, NEEDED[tool][0]) / 1000
                whole[tool].append(expert + number(record, ADDED[tool]) / 1000)
                model[tool, record["model"]].append(expert)
                parts[tool, "error" if record.get("tool_error") else "ok"].append(whole[tool][-1])
                if tool == "search":
                    parts[tool, "retried" if record["_retrieval_retries"] else "once"].append(whole[tool][-1])
    return {"torn": torn, "outcomes": outcomes,
            "rounds": {"questions": len(rounds), "mean": np.mean(rounds), "p50": np.percentile(rounds, 50),
                       "p90": np.percentile(rounds, 90), "p99": np.percentile(rounds, 99), "max": max(rounds)},
            "tools": {tool: dict(row(whole[tool]), calls=calls[tool], **collections.Counter(left[tool])) for tool in calls},
            "experts": {"%s %s" % key: row(times) for key, times in model.items()},
            "parts": {"%s %s" % key: row(times) for key, times in parts.items()}}


def logged(path):
    """Answered calls by model and by replica, and how many attempts failed."""
    times, failed = collections.defaultdict(list), collections.Counter()
    with open(path) as lines:
        for line in lines:
            try:
                call = json.loads(line)
            except ValueError:
                continue
            if call["event"] == "error":
                failed[call["model"]] += 1
            elif call["event"] == "response":
                place = re.match(r"http://([^/]+)", call["base_url"])[1]
                times[call["model"]].append(call["duration_s"])
                times[call["model"] + " " + place].append(call["duration_s"])
    return {"failed": failed, "times": {key: row(some) for key, some in times.items()}}


def spoken(path):
    """The same from what the client printed; an answer belongs to the last line that asked by its name."""
    asked, times, asks = {}, collections.defaultdict(list), collections.Counter()
    with open(path) as lines:
        for line in lines:
            ask = re.search(r"Calling vLLM at \S+ \(model=(\S+)\) req_id=(\S+)\n", line)
            took = re.search(r"vLLM (?:stream complete|request successful) \(took ([\d.]+)s.* req_id=(\S+)", line)
            if ask:
                asked[ask[2]] = ask[1]
                asks[ask[1]] += 1
            elif took:
                times[asked.pop(took[2])].append(float(took[1]))
    return {"asks": asks, "times": {key: row(some) for key, some in times.items()}}


def main():
    results, calls, said = sys.argv[1:4]
    print(json.dumps(dict(tools(results), call_log=logged(calls), client_log=spoken(said), orchestrator=ORCHESTRATOR), default=float))


main()
