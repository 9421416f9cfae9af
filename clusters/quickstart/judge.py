#!/usr/bin/env python3
"""A judge behind the OpenAI chat API: are `Reference: ...` and `Prediction: ...` the same answer?

Stands where an evaluation would pay for a large model. It answers `<correct>True</correct>` or
`<correct>False</correct>`, which is what a client asks a judge model to write. Standard library only.
"""

import argparse
import re
import time

from service import JsonHandler, serve

MODEL = "quickstart-judge"


def normal(answer):
    """An answer without its wrapping: the last `\\boxed{...}`, lower case, one spelling per number."""
    boxed = re.findall(r"\\boxed\{([^{}]*)\}", answer)
    text = (boxed[-1] if boxed else answer).strip().strip(".").lower()
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return " ".join(text.split())


def verdict(prompt):
    """The judgement on the last `Reference:` and `Prediction:` lines of a prompt; None without both."""
    found = {}
    for line in prompt.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() in ("Reference", "Prediction"):
            found[name.strip()] = value
    if len(found) < 2:
        return None
    return normal(found["Reference"]) == normal(found["Prediction"])


class Handler(JsonHandler):
    """`/health`, `/v1/models` and `/v1/chat/completions`."""

    def do_GET(self):
        if self.path == "/health":
            self.reply(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self.reply(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "quickstart"}]})
        else:
            self.reply(404, {"error": {"message": "not found"}})

    def do_POST(self):
        asked = self.body()
        if self.path != "/v1/chat/completions":
            return self.reply(404, {"error": {"message": "not found"}})
        try:
            prompt = str(asked["messages"][-1]["content"])
        except (TypeError, KeyError, IndexError):
            return self.reply(400, {"error": {"message": "`messages` must be a list with a last `content`"}})
        correct = verdict(prompt)
        text = "There is nothing to judge." if correct is None else "<correct>%s</correct>" % correct
        self.reply(200, {
            "id": "chatcmpl-judge",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": str(asked.get("model") or MODEL),
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": len(prompt.split()),
                "completion_tokens": len(text.split()),
                "total_tokens": len(prompt.split()) + len(text.split()),
            },
        })


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    serve(Handler, args.host, args.port)


if __name__ == "__main__":
    main()
