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
        code: "E0419",
        title: "a flag that goes against how servers are started",
        text: "Every server here has one endpoint on its port, speaks http, and shows its flags to plan and check. Flags that change one of these (`--headless`, `--uds`, `--ssl-…`, `--config`, the ranks of data parallelism) would leave a server that nobody finds.",
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
        code: "W0423",
        title: "a context longer than the recipe's",
        text: "vLLM's own recipe for this model gives a shorter context. vLLM refuses a `max_model_len` above what the model's `config.json` allows; that file is not on this machine, so nobody can be sure here.",
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
    CodeInfo {
        code: "E0429",
        title: "a flag that is given twice",
        text: "vLLM takes dashes and underscores for the same, and long names and their short ones too. It would take the last of the two, without a word.",
    },
    CodeInfo {
        code: "E0431",
        title: "heads that cannot be divided",
        text: "Tensor parallelism gives each GPU the same number of attention heads, so their number must be a multiple of it; with fewer KV heads than GPUs each of these is copied to the same number of GPUs. Otherwise vLLM refuses to start. Heads are read from the model's `config.json`, on this machine or as it was published.",
    },
    CodeInfo {
        code: "E0433",
        title: "weights that do not fit",
        text: "What a server may take of a GPU is its memory × `gpu_memory_utilization`. The weights, divided by `tensor_parallel` × `pipeline_parallel`, are more than that. They are counted from the files where these are on this machine, else estimated from the name, which says less than there is. Divide the model among more GPUs, or take a quantized one.",
    },
    CodeInfo {
        code: "E0434",
        title: "no room for one full request",
        text: "vLLM refuses to start where the cache of a single request of full length does not fit beside the weights: `To serve at least one request with the models's max seq len …`. A token takes 2 × layers × KV heads × head width × bytes, divided by `tensor_parallel`. Set `max_model_len` to what the evaluation needs.",
    },
    CodeInfo {
        code: "W0434",
        title: "perhaps no room for one full request",
        text: "As E0434, where the length is that of vLLM's recipe for the model, since neither `max_model_len` nor a `config.json` on this machine says one.",
    },
    CodeInfo {
        code: "W0435",
        title: "one server for all replicas of a dense model",
        text: "With `layout: vllm-dp` one server holds all replicas behind one port. vLLM recommends that for mixtures of experts alone; for other models an engine that dies takes all replicas with it and nothing is gained.",
    },
    CodeInfo {
        code: "N0436",
        title: "little GPU memory is left",
        text: "Weights and the cache of one full request fit, and little more. Activations, CUDA graphs and the context of CUDA take some GiB that nobody can reckon beforehand, and requests that do not fit wait for each other.",
    },
    CodeInfo {
        code: "N0440",
        title: "code of a checkpoint",
        text: "`--trust-remote-code` runs Python files that lie beside the weights, on the node and with your rights. Some models need it. Pin the `revision` that somebody has read.",
    },
    CodeInfo {
        code: "W0441",
        title: "a variable that moves ports",
        text: "`VLLM_PORT` is the base of vLLM's internal ports, not the port of its API. Servers that share one scan upwards from the same number and take ports from each other.",
    },
    CodeInfo {
        code: "W0442",
        title: "a variable that hides a dead engine",
        text: "With `VLLM_KEEP_ALIVE_ON_ENGINE_DEATH` a server whose engine is dead goes on to answer `/health` and errors, instead of ending so that it can be started again.",
    },
    CodeInfo {
        code: "W0443",
        title: "a reasoning parser that nothing speaks for",
        text: "A reasoning parser splits the text at marks that belong to one family of models. With another the reasoning stays in the answer, or the whole answer is taken for reasoning and the client gets an empty text.",
    },
    CodeInfo {
        code: "W0444",
        title: "a chat template that does not come with the model",
        text: "For this family vLLM's documentation gives a template of its own for tool calls: the one in the checkpoint knows no tools, or writes calls otherwise than the parser reads them. The files are in `examples/` of vLLM's sources; copy the one that is named to the node.",
    },
    CodeInfo {
        code: "E0445",
        title: "a model that always thinks",
        text: "Some checkpoints think whatever they are told, and gpt-oss can be told how much, but not to stop. Nothing would keep this promise of the YAML.",
    },
    CodeInfo {
        code: "E0446",
        title: "`thinking: true` that changes nothing",
        text: "No switch is known that makes this model think. Nothing is accepted and ignored.",
    },
    CodeInfo {
        code: "N0447",
        title: "a parser with a known fault",
        text: "The parser is the right one, and the release is known to trip over some of what the model writes. Nothing in the YAML avoids \
               that; clients see HTTP 500 or a broken stream now and then, and ask again. The reports that are named say whether a later \
               release mends it.",
    },
    CodeInfo {
        code: "E0448",
        title: "GPUs that a variable takes away",
        text: "Each server is given its GPUs by `CUDA_VISIBLE_DEVICES`. A value in `env: { set: … }` holds for all servers alike: they would meet on \
               the same GPUs, while the plan and other people's servers reckon with others.",
    },
    CodeInfo {
        code: "E0449",
        title: "a release that is none",
        text: "vLLM's releases have three numbers: `0.12.0`, `0.32.0+cpu`, `0.11.1rc1`. With anything else no flag, parser or switch can be checked. \
               Where the release is not known, leave it out: then a note says so, and `doctor` asks the installation.",
    },
];
