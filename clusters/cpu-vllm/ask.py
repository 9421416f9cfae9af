#!/usr/bin/env python3
"""Asks each question of a dataset once and writes one JSON per question: the least evaluation client there is.
Standard library only.

OUTPUT/<id>.json: id, question, answer, correct, status (done | error), error, endpoint. Questions that have a file are
not asked again.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import urllib.request


def ask(options, places, example):
    """One question, at a replica chosen at random; the result that is written."""
    place = random.choice(places)
    endpoint = "%s:%s" % (place["ip_addr"], place["port"])
    request = {
        "model": options.model,
        "messages": [{"role": "user", "content": example["question"]}],
        "temperature": 0,
        "max_tokens": 64,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    result = {"id": example["id"], "question": example["question"], "endpoint": endpoint}
    try:
        call = urllib.request.Request(
            "http://%s/v1/chat/completions" % endpoint,
            json.dumps(request).encode(),
            {"Content-Type": "application/json"},
        )
        # Servers are reached directly, whatever proxy this machine has.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(call, timeout=120) as reply:
            said = json.load(reply)["choices"][0]["message"]["content"]
        numbers = re.findall(r"-?\d+", said or "")
        correct = bool(numbers) and numbers[-1] == example["answer"]
        return dict(result, answer=said, correct=correct, status="done")
    except (OSError, ValueError, LookupError) as error:
        return dict(result, status="error", error_type=type(error).__name__, error=str(error))


def write(folder, result):
    """By rename, so that a file that exists is complete."""
    path = os.path.join(folder, result["id"] + ".json")
    with open(path + ".tmp", "w") as file:
        json.dump(result, file, indent=2)
    os.replace(path + ".tmp", path)


def main():
    parser = argparse.ArgumentParser()
    for name in ("model-config", "dataset", "output", "model"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    with open(options.model_config) as file:
        places = json.load(file)[options.model]
    with open(options.dataset) as file:
        examples = [json.loads(line) for line in file if line.strip()]
    os.makedirs(options.output, exist_ok=True)
    there = set(os.listdir(options.output))
    todo = [example for example in examples if example["id"] + ".json" not in there]
    with concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
        answers = [pool.submit(ask, options, places, example) for example in todo]
        for done in concurrent.futures.as_completed(answers):
            result = done.result()
            write(options.output, result)
            print("[SUM_COMPLETE] id=%s status=%s correct=%s" % (result["id"], result["status"], result.get("correct")), flush=True)


if __name__ == "__main__":
    main()
