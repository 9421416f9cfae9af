"""Proves the tiny model through a running real server: its sums, its tool calls, and toolorch's own canary.

Usage: tiny_check.py PORT. Standard library only; exits 1 where it falls short.
"""

import concurrent.futures
import json
import sys
import time

import server
import tiny_world as world

# A model that is right less often would make an evaluation's summary a matter of luck.
WANTED = 0.9


def streamed_call(port, body):
    """The name and the arguments of the one tool call of a stream, put together as clients do."""
    answer = server.request(port, "POST", "/v1/chat/completions", dict(body, stream=True))
    name, arguments = "", ""
    for line in answer["text"].splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                for part in choice["delta"].get("tool_calls") or []:
                    name += part["function"].get("name") or ""
                    arguments += part["function"].get("arguments") or ""
    return name, json.loads(arguments or "null")


def canary():
    """The request of `tool_call` in src/world/probe.rs."""
    return {
        "model": "tiny",
        "messages": [{"role": "user", "content": world.WISHES[0].format(city="Paris")}],
        "tools": [world.WEATHER_TOOL],
        "tool_choice": "auto",
        "temperature": 0,
        "max_tokens": 2048,
    }


def sums_right(port):
    """(right answers, questions, seconds)."""
    questions = world.sums()[::4]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        choices = list(pool.map(lambda pair: server.chat(port, pair[0]), questions))
    right = sum(
        choice["message"]["content"] == answer and choice["finish_reason"] == "stop"
        for choice, (_, answer) in zip(choices, questions)
    )
    return right, len(questions), time.monotonic() - began


def calls_right(port, count=60):
    """How many of `count` fresh conversations with tools end in the right call or answer."""
    rng = world.seeded(11)
    right = 0
    for _ in range(count):
        messages, tools, answer = world.tool_conversation(rng)
        for message in messages:
            for number, call in enumerate(message.get("tool_calls", [])):
                call["id"] = "call-%d" % number
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
            if message["role"] == "tool":
                message["tool_call_id"] = "call-0"
        choice = server.chat(port, "", messages=messages, tools=tools, tool_choice="auto")
        found = choice["message"]["content"]
        if choice["message"].get("tool_calls"):
            function = choice["message"]["tool_calls"][0]["function"]
            found = world.call(function["name"], json.loads(function["arguments"]))
        right += found == answer
    return right, count


def main():
    port = int(sys.argv[1])
    choice = server.chat(port, "", **{key: value for key, value in canary().items() if key != "model"})
    call = (choice["message"].get("tool_calls") or [{}])[0].get("function", {})
    expected = ("get_weather", {"city": "Paris"})
    checks = {
        "the canary calls": (call.get("name"), json.loads(call.get("arguments") or "null")) == expected,
        "its finish_reason is tool_calls": choice["finish_reason"] == "tool_calls",
        "the streamed canary calls": streamed_call(port, canary()) == expected,
        "one token is one token": server.chat(port, "Say yes.", max_tokens=1)["finish_reason"] in ("length", "stop"),
        "no thinking when told so": "<think>" not in server.chat(
            port, "What is 2 + 2?", chat_template_kwargs={"enable_thinking": False})["message"]["content"],
    }
    right, asked, seconds = sums_right(port)
    checks["sums: %d of %d (%.1f %%) in %.1f s" % (right, asked, 100 * right / asked, seconds)] = right >= WANTED * asked
    right, asked = calls_right(port)
    checks["conversations with tools: %d of %d (%.1f %%)" % (right, asked, 100 * right / asked)] = right >= WANTED * asked
    for what, passed in checks.items():
        print("%s  %s" % ("ok " if passed else "NOT", what))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
