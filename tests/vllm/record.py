"""Records exchanges, metrics and start-up logs of a running real server, or holds them against the recordings.

A recording is {request: {method, path, body}, response: {status, headers, body}}: the body as JSON where it is JSON, a
stream as the list of its data lines. Volatile parts are masked (masks.py). Standard library only.
"""

import json
import pathlib
import re

import masks
import server

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "recordings/vllm-0.32.0"
# Headers that say nothing about the server's behaviour.
DULL_HEADERS = {"date", "content-length"}
# The classes of distribution in the metrics; labels of which only the names count.
FREE_LABELS = {"patchlevel", "version", "major", "minor", "implementation"}


class Book:
    """Where recordings go: to their files, or into a comparison with them."""

    def __init__(self, write):
        self.write, self.seen, self.differences = write, 0, []

    def keep(self, name, found, folded=lambda value: value):
        """Writes, or compares the folded forms."""
        path = FOLDER / (name + ".json")
        self.seen += 1
        if self.write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        elif not path.exists():
            self.differences.append("%s: there is no recording" % name)
        else:
            kept = folded(json.loads(path.read_text()))
            self.differences += ["%s: %s" % (name, what) for what in differences(kept, folded(found))]

    def keep_log(self, name, found):
        """Writes a log; a comparison would only find what the machine's speed changes."""
        self.seen += 1
        if self.write:
            (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(found)
        elif not (FOLDER / name).exists():
            self.differences.append("%s: there is no recording" % name)


def differences(kept, found, at=""):
    """The places where two JSON values differ."""
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in sorted(set(kept) | set(found)):
            here = "%s.%s" % (at, key)
            if key not in found or key not in kept:
                yield "%s: only %s" % (here, "in the recording" if key in kept else "now")
            else:
                yield from differences(kept[key], found[key], here)
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for number, pair in enumerate(zip(kept, found)):
            yield from differences(*pair, "%s[%d]" % (at, number))
    elif kept != found:
        yield "%s: recorded %.200s, now %.200s" % (at, json.dumps(kept), json.dumps(found))


def parsed(text):
    """JSON if it is JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def exchange(port, method, path, body):
    """One recorded exchange."""
    answer = server.request(port, method, path, body)
    headers = {name: value for name, value in answer["headers"].items() if name not in DULL_HEADERS}
    if headers.get("content-type", "").startswith("text/event-stream"):
        lines = [line[6:] for line in answer["text"].splitlines() if line.startswith("data: ")]
        found = [masks.value(parsed(line)) for line in lines]
    else:
        found = masks.value(parsed(answer["text"]))
    return {
        "request": {"method": method, "path": path, "body": body},
        "response": {"status": answer["status"], "headers": headers, "body": found},
    }


def folded(recording):
    """A recording as it is compared: a stream as one answer, since how many tokens share a chunk is chance; and without
    the runner-up tokens, since weights differ a little from one training to the next."""
    response = dict(recording["response"])
    if isinstance(response["body"], list):
        response["body"] = folded_stream(response["body"])
    return {"request": recording["request"], "response": without_odds(response)}


def folded_stream(chunks):
    """The texts of a stream put together; its kinds of chunks; its last words."""
    text, arguments, kinds = {}, "", set()
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        for choice in chunk.get("choices", []):
            delta = choice.get("delta", {"text": choice.get("text")})
            for key in ("role", "content", "reasoning", "text"):
                text[key] = text.get(key, "") + (delta.get(key) or "")
            for call in delta.get("tool_calls") or []:
                arguments += call["function"].get("name") or ""
                arguments += call["function"].get("arguments") or ""
            kinds.add(" ".join(sorted(set(chunk) | set(choice) | set(delta))))
    last = [chunk for chunk in chunks[-2:]]
    return {"text": text, "call": arguments, "kinds": sorted(kinds), "last": last, "first": chunks[0]}


# Requests for which the tiny model was not trained: what it says differs from one training to the next.
OFF_THE_TRACK = ("chat-length", "completions", "prompt-and-answer-too-long")
WORDS = ("content", "text", "finish_reason", "completion_tokens", "total_tokens", "tokens", "top_logprobs", "text_offset")


def folded_without_words(recording):
    """The same without what was said, and how much."""
    return without_words(folded(recording))


def without_words(found):
    if isinstance(found, dict):
        return {key: None if key in WORDS else without_words(inner) for key, inner in found.items()}
    return [without_words(inner) for inner in found] if isinstance(found, list) else found


def without_odds(found):
    """Without log probabilities and the tokens that were not chosen."""
    if isinstance(found, dict):
        dropped = ("logprob", "top_logprobs", "token_logprobs")
        return {key: without_odds(inner) for key, inner in found.items() if key not in dropped}
    return [without_odds(inner) for inner in found] if isinstance(found, list) else found


def exchanges(book, port, wanted):
    """Records a whole list of exchanges.py."""
    for name, (method, path, body) in wanted.items():
        fold = folded_without_words if name.startswith(OFF_THE_TRACK) else folded
        book.keep("http/" + name, exchange(port, method, path, body), fold)


def metrics(port):
    """{family: {type, help, samples: {name with its labels: bounds}}}: everything but the values."""
    families, current = {}, None
    for line in server.request(port, "GET", "/metrics")["text"].splitlines():
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            current = families.setdefault(name, {"help": words, "samples": {}})
        elif line.startswith("# TYPE "):
            current["type"] = line.rpartition(" ")[2]
        else:
            sample(current["samples"], line)
    return families


def sample(samples, line):
    """Adds one line of metrics: its name, its labels, and for a bucket its bound."""
    name, _, rest = line.partition("{")
    labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest)) if rest else {}
    name = name.split(" ")[0]
    bound = labels.pop("le", None)
    free = FREE_LABELS if name.startswith("python_info") else set(labels) if name.endswith("_info") else set()
    shown = ",".join('%s="%s"' % (key, "" if key in free else labels[key]) for key in sorted(labels))
    bounds = samples.setdefault("%s{%s}" % (name, shown), [])
    if bound is not None:
        bounds.append(bound)


def start_up(book, one):
    """Records what a server wrote until it was ready."""
    for stream in ("stdout", "stderr"):
        raw = (one.folder / stream).read_text(errors="replace")
        book.keep_log("start-up.%s.log" % stream, masks.text(raw, one.folder))
