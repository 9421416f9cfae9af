"""The closed world that the tiny model is trained for: its questions, its tools, its answers. Standard library only,
so that a check against a running server asks the very same questions.

Without tools it adds two numbers from 0 to 20. With tools it calls `get_weather` for a city and `add` for a sum, and
repeats what the tool brought. Whatever else is asked, it says something short.
"""

import json
import random

HIGHEST = 20
# The first form is that of clusters/quickstart/questions.jsonl; the others stand there too.
PHRASES = [
    "What is {a} + {b}?",
    "Compute {a} + {b}.",
    "Tell me the value of {a} + {b}.",
    "Please evaluate {a} + {b} and answer with one number.",
]
CITIES = ["Paris", "London", "Berlin", "Rome", "Madrid", "Vienna", "Oslo", "Prague", "Athens", "Dublin", "Lisbon", "Warsaw"]
WEATHERS = ["sunny", "rainy", "cloudy", "windy", "foggy", "snowy"]
# The first form is the canary of toolorch's readiness ladder (src/world/probe.rs), word by word.
WISHES = [
    "Use the tool get_weather to look up the weather in {city}.",
    "What is the weather in {city}?",
    "How is the weather in {city} today?",
]
NO_TOOL = "I have no tool for that."

WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Looks up the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
ADD_TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {
                "x": {"type": "integer", "description": "First number to add."},
                "y": {"type": "integer", "description": "Second number to add."},
            },
            "required": ["x", "y"],
        },
    },
}
SYSTEMS = ["You are a helpful assistant.", "You answer questions. Use the tools as you see fit.", "Answer with one number."]


def sums():
    """Every question without tools, as (question, answer)."""
    numbers = range(HIGHEST + 1)
    return [(phrase.format(a=a, b=b), str(a + b)) for a in numbers for b in numbers for phrase in PHRASES]


def call(name, arguments):
    """A tool call as text, as the Hermes format has it."""
    return "<tool_call>\n%s\n</tool_call>" % json.dumps({"name": name, "arguments": arguments})


def varied(rng, tool):
    """The same tool, described in other words: clients describe theirs as they like."""
    tool = json.loads(json.dumps(tool))
    function = tool["function"]
    if rng.random() < 0.5:
        function["description"] = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 12)))
    if rng.random() < 0.3:
        function["parameters"]["additionalProperties"] = False
    if rng.random() < 0.3:
        function["strict"] = rng.choice([True, False])
    for value in function["parameters"]["properties"].values():
        if rng.random() < 0.5:
            value["description"] = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 5)))
    return tool


WORDS = (
    "the a of in to and number city first second two add adds sum returns looks up weather tool text value name look "
    "search page find query question expert answer current today temperature location place compute result"
).split()


def other_tool(rng):
    """A tool that no question here wants."""
    name, field = rng.choice([("search", "query"), ("ask_expert", "question"), ("read_file", "path"), ("stop", "why")])
    parameters = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def tool_conversation(rng):
    """One conversation with tools: (messages, tools, answer)."""
    messages = [{"role": "system", "content": rng.choice(SYSTEMS)}] if rng.random() < 0.3 else []
    if rng.random() < 0.5:
        city, brought = rng.choice(CITIES), rng.choice(WEATHERS)
        question, tool, arguments = rng.choice(WISHES).format(city=city), WEATHER_TOOL, {"city": city}
        without = NO_TOOL
    else:
        a, b = rng.randint(0, HIGHEST), rng.randint(0, HIGHEST)
        question, tool, arguments = rng.choice(PHRASES).format(a=a, b=b), ADD_TOOL, {"x": a, "y": b}
        without = brought = str(a + b)
    messages.append({"role": "user", "content": question})
    others = [varied(rng, t) for t in (WEATHER_TOOL, ADD_TOOL) if t is not tool and rng.random() < 0.3]
    others += [varied(rng, other_tool(rng)) for _ in range(rng.choice([0, 0, 0, 1]))]
    if others and rng.random() < 0.3:
        return messages, others, without
    tools = others + [varied(rng, tool)]
    rng.shuffle(tools)
    if rng.random() < 0.35:
        function = {"name": tool["function"]["name"], "arguments": arguments}
        messages.append({"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]})
        messages.append({"role": "tool", "content": brought})
        return messages, tools, brought
    return messages, tools, call(tool["function"]["name"], arguments)


def plain_conversation(rng, question, answer):
    """One question without tools: (messages, None, answer)."""
    messages = [{"role": "system", "content": rng.choice(SYSTEMS)}] if rng.random() < 0.1 else []
    if rng.random() < 0.05:
        question, answer = rng.choice(WISHES).format(city=rng.choice(CITIES)), NO_TOOL
    if rng.random() < 0.02:
        question, answer = "Say yes.", "Yes."
    return messages + [{"role": "user", "content": question}], None, answer


def thought(question, answer):
    """What it writes when it is asked to think, after the template's `<think>`."""
    return "%s\n</think>\n\n%s" % (question, answer)


def seeded(seed):
    """The source of all choices."""
    return random.Random(seed)
