#!/usr/bin/env python3
"""A closed loop of workers for the verdict's bench: each question is some rounds of the orchestrator, each followed by a call of the
expert with some chance, and by a pause in which the client itself works. Standard library only.

Lengths of answers are the simulator's; the pause is log-normal, in seconds of the cluster. Every attempt is listed in the result.
"""

import argparse
import http.client
import json
import math
import os
import queue
import random
import threading
import time

SPEED = float(os.environ.get("TOOLORCH_SIM_SPEED", "1"))


class Pool:
    """One open connection for each thread and place; every call goes to a replica chosen at random."""

    def __init__(self, path):
        with open(path) as file:
            self.config = json.load(file)
        self.local = threading.local()

    def ask(self, model, tool, text, chance, calls):
        place = chance.choice(self.config[model])
        where = "%s:%d" % (place["ip_addr"], int(place["port"]))
        call = {"model": model, "tool": tool, "endpoint": where}
        calls.append(call)
        body = json.dumps({"model": model, "max_tokens": 20000, "messages": [{"role": "user", "content": text}]})
        open_ones = self.local.__dict__.setdefault("open", {})
        began = time.monotonic()
        for last in (False, True):
            try:
                link = open_ones.setdefault(where, http.client.HTTPConnection(where, timeout=600))
                link.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
                reply = link.getresponse()
                answer = reply.read()
                if reply.status != 200:
                    call["error"] = "HTTP %d: %s" % (reply.status, answer[:100].decode("utf-8", "replace"))
                break
            except (OSError, http.client.HTTPException) as error:
                open_ones.pop(where, None)
                if last:
                    call["error"] = "%s: %s" % (type(error).__name__, error)
        call["ms"] = (time.monotonic() - began) * 1000


def work(waiting, pool, options):
    while True:
        try:
            example = waiting.get_nowait()
        except queue.Empty:
            return
        path = os.path.join(options.output, "%s.json" % example["id"])
        if os.path.exists(path):
            continue
        chance = random.Random("%s %s" % (options.seed, example["id"]))
        calls = []
        for turn in range(options.rounds):
            text = "%s, round %d of %s" % (example["question"], turn, example["id"])
            pool.ask("orchestrator-model", "orchestrator", text, chance, calls)
            if chance.random() < options.expert:
                pool.ask("expert-model", "ask_expert", text, chance, calls)
            if options.pause:
                time.sleep(options.pause * math.exp(chance.gauss(-0.125, 0.5)) / SPEED)
        failed = any("error" in call for call in calls)
        record = {"id": example["id"], "status": "error" if failed else "done", "rounds": options.rounds, "calls": calls}
        with open(path + ".part", "w") as file:
            json.dump(record, file)
        os.replace(path + ".part", path)
        print("[TASK_COMPLETE] id=%s" % example["id"], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--config", "--dataset", "--output"):
        parser.add_argument(name, required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--expert", type=float, default=0.33)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    pool = Pool(options.config)
    os.makedirs(options.output, exist_ok=True)
    waiting = queue.Queue()
    with open(options.dataset) as lines:
        for line in lines:
            waiting.put(json.loads(line))
    workers = [threading.Thread(target=work, args=(waiting, pool, options)) for _ in range(options.concurrency)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
