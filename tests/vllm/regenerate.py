"""Brings what an installed vLLM knows of flags and parsers into src/knowledge/data/vllm.yaml.

Usage: regenerate.py RELEASE             the installed release
       regenerate.py RELEASE WHEEL_DIR   an older one, from its unpacked wheel (tests/vllm/wheel.sh RELEASE prints where)
       regenerate.py --check …           changes nothing; exits 1 where the file would change

With the Python of tests/vllm/install.sh, which needs a release of its own for each vLLM. Afterwards

    UPDATE=1 cargo test --test it knowledge

writes the tables. A flag or parser that the data has gets a longer span of releases; a new one is added; types, choices
and aliases are those of the newest release. What a release drops goes to `removed_flags` with a word that somebody must
replace. Families, recipes, shapes, failures and GPUs are written by people: nothing here touches them.
"""

import argparse
import difflib
import re
import sys

import flags as reader
import yaml

# The sections that this program writes, as PyYAML writes them; the others keep their bytes.
SECTIONS = ["tool_parsers", "reasoning_parsers", "flags", "removed_flags"]
WIDTH = 150
# As much as is kept of a default.
DEFAULT = 80
UNKNOWN = "UNKNOWN - check release notes"


def kind_of(parser, name, action):
    """Our type of a flag."""
    if action.nargs == 0:
        return "toggle" if "--no-" + name[2:] in action.option_strings else "switch"
    if action.choices:
        return "text"
    seen = reader.behaviour(parser, name)
    return reader.narrower(seen) or ("text" if seen["word"] and action.type is str else "any")


def entry_of(parser, name, action, others):
    """A new entry, without its releases."""
    entry = {"type": kind_of(parser, name, action)}
    default = str(action.default) if not isinstance(action.default, str) else repr(action.default)
    if action.default != argparse.SUPPRESS:
        entry["default"] = default[:DEFAULT]
    if action.choices:
        entry["choices"] = sorted(str(choice) for choice in action.choices)
    if action.nargs in ("+", "*"):
        entry["many"] = True
    if action.nargs == "?":
        entry["optional_value"] = True
    aliases = sorted(other for other, long in others.items() if long == name and not other.startswith("--no-"))
    if aliases:
        entry["aliases"] = aliases
    return entry


def widen(entry, version):
    """Lets the span of releases hold this one."""
    at = reader.release(version)
    if at < reader.release(entry["first_seen"]):
        entry["first_seen"] = version
    if at > reader.release(entry["last_seen"]):
        entry["last_seen"] = version


def merge_names(table, names, version):
    """Parsers: their names and releases alone can be read."""
    for name in names:
        if name in table:
            widen(table[name], version)
        else:
            table[name] = {"first_seen": version, "last_seen": version}
    return dict(sorted(table.items()))


def merge_flags(data, parser, version, newest):
    """Flags; in the newest release also what became of those of the one before."""
    real, others = reader.real_flags(parser)
    table = data["flags"]
    for name, action in real.items():
        if name in table:
            widen(table[name], version)
            if newest:
                fresh = entry_of(parser, name, action, others)
                for key in ("choices", "aliases"):
                    if set(fresh.get(key, [])) != set(table[name].get(key, [])):
                        table[name][key] = fresh.get(key, [])
        else:
            table[name] = {"first_seen": version, "last_seen": version, **entry_of(parser, name, action, others)}
    if newest:
        before = max((one for one in data["meta"]["flags_sampled"] if one != version), key=reader.release)
        told = {removed["flag"] for removed in data["removed_flags"]}
        for name, entry in table.items():
            if name not in real and name not in told and entry["last_seen"] == before:
                data["removed_flags"].append({"flag": name, "last_seen": before, "gone_in": version, "use_instead": UNKNOWN})
        data["removed_flags"].sort(key=lambda removed: removed["flag"])
    data["flags"] = dict(sorted(table.items()))


def with_sections(text, data):
    """The file with these sections written anew."""
    for section in SECTIONS:
        body = yaml.dump({section: data[section]}, sort_keys=False, default_flow_style=False, width=WIDTH, allow_unicode=True)
        text = re.sub(r"(?ms)^%s:\n.*?(?=^[a-z#])" % section, lambda _: body, text, count=1)
    return text


def with_release(text, version):
    """The file with this release among those that were looked at."""
    for key in ("flags_sampled", "parsers_sampled"):
        found = re.search(r"(?m)^  %s:\n((?:  - .*\n)+)" % key, text)
        known = re.findall(r"  - (.*)\n", found.group(1))
        if version not in known:
            rows = "".join("  - %s\n" % one for one in sorted(known + [version], key=reader.release))
            text = text[: found.start(1)] + rows + text[found.end(1) :]
    return text


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("release")
    options.add_argument("wheel", nargs="?")
    options.add_argument("--check", action="store_true")
    asked = options.parse_args()
    if asked.wheel:
        import older

        older.prepare(asked.wheel, asked.release)
    before = reader.DATA.read_text()
    data = yaml.load(before, yaml.CSafeLoader)
    parser, tool, reasoning = reader.installed_parser()
    sampled = data["meta"]["flags_sampled"]
    newest = all(reader.release(asked.release) >= reader.release(one) for one in sampled)
    data["tool_parsers"] = merge_names(data["tool_parsers"], tool, asked.release)
    data["reasoning_parsers"] = merge_names(data["reasoning_parsers"], reasoning, asked.release)
    merge_flags(data, parser, asked.release, newest)
    after = with_release(with_sections(before, data), asked.release)
    if asked.check:
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "now", "then", n=1))
        return int(before != after)
    reader.DATA.write_text(after)
    print("vLLM %s is in %s; next: UPDATE=1 cargo test --test it knowledge" % (asked.release, reader.DATA.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
