//! E01, N01: structure of the YAML.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0100",
        title: "the YAML cannot be read",
        text: "The file is missing, is a directory, or may not be opened. Give the path of a cluster YAML; \
               `toolorch init` writes a starter.",
    },
    CodeInfo {
        code: "E0101",
        title: "the file is too large",
        text: "A cluster YAML is a page or two; more than 1 MiB is something else, such as a dataset \
               or a log, given by mistake. Nothing of it is parsed.",
    },
    CodeInfo {
        code: "E0102",
        title: "the file is not UTF-8",
        text: "YAML is read as UTF-8. Save the file as UTF-8 in your editor, or convert it with \
               `iconv -f latin1 -t utf-8`. A byte-order mark and CRLF line ends are accepted.",
    },
    CodeInfo {
        code: "E0103",
        title: "the file is empty",
        text: "There is nothing in the file but white space and comments. `toolorch init` writes a \
               commented starter.",
    },
    CodeInfo {
        code: "E0104",
        title: "the text is not YAML",
        text: "The text cannot be parsed. The place is where the parser gave up; the slip is there or on \
               the line before: a bracket or quote that is not closed, a missing space after `:`, a line \
               indented differently from its neighbours.",
    },
    CodeInfo {
        code: "E0105",
        title: "a tab stands in the indentation",
        text: "YAML allows only spaces for indentation, because the width of a tab is a matter of taste. \
               Most editors convert tabs to spaces on request.",
    },
    CodeInfo {
        code: "E0106",
        title: "values are nested too deep",
        text: "No key of a cluster needs more than a handful of levels; 64 is the limit.",
    },
    CodeInfo {
        code: "E0107",
        title: "the YAML has too many values",
        text: "After aliases (`*name`) are filled in, the YAML has more than 100,000 values. A small file \
               can do that when anchors hold aliases of other anchors.",
    },
    CodeInfo {
        code: "E0108",
        title: "a key is given twice",
        text: "A mapping has each key once. YAML readers differ on which of two wins, so neither does: \
               remove one. (A key beside a merge key `<<` overrides what is merged; that is not a \
               duplicate.)",
    },
    CodeInfo {
        code: "E0109",
        title: "the file holds several documents",
        text: "A line `---` begins a new YAML document. One file describes one cluster: remove the \
               separator, or split the file.",
    },
    CodeInfo {
        code: "E0110",
        title: "a tag is not supported",
        text: "Tags such as `!!str` or `!include` mean different things to different readers, so none is \
               read. Quote a value to make it a text.",
    },
    CodeInfo {
        code: "E0111",
        title: "an alias or merge key cannot be filled in",
        text: "`*name` needs an anchor `&name` earlier in the file that does not contain it, and `<<` \
               merges a mapping, or a list of mappings.\n\n```yaml\nenv: &client { conda: vllm1 }\n\
               other: { <<: *client, umask: \"022\" }\n```\n\nKeys of a mapping must be plain texts.",
    },
    CodeInfo {
        code: "E0112",
        title: "a control character stands in a value",
        text: "Values end up in scripts, argument lists and terminals, where control characters (NUL, \
               escape, carriage return, …) do harm and are never meant. Line feed and tab are allowed.",
    },
    CodeInfo {
        code: "E0113",
        title: "more mistakes than are shown",
        text: "Only the first hundred mistakes are shown; mend them and look again. A file with that many is \
               often something else than a cluster YAML.",
    },
    CodeInfo {
        code: "E0120",
        title: "unknown key",
        text: "The key is not one that is read here, so it would have no effect. Nothing is accepted and \
               ignored: mend the spelling, or remove it. `toolorch schema` lists all keys for your editor, \
               `docs/SPEC.md` for you.",
    },
    CodeInfo {
        code: "E0121",
        title: "a key is missing",
        text: "The mapping cannot be understood without this key, and no default would be right for \
               everybody.",
    },
    CodeInfo {
        code: "E0122",
        title: "a value of another kind is needed",
        text: "For example a list where one value is meant, a text where a number is meant, or a number \
               where a text is meant. Quotes turn a number into a text: `\"8\"`.",
    },
    CodeInfo {
        code: "E0123",
        title: "not one of the words that are understood",
        text: "The key takes one of a few words. The message lists them.",
    },
    CodeInfo {
        code: "E0124",
        title: "a value is out of range",
        text: "The number is too small or too large, or the text or list is shorter than it may be.",
    },
    CodeInfo {
        code: "E0125",
        title: "a duration needs a number and a unit",
        text: "`60` could be seconds or minutes. Write `60s`, `60m`, `1h30m`, `500ms` or `2d`.",
    },
    CodeInfo {
        code: "E0126",
        title: "a bare word that YAML readers take for something else",
        text: "`yes`, `no`, `on`, `off`, `true`, `false`, `null` and `~` without quotes are truth values or \
               nothing at all to some or all YAML readers. Where a text is meant write it in quotes: \
               `\"no\"`. Where a truth value is meant write `true` or `false`.",
    },
    CodeInfo {
        code: "E0127",
        title: "a release must be quoted",
        text: "Without quotes `0.10` is the number 0.1, which is another release. Write `\"0.10\"`.",
    },
    CodeInfo {
        code: "E0128",
        title: "a key has no value",
        text: "`key:` with nothing after it, `null` and `~` give no value. Give one, or remove the key to \
               get its default.",
    },
    CodeInfo {
        code: "E0129",
        title: "keys that exclude each other",
        text: "The keys are different answers to one question; keep just one of them.",
    },
    CodeInfo {
        code: "E0130",
        title: "a number with a leading zero",
        text: "`010` is ten to some YAML readers and eight to others. Drop the zero, or quote it if it is a \
               text.",
    },
    CodeInfo {
        code: "E0131",
        title: "a value is not accepted",
        text: "The value has the right kind and is still not one that can be used; the message says why.",
    },
    CodeInfo {
        code: "E0132",
        title: "a key that has no effect beside the others",
        text: "Nothing would read the key: `command` without `engine: command`, vLLM's flags with it, `template` \
               without `format: template`, a launcher other than SLURM for a pool. Nothing is accepted and \
               ignored: remove the key, or choose what reads it.",
    },
    CodeInfo {
        code: "E0140",
        title: "`--set` names something that is not there",
        text: "`--set PATH=VALUE` changes one value of the YAML for this call: \
               `--set models.answer.replicas=4`, `--set 'nodes.\"172.27.31.10\".gpus=4'`. The path must be \
               that of a known key, in a model, node or evaluation that the YAML has.",
    },
    CodeInfo {
        code: "N0150",
        title: "keys whose behaviour comes in a later release",
        text: "The keys are understood and checked, and nothing acts on them yet. A command that would need \
               them refuses (exit 2) instead of going on without them.",
    },
    CodeInfo {
        code: "E0151",
        title: "a key that this command needs comes in a later release",
        text: "Going on without it would do something else than what the YAML says. Remove the key, or wait \
               for the release that has it.",
    },
];
