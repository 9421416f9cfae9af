#!/usr/bin/env python3
"""Writes `questions.jsonl`: 200 questions, always the same ones.

182 are arithmetic, 12 need a page of `retrieval.py` and its sum, and 6 need a name from a page. A
model that reads gets all of them; the simulator only computes, so it misses the names.

    python3 make_questions.py > questions.jsonl
"""

import json
import random

from retrieval import FACTS

PHRASES = [
    "What is {a} {op} {b}?",
    "Compute {a} {op} {b}.",
    "Please evaluate {a} {op} {b} and answer with one number.",
    "A clerk writes {a} {op} {b} on a slip. Which number does it come to?",
    "Tell me the value of {a} {op} {b}.",
    "The exercise reads {a} {op} {b}. What is the result?",
]
TOTAL = 200


def arithmetic(rng):
    """A question and its answer."""
    op = rng.choice("+-*")
    high = 40 if op == "*" else 900
    a, b = rng.randint(2, high), rng.randint(2, high)
    if op == "-" and a < b:
        a, b = b, a
    answer = {"+": a + b, "-": a - b, "*": a * b}[op]
    return rng.choice(PHRASES).format(a=a, op=op, b=b), str(answer)


def main():
    rng = random.Random(20251231)
    pairs = [(question, answer) for _, question, _, answer in FACTS]
    seen = set(question for question, _ in pairs)
    while len(pairs) < TOTAL:
        question, answer = arithmetic(rng)
        if question not in seen:
            seen.add(question)
            pairs.append((question, answer))
    rng.shuffle(pairs)
    for number, (question, answer) in enumerate(pairs, 1):
        print(json.dumps({"id": "q-%03d" % number, "question": question, "answer": answer}))


if __name__ == "__main__":
    main()
