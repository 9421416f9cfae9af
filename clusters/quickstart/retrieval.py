#!/usr/bin/env python3
"""A retrieval service in one file: `POST /retrieve`, as ToolOrchestra's evaluation clients call it.

Like the real ones it starts cold: `/health` says 503 until the "index" is loaded, and the first
requests after that are slow. Standard library only.

    request   {"queries": ["..."], "topk": 3, "return_scores": true, "eid": "q-001"}
    answer    [[{"document": {"contents": "..."}, "score": 1.5}, ...], ...]   one list per query
"""

import argparse
import itertools
import json
import re
import time

from service import JsonHandler, serve

# (subject, what is asked, what the page says, answer). A page that states a sum leaves the adding
# to the model that reads it.
FACTS = [
    ("Brindle Point lighthouse", "How many steps has the Brindle Point lighthouse?", "Its stair climbs 120 + 94 steps", "214"),
    ("Osterby bridge", "How many rivets hold the Osterby bridge?", "Each of its arches took 36 * 12 rivets", "432"),
    ("Calder archive", "How many volumes does the Calder archive keep?", "It keeps 905 - 61 volumes since the flood", "844"),
    ("Marram ferry", "How many seats has the Marram ferry?", "Its decks seat 148 + 77 passengers", "225"),
    ("Tarn observatory", "How many mirrors has the Tarn observatory?", "Its mirrors stand in rows, 14 * 6 in all", "84"),
    ("Wexcombe orchard", "How many trees grow in the Wexcombe orchard?", "Its slopes carry 23 * 17 trees", "391"),
    ("Halden mill", "How many spindles turn in the Halden mill?", "Its two floors turn 260 + 185 spindles", "445"),
    ("Quern valley railway", "How many sleepers has the Quern valley railway?", "The line rests on 48 * 25 sleepers", "1200"),
    ("Saltmarsh hotel", "How many rooms has the Saltmarsh hotel?", "It lets 310 - 42 rooms after the fire", "268"),
    ("Ember street theatre", "How many chairs has the Ember street theatre?", "Its stalls and circle hold 352 + 119 chairs", "471"),
    ("Fennick dam", "How many sluices has the Fennick dam?", "It has 11 * 4 sluices", "44"),
    ("Dunmore choir", "How many singers has the Dunmore choir?", "It counts 90 - 13 singers", "77"),
    ("Larkspur glacier", "Who first mapped the Larkspur glacier?", "It was first mapped by Marit Solheim", "Marit Solheim"),
    ("Oriel clock", "Which city owns the Oriel clock?", "It belongs to the city of Ghent", "Ghent"),
    ("Pemberley seed bank", "Which plant fills the vault of the Pemberley seed bank?", "Its vault is filled with barley", "barley"),
    ("Rook island", "Which bird nests on Rook island?", "Only the storm petrel nests there", "storm petrel"),
    ("Vesper comet", "Who discovered the Vesper comet?", "It was discovered by Ines Carvalho", "Ines Carvalho"),
    ("Kestrel mine", "Which metal came from the Kestrel mine?", "It gave tin for a century", "tin"),
]
PAGES = ["%s. %s." % (subject, says) for subject, _, says, _ in FACTS] + [
    "Addition. The sum of numbers does not depend on their order.",
    "Subtraction. The difference tells how far one number is from another.",
    "Multiplication. The product counts a rectangle of rows and columns.",
    "Arithmetic. Read the exercise twice, compute once, and check the result.",
]
COMMON = set("a an and by does for from has have how in is it its many of on once the to two what which who with".split())
WARMING = 20  # requests that are slow after the start


def words(text):
    """The words of a text that can tell one page from another."""
    return set(re.findall(r"[a-z]+", text.lower())) - COMMON


INDEX = [words(page) for page in PAGES]


def retrieve(query, topk):
    """The pages that share most words with the query; without any in common, the last one."""
    asked = words(query)
    ranked = sorted(((len(asked & known), -n) for n, known in enumerate(INDEX)), reverse=True)
    best = [(score, -n) for score, n in ranked[: max(1, topk)] if score > 1]
    return [
        {"document": {"contents": PAGES[n]}, "score": float(score)} for score, n in best or [(0, len(PAGES) - 1)]
    ]


class Handler(JsonHandler):
    """`/health` and `/retrieve`."""

    served = itertools.count()
    ready_at = 0.0

    def do_GET(self):
        if self.path != "/health":
            self.reply(404, {"detail": "Not Found"})
        elif time.monotonic() < self.ready_at:
            self.reply(503, {"status": "loading index"})
        else:
            self.reply(200, {"status": "ok"})

    def do_POST(self):
        asked = self.body()
        if self.path != "/retrieve":
            self.reply(404, {"detail": "Not Found"})
        elif not isinstance(asked, dict) or not isinstance(asked.get("queries"), list):
            self.reply(422, {"detail": "`queries` must be a list of strings"})
        elif time.monotonic() < self.ready_at:
            self.reply(503, {"detail": "index not loaded"})
        else:
            warming = WARMING - next(self.served)
            if warming > 0:
                time.sleep(0.01 * warming)
            topk = int(asked.get("topk") or 3)
            self.reply(200, [retrieve(str(query), topk) for query in asked["queries"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cold-start", type=float, default=1.5, metavar="SECONDS", help="until /health answers 200")
    args = parser.parse_args()
    Handler.ready_at = time.monotonic() + args.cold_start
    print(json.dumps({"pages": len(PAGES), "cold_start_s": args.cold_start}), flush=True)
    serve(Handler, args.host, args.port)


if __name__ == "__main__":
    main()
