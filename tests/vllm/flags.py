"""Holds the flags and parser names of src/knowledge/data/vllm.yaml against vLLM's own argument parser.

Usage: flags.py            the installed release
       flags.py WHEEL_DIR RELEASE   an older one, from its unpacked wheel (see older_parser)

One process, which only parses: no model, no engine. Every flag that our data has for the release is given a battery of
values; what the parser takes must be what our type says it takes. Prints one line for each disagreement; exits 1 if
there is one.
"""

import contextlib
import io
import pathlib
import sys
import warnings

import yaml

DATA = pathlib.Path(__file__).resolve().parents[2] / "src/knowledge/data/vllm.yaml"
# Choices, aliases and `any` in our data are those of this release; older ones had other choices, and a flag that takes
# anything now may have been stricter.
NEWEST = "0.32.0"

# One type stands for all releases of a flag. Where an older release was stricter, and we can say nothing better:
STRICTER_ONCE = {("0.12.0", "--max-model-len")}  # `auto` came with 0.14

# What is tried on each flag that takes a value; several spellings where a range or a key could refuse one of them.
BATTERY = {
    "whole": ["1", "8", "64"],
    "fraction": ["0.5", "1.5"],
    "human": ["32k", "2M"],
    "auto": ["auto"],
    "word": ["no-such-word"],
    "object": ["{}"],
    "list": ["[]", '["a"]', "[1]"],
}
# What our types say of each; what is not named may be either. The meaning of the types is that of
# src/knowledge/flags.rs and of `is_a` in src/check/flags.rs.
MEANING = {
    "integer": {"whole": True, "fraction": False, "human": False, "auto": False, "word": False, "object": False},
    "human-integer": {"whole": True, "human": True, "auto": False, "word": False, "object": False},
    "human-integer-or-auto": {"whole": True, "human": True, "auto": True, "word": False, "object": False},
    "float": {"whole": True, "fraction": True, "human": False, "auto": False, "word": False, "object": False},
    "text": {"whole": True, "fraction": True, "word": True, "auto": True, "object": True},
    # A number alone is JSON, too.
    "json": {"word": False, "auto": False, "human": False},
    # Not one of the narrower types; which it is decides `narrower`.
    "any": {},
}


def release(text):
    """A release as numbers, to compare."""
    return tuple(int(part) for part in text.split(".")[:3])


class Refused(Exception):
    """The parser would have ended the program."""


def strict(parser_class):
    """The parser class, except that it raises where it would exit."""

    class Strict(parser_class):
        def error(self, message):
            raise Refused(message)

    return Strict


def installed_parser():
    """(parser, names of tool parsers, names of reasoning parsers) of the installed release."""
    try:
        from vllm.utils.argparse_utils import FlexibleArgumentParser
    except ImportError:
        from vllm.utils import FlexibleArgumentParser  # up to 0.11
    try:
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
    except ImportError:
        from vllm.entrypoints.openai.cli_args import make_arg_parser  # before 0.32
    try:
        from vllm.tool_parsers import ToolParserManager
    except ImportError:
        from vllm.entrypoints.openai.tool_parsers import ToolParserManager  # up to 0.12
    from vllm.reasoning import ReasoningParserManager

    parser = make_arg_parser(strict(FlexibleArgumentParser)(prog="vllm serve"))
    return parser, set(registered(ToolParserManager)), set(registered(ReasoningParserManager))


def registered(manager):
    """The names of a registry."""
    if hasattr(manager, "list_registered"):
        return manager.list_registered()
    lazy = getattr(manager, "lazy_parsers", {})
    eager = getattr(manager, "tool_parsers", None) or getattr(manager, "reasoning_parsers", {})
    return set(lazy) | set(eager)


def takes(parser, *argv):
    """Whether the parser takes this command line."""
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parser.parse_args(["model", *argv])
        return True
    except (Refused, SystemExit):
        return False
    except Exception:  # a converter that raises anything else ends the real program as well
        return False


def given(flag, value):
    """The flag with a value that may begin with a dash."""
    return "%s=%s" % (flag, value)


def behaviour(parser, flag):
    """For each kind of value whether the parser takes one of its spellings."""
    return {kind: any(takes(parser, given(flag, value)) for value in values) for kind, values in BATTERY.items()}


def narrower(seen):
    """The narrowest of our types that fits what was seen; None where only `any` does."""
    order = ["integer", "float", "human-integer", "human-integer-or-auto", "json"]
    fits = [t for t in order if all(seen[kind] == wanted for kind, wanted in MEANING[t].items())]
    return fits[0] if fits and (seen["whole"] or seen["object"] or seen["list"]) else None


