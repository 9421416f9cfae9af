"""The requests that are recorded: what toolorch, the clients and mistaken people send. Standard library only.

Two lists: the second is for a server without the flags of tools.
"""

import server
import tiny_check
import tiny_world as world

CHAT = "/v1/chat/completions"
QUESTION = "What is 12 + 7?"


def chat(content=QUESTION, **more):
    """A chat request as clients send it."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 64}
    return ("POST", CHAT, dict(body, **more))


def forced(**more):
    """A request with a tool and another choice than `auto`."""
    return chat(world.WISHES[0].format(city="Paris"), tools=[world.WEATHER_TOOL], **more)


STREAM = {"stream": True, "stream_options": {"include_usage": True}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
CANARY = ("POST", CHAT, tiny_check.canary())
AFTER_TOOL = chat(
    "", tools=[world.ADD_TOOL], messages=[
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"x": 12, "y": 7}'}}]},
        {"role": "tool", "tool_call_id": "call-1", "content": "19"},
    ])

WITH_TOOL_FLAGS = {
    "health": ("GET", "/health", None),
    "ping": ("GET", "/ping", None),
    "version": ("GET", "/version", None),
    "load": ("GET", "/load", None),
    "models": ("GET", "/v1/models", None),
    "server-info": ("GET", "/server_info", None),
    "chat": chat(),
    "chat-system": chat("", messages=[
        {"role": "system", "content": world.SYSTEMS[0]}, {"role": "user", "content": QUESTION}]),
    "chat-one-token": chat("Say yes.", max_tokens=1),
    "chat-length": chat(max_tokens=8, ignore_eos=True),
    "chat-stop-text": chat(stop=["9"]),
    "chat-two-choices": chat(n=2),
    "chat-no-thinking": chat("What is 2 + 2?", chat_template_kwargs={"enable_thinking": False}),
    "chat-thinking": chat("What is 2 + 2?", chat_template_kwargs={"enable_thinking": True}),
    "chat-logprobs": chat(logprobs=True, top_logprobs=2),
    "chat-stream": chat(**STREAM),
    "chat-stream-no-usage": chat(stream=True),
    "tools-canary": CANARY,
    "tools-canary-stream": ("POST", CHAT, dict(CANARY[2], **STREAM)),
    "tools-add": chat(tools=[world.ADD_TOOL], tool_choice="auto"),
    "tools-no-choice-given": chat(tools=[world.ADD_TOOL]),
    "tools-after-call": AFTER_TOOL,
    "tools-auto-no-call": chat(tools=[world.WEATHER_TOOL], tool_choice="auto"),
    "tools-choice-none": forced(tool_choice="none"),
    "tools-choice-required": forced(tool_choice="required"),
    "tools-choice-named": forced(tool_choice=NAMED),
    "tools-choice-named-stream": forced(tool_choice=NAMED, **STREAM),
    "tools-choice-unknown-name": forced(tool_choice={"type": "function", "function": {"name": "no_such_tool"}}),
    "tools-choice-wrong": forced(tool_choice="sometimes"),
    "completions": ("POST", "/v1/completions", {"model": "tiny", "prompt": "What is 12 + 7?", "temperature": 0, "max_tokens": 4}),
    "completions-stream": ("POST", "/v1/completions", dict(
        {"model": "tiny", "prompt": "What is 12 + 7?", "temperature": 0, "max_tokens": 4}, **STREAM)),
    "tokenize-prompt": ("POST", "/tokenize", {"model": "tiny", "prompt": QUESTION}),
    "tokenize-chat": ("POST", "/tokenize", {"model": "tiny", "messages": [{"role": "user", "content": QUESTION}]}),
    "detokenize": ("POST", "/detokenize", {"model": "tiny", "tokens": [300, 301]}),
    "model-unknown": chat(model="no/such-model"),
    "model-path": chat(model="/models/other"),
    "model-missing": ("POST", CHAT, {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 4, "temperature": 0}),
    "messages-missing": ("POST", CHAT, {"model": "tiny"}),
    "messages-empty": chat("", messages=[]),
    "prompt-too-long": chat("7 " * (server.CONTEXT // 2 + 8)),
    "prompt-and-answer-too-long": chat("7 " * 1000, max_tokens=server.CONTEXT - 1000),
    "max-tokens-too-big": chat(max_tokens=server.CONTEXT + 1),
    "max-tokens-zero": chat(max_tokens=0),
    "temperature-wrong": chat(temperature=-1),
    "bad-json": ("POST", CHAT, '{"model": "tiny", "messages": ['),
    "key-unknown": chat(no_such_key=1),
    "route-unknown": ("GET", "/no/such/route", None),
    "method-wrong": ("GET", CHAT, None),
}

WITHOUT_TOOL_FLAGS = {
    "no-flags-tools-auto": CANARY,
    "no-flags-tools-required": forced(tool_choice="required"),
    "no-flags-tools-named": forced(tool_choice=NAMED),
    "no-flags-tools-none": forced(tool_choice="none"),
}
