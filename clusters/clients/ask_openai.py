"""A client of one's own around the `openai` package: each question once, at the replicas in turn."""

import argparse
import concurrent.futures
import json
import os
import re
import shlex

import openai


def settings_of(path):
    """The NAME=value lines of `format: openai-env`."""
    with open(path) as file:
        pairs = (word.split("=", 1) for word in shlex.split(file.read(), comments=True))
        return dict(pairs)


def ask(client, model, example):
    result = {"id": example["id"], "question": example["question"]}
    try:
        said = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": example["question"]}], temperature=0, max_tokens=64,
        ).choices[0].message.content
    except openai.OpenAIError as error:
        return dict(result, status="error", error_type=type(error).__name__, error=str(error))
    numbers = re.findall(r"-?\d+", said or "")
    return dict(result, status="done", answer=said, correct=numbers[-1:] == [example["answer"]])


def main():
    parser = argparse.ArgumentParser()
    for name in ("config", "dataset", "results"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    settings = settings_of(options.config)
    clients = [openai.OpenAI(base_url=url, api_key="none") for url in settings["TINY_BASE_URLS"].split(",")]
    with open(options.dataset) as file:
        examples = [json.loads(line) for line in file]
    os.makedirs(options.results, exist_ok=True)
    todo = [each for each in examples if not os.path.exists(os.path.join(options.results, each["id"] + ".json"))]
    with concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
        asked = [
            pool.submit(ask, clients[place % len(clients)], settings["TINY_MODEL"], example)
            for place, example in enumerate(todo)
        ]
        for answer in concurrent.futures.as_completed(asked):
            result = answer.result()
            path = os.path.join(options.results, result["id"] + ".json")
            with open(path + ".part", "w") as file:
                json.dump(result, file)
            os.replace(path + ".part", path)  # a file that is there is whole
            print("[QUESTION_COMPLETE] id=%s status=%s" % (result["id"], result["status"]), flush=True)


if __name__ == "__main__":
    main()