def real_flags(parser):
    """{long name: action} of the flags, and {other name: long name}; the `--no-` forms belong to their flag."""
    flags, others = {}, {}
    for action in parser._actions:
        longs = [name for name in action.option_strings if name.startswith("--")]
        if not longs:
            continue
        flags[longs[0]] = action
        for name in action.option_strings:
            if name != longs[0]:
                others[name] = longs[0]
    return flags, others


def of_one(parser, name, ours, action, newest):
    """The disagreements about one flag that both know."""
    kind, many = ours["type"], ours.get("many", False)
    nothing = action.nargs == 0
    if nothing or kind in ("switch", "toggle"):
        negative = "--no-" + name[2:] in action.option_strings
        real = ("toggle" if negative else "switch") if nothing else "a flag with a value"
        if kind != real:
            yield "our type is `%s`, it is `%s`" % (kind, real)
            return
        if name == "--help":
            return  # it ends the program, as a refusal does
        if not takes(parser, name) or (negative and not takes(parser, "--no-" + name[2:])):
            yield "it refuses its own plain form"
        if takes(parser, given(name, "true")):
            yield "it takes a value, `%s` takes none" % kind
        return
    if many != (action.nargs in ("+", "*")):
        yield "many: ours %s, its nargs %r" % (many, action.nargs)
    if ours.get("optional_value", False) != (action.nargs == "?"):
        yield "optional_value: ours %s, its nargs %r" % (ours.get("optional_value", False), action.nargs)
    choices = ours.get("choices", [])
    if newest:
        real = {str(choice) for choice in action.choices or ()}
        if real != set(choices):
            yield "choices: only ours %s, only its %s" % (sorted(set(choices) - real), sorted(real - set(choices)))
        for choice in choices:
            if not takes(parser, given(name, choice)):
                yield "it refuses its choice `%s`" % choice
        if choices and takes(parser, given(name, "no-such-word")):
            yield "it takes what is no choice"
    if choices or action.choices:
        return
    seen = behaviour(parser, name)
    wrong = [kind_ for kind_, wanted in MEANING[kind].items() if seen[kind_] != wanted]
    if wrong:
        detail = ", ".join("%s %s" % ("takes" if seen[kind_] else "refuses", BATTERY[kind_][0]) for kind_ in wrong)
        yield "our type is `%s`, but it %s; fits: %s" % (kind, detail, narrower(seen) or ("text" if seen["word"] else "any"))
    if newest and kind == "any" and narrower(seen):
        yield "our type is `any`, but it takes no more than `%s`" % narrower(seen)


def of_names(what, ours, real):
    """The disagreements about a set of names."""
    for name in sorted(real - ours):
        yield name, "%s: our data lacks it" % what
    for name in sorted(ours - real):
        yield name, "%s: it lacks what our data has" % what


def disagreements(data, version, parser, tool, reasoning):
    """All of them, as (name, what)."""
    at = release(version)

    def have(table):
        return {name for name, entry in table.items() if release(entry["first_seen"]) <= at <= release(entry["last_seen"])}

    flags, others = real_flags(parser)
    ours = have(data["flags"])
    yield from of_names("flag", ours, set(flags))
    for name in sorted(ours & set(flags)):
        entry, action = data["flags"][name], flags[name]
        if (version, name) not in STRICTER_ONCE:
            yield from ((name, what) for what in of_one(parser, name, entry, action, version == NEWEST))
        real = {other for other, long in others.items() if long == name and not other.startswith("--no-")}
        if version == NEWEST and real != set(entry.get("aliases", [])):
            yield name, "aliases: ours %s, its %s" % (sorted(entry.get("aliases", [])), sorted(real))
    yield from of_names("tool parser", have(data["tool_parsers"]), tool)
    yield from of_names("reasoning parser", have(data["reasoning_parsers"]), reasoning)


def main():
    version = NEWEST
    if len(sys.argv) > 1:
        import older

        version = sys.argv[2]
        older.prepare(sys.argv[1], version)
    data = yaml.load(DATA.read_text(), yaml.CSafeLoader)
    parser, tool, reasoning = installed_parser()
    found = list(disagreements(data, version, parser, tool, reasoning))
    for name, what in found:
        print("%-40s %s" % (name, what))
    flags, _ = real_flags(parser)
    print("vLLM %s: %d flags, %d tool parsers, %d reasoning parsers, %d disagreements" % (
        version, len(flags), len(tool), len(reasoning), len(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
