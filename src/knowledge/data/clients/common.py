# What the runners of other people's clients have in common: which questions are missing, at which endpoint each is
# asked, and one result file per question. Standard library only; what follows this text defines `run_shard`.
import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys


def text_of(path, what):
    """A file that must be there."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit("cannot read the %s: %s" % (what, error))


def settings_of(path):
    """The `NAME=value` lines that `format: openai-env` writes."""
    settings = {}
    for line in text_of(path, "client configuration").splitlines():
        if line and not line.startswith("#"):
            name, mark, value = line.partition("=")
            if not mark:
                sys.exit("%s is not of `format: openai-env`: its lines are NAME=value" % path)
            settings[name] = (shlex.split(value) or [""])[0]
    return settings


def endpoints_of(settings, wanted):
    """(name of the model, its base URLs): the model called `wanted`, or the only one."""
    known = {name[: -len("_MODEL")]: model for name, model in settings.items() if name.endswith("_MODEL")}
    fitting = [name for name, model in known.items() if wanted in (None, model, name, name.lower())]
    names = ", ".join(sorted(known.values())) or "none"
    if wanted and not fitting:
        sys.exit("there is no model %s: there are %s" % (wanted, names))
    if len(fitting) != 1:
        sys.exit("say which model is asked, with --model: there are %s" % names)
    return known[fitting[0]], settings[fitting[0] + "_BASE_URLS"].split(",")


def ids_of(dataset, fields):
    """The ids of a dataset, in its order; None without one."""
    if dataset is None:
        return None
    questions = [json.loads(line) for line in text_of(dataset, "dataset").splitlines() if line.strip()]
    lacking = [question for question in questions if not any(field in question for field in fields)]
    if lacking:
        keys = ", ".join(lacking[0])
        sys.exit("a question has none of the keys %s, but %s: name its id with --id-field" % (", ".join(fields), keys))
    return [str(next(question[field] for field in fields if field in question)) for question in questions]


def finished(results):
    """Ids that have a result; a file that is there is whole."""
    return {path.name[: -len(".json")] for path in pathlib.Path(results).glob("*.json")}


def write(results, name, record):
    """One result, by rename, and the line that tells of it."""
    path = pathlib.Path(results) / (str(name).replace("/", "_") + ".json")
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({"id": name, **record}, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
    part.replace(path)
    print("[QUESTION_COMPLETE] id=%s status=%s correct=%s" % (name, record["status"], record.get("correct")), flush=True)


def verdict(value):
    """Whether a score means right; None where it is neither right nor wrong."""
    if value in ("C", 1, True):
        return True
    return False if value in ("I", "N", 0, False) else None


def arguments():
    parser = argparse.ArgumentParser(prog="toolorch client", description=ABOUT)
    parser.add_argument("--config", required=True, help="the client configuration, of `format: openai-env`")
    parser.add_argument("--results", required=True, help="the folder for one JSON per question")
    parser.add_argument("--task", required=True, help=TASK)
    parser.add_argument("--dataset", help="the questions whose ids count; without it all of the task")
    parser.add_argument("--id-field", action="append", help="a key of a question that may hold its id; default: id")
    parser.add_argument("--id", action="append", help="only the question of this id; may be given several times")
    parser.add_argument("--concurrency", type=int, default=8, help="questions in flight, over all replicas")
    parser.add_argument("--model", help="the model that is asked; default: the only one")
    return parser.parse_args()


def main():
    """Shares the missing questions out among the replicas, a process for each."""
    if sys.argv[1:] == ["--shard"]:
        return run_shard(json.load(sys.stdin))
    options = arguments()
    if options.concurrency < 1:
        sys.exit("--concurrency must be at least 1")
    fields = options.id_field or ["id"]
    pathlib.Path(options.results).mkdir(parents=True, exist_ok=True)
    model, urls = endpoints_of(settings_of(options.config), options.model)
    # Seen once, for all shards alike: what one of them finishes meanwhile must not move the others' shares.
    ids, there = ids_of(options.dataset, fields), finished(options.results)
    if options.id:
        ids = [name for name in ids if name in options.id] if ids is not None else options.id
    if ids is not None:
        ids = [name for name in ids if name not in there]
        if not ids:
            return print("every question has its result", flush=True)
        urls = urls[: len(ids)]
    shards = []
    for place, url in enumerate(urls):
        job = dict(
            task=options.task, results=options.results, model=model, url=url, fields=fields, shard=[place, len(urls)],
            ids=None if ids is None else ids[place :: len(urls)], finished=sorted(there),
            concurrency=-(-options.concurrency // len(urls)),
        )
        # This very text once more: `python3 -c TEXT --shard`.
        child = subprocess.Popen([sys.executable, "-c", sys.orig_argv[2], "--shard"], stdin=subprocess.PIPE, text=True)
        child.stdin.write(json.dumps(job))
        child.stdin.close()
        shards.append(child)
    # A signal's number is negative, and as bad as any other failure.
    sys.exit(max(abs(child.wait()) for child in shards))


def mine(job, names):
    """Of all names of a task those that this shard is to do: by the dataset's ids, else every n-th that is missing."""
    if job["ids"] is not None:
        wanted = set(job["ids"])
        lost = wanted - set(names)
        if lost:
            sys.exit("the task has no question with the id %s; its ids are %s, …" % (sorted(lost)[0], ", ".join(names[:3])))
        return [name for name in names if name in wanted]
    (place, shards), there = job["shard"], set(job["finished"])
    return [name for name in names if name.replace("/", "_") not in there][place::shards]
