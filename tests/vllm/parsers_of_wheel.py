"""Reads the names of tool and reasoning parsers out of an unpacked wheel's source, without importing it.

Usage: parsers_of_wheel.py WHEEL_DIR...   prints them
       parsers_of_wheel.py --check RELEASE WHEEL_DIR   compares them with src/knowledge/data/vllm.yaml (needs PyYAML);
                                                       exits 1 on a difference

A release registers its parsers in one of two ways: a table in the package's `__init__.py` (0.12 and newer), or a
decorator above each class.
"""

import ast
import pathlib
import sys

# Where they live: before 0.14 and since, the first that exists.
HOMES = {
    "tool": ["vllm/tool_parsers", "vllm/entrypoints/openai/tool_parsers"],
    "reasoning": ["vllm/reasoning"],
}
DATA = pathlib.Path(__file__).resolve().parents[2] / "src/knowledge/data/vllm.yaml"


def in_table(tree, kind):
    """The keys of `_TOOL_PARSERS_TO_REGISTER` or `_REASONING_PARSERS_TO_REGISTER`."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if "_%s_PARSERS_TO_REGISTER" % kind.upper() in names and isinstance(node.value, ast.Dict):
            yield from (key.value for key in node.value.keys if isinstance(key, ast.Constant))


def in_calls(tree):
    """The names in `@…Manager.register_module("a")` or `(["a", "b"])`, and in `register_lazy_module(name="a", …)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr not in ("register_module", "register_lazy_module"):
            continue
        given = node.args[:1] + [keyword.value for keyword in node.keywords if keyword.arg == "name"]
        for value in given:
            items = value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
            yield from (item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str))


def names(wheel, kind):
    """The registered names of one kind, sorted."""
    home = next(pathlib.Path(wheel, home) for home in HOMES[kind] if pathlib.Path(wheel, home).is_dir())
    found = set()
    for file in sorted(home.glob("*.py")):
        tree = ast.parse(file.read_text())
        found.update(in_table(tree, kind))
        # The manager itself shows its use in examples, but only in texts, which are no calls.
        found.update(in_calls(tree))
    return sorted(found)


def check(release, wheel):
    """Prints the differences from our data; how many."""
    import yaml

    data = yaml.safe_load(DATA.read_text())
    number = lambda text: tuple(map(int, text.split(".")))
    differences = 0
    for kind in HOMES:
        entries = data["%s_parsers" % kind].items()
        seen = lambda entry: number(entry["first_seen"]) <= number(release) <= number(entry["last_seen"])
        ours, real = {name for name, entry in entries if seen(entry)}, set(names(wheel, kind))
        for name in sorted(ours ^ real):
            print("%-30s %s parser: only %s" % (name, kind, "our data has it" if name in ours else "the wheel has it"))
        differences += len(ours ^ real)
    if release not in data["meta"]["parsers_sampled"]:
        print("%s is not among `parsers_sampled`" % release)
        differences += 1
    print("vLLM %s: %d differences" % (release, differences))
    return differences


def main():
    if sys.argv[1:2] == ["--check"]:
        return 1 if check(*sys.argv[2:4]) else 0
    for wheel in sys.argv[1:]:
        for kind in HOMES:
            found = names(wheel, kind)
            print("%s: %d %s parsers: %s" % (wheel, len(found), kind, " ".join(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
