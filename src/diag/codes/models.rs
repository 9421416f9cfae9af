//! E04, W04, N04: models, parsers and context.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0401",
        title: "a parser that does not understand the model",
        text: "Each family of models writes tool calls in its own format, and a parser reads one. \
               gpt-oss with any other parser than `openai` answers every tool call with HTTP 500 before \
               vLLM 0.24 (`Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument \
               'token_ids'`); other mismatches answer HTTP 200 with the call as plain text, which no \
               client notices. Leave `tool_parser` out: the family's own parser is then taken.",
    },
    CodeInfo {
        code: "W0402",
        title: "a parser that is ignored",
        text: "Since 0.24 vLLM reads gpt-oss with its own parser whatever the flag says. It works, and \
               says something else than it does.",
    },
    CodeInfo {
        code: "E0403",
        title: "a parser that the release does not have",
        text: "The server would exit at its start, after about a minute of imports, with `invalid tool \
               call parser`. Parsers come and go with releases; the page of each says in which it was \
               seen.",
    },
    CodeInfo {
        code: "E0404",
        title: "no parser is known",
        text: "`tools: true` needs a tool-call parser, and the model's name does not show its family, \
               or the family has no format for tool calls. For a fine-tuned model name its base model's \
               parser with `tool_parser`.",
    },
    CodeInfo {
        code: "N0405",
        title: "nobody looked whether the release has the parser",
        text: "Parsers were read in a number of releases. Between two of them, and after the last, a \
               parser that only one of the neighbours has may be there or not.",
    },
    CodeInfo {
        code: "W0406",
        title: "a parser that nothing speaks for",
        text: "The parser is neither the family's own nor known to fail with it. The probe before the \
               evaluation asks for a tool call and would notice; a patch offers the family's own.",
    },
    CodeInfo {
        code: "W0407",
        title: "a release older than the model",
        text: "vLLM learnt this architecture in a later release than the one that is written. The \
               server would probably refuse the model.",
    },
    CodeInfo {
        code: "N0408",
        title: "the client must switch thinking off",
        text: "The release has no switch on the server's side (`--default-chat-template-kwargs` came \
               with 0.14): each request must carry `chat_template_kwargs`. A probe proves that the \
               server obeys it; whether the client sends it is the client's matter.",
    },
    CodeInfo {
        code: "E0410",
        title: "there is no such flag",
        text: "`vllm serve` of this release does not know the flag, and would exit with code 2 and \
               `unrecognized arguments`.",
    },
    CodeInfo {
        code: "E0411",
        title: "a flag that was removed",
        text: "Later releases dropped the flag; what to write instead is shown.",
    },
    CodeInfo {
        code: "E0412",
        title: "a flag with a value of the wrong kind",
        text: "`vllm serve` would exit with code 2. Flags without a value take `true`; those that have \
               a `--no-` form also `false`.",
    },
    CodeInfo {
        code: "E0413",
        title: "not a choice of the flag",
        text: "`vllm serve` takes one of a fixed list of words here.",
    },
    CodeInfo {
        code: "W0413",
        title: "not a choice of the flag in 0.32",
        text: "The words that a flag takes were read in 0.32; in another release they may differ.",
    },
    CodeInfo {
        code: "E0414",
        title: "a flag that has a key of its own",
        text: "Ports, context length, parsers and parallelism have keys in the YAML, and the plan \
               reckons with them. A flag in `args` would say something else behind its back.",
    },
    CodeInfo {
        code: "E0415",
        title: "a flag without a value",
        text: "`null` in `args` says neither yes nor no. Write `true` for a flag without a value, or \
               remove the line.",
    },
    CodeInfo {
        code: "E0416",
        title: "a flag that cannot be switched off",
        text: "`false` becomes `--no-flag`, which only some flags have. A flag that is not given is \
               off.",
    },
    CodeInfo {
        code: "N0417",
        title: "nobody looked whether the release has the flag",
        text: "Flags were read in twelve releases. Between two of them, and after the last, a flag that \
               only one of the neighbours has may be there or not.",
    },
    CodeInfo {
        code: "N0418",
        title: "no release is written",
        text: "Without `vllm.version` neither flags nor parsers are checked against a release, the \
               release that answers is not compared, and no server-side switch is set.",
    },
    CodeInfo {
        code: "E0420",
        title: "a prompt that does not fit",
        text: "The evaluation sends more tokens, prompt and output together, than the server's context \
               holds: `This model's maximum context length is 32768 tokens. However, your request has \
               80034 input tokens`. Each such request is refused with HTTP 400 and is a wrong answer \
               for the client.",
    },
    CodeInfo {
        code: "N0421",
        title: "a context length that is not known yet",
        text: "Neither `max_model_len` nor a `config.json` on this machine says how much the server \
               holds. The running server is asked before the evaluation starts.",
    },
    CodeInfo {
        code: "N0422",
        title: "little room in the context",
        text: "The evaluation fits, but only just. Clients often count tokens with another model's \
               tokenizer.",
    },
    CodeInfo {
        code: "E0423",
        title: "a context longer than the model's",
        text: "vLLM refuses a `max_model_len` above what the model's `config.json` allows, after it has \
               loaded its imports.",
    },
    CodeInfo {
        code: "E0424",
        title: "a parser for tools that are not called",
        text: "`tools: false` and a `tool_parser` contradict each other; one of them would be ignored.",
    },
    CodeInfo {
        code: "E0426",
        title: "a model's name that a shell would have to fill in",
        text: "A model's name is given to the server and is the client's key, byte for byte. `~` and `${HOME}` would \
               stay as they are, or mean something else on each machine.",
    },
    CodeInfo {
        code: "E0427",
        title: "one key for two models",
        text: "A client's configuration has one entry for each key; the second would replace the first, whose \
               servers would run for nobody. One model spreads over nodes with `node: [A, B]`; two that differ \
               need names that differ: `served_name`.",
    },
    CodeInfo {
        code: "E0428",
        title: "a model that looks like an option",
        text: "The model is the first argument of its server. One that begins with `-` would be read as an \
               option, and set something else instead.",
    },
];
