//! E05, W05, N05: evaluations and datasets.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0501",
        title: "the dataset cannot be read",
        text: "There is no such file, or it may not be read. `dataset` counts from the evaluation's \
               `cwd`.",
    },
    CodeInfo {
        code: "E0502",
        title: "the dataset is a Git-LFS pointer",
        text: "The repository was cloned without Git LFS: the file holds three lines that say where the \
               questions are. `git lfs pull` fetches them.",
    },
    CodeInfo {
        code: "E0503",
        title: "the dataset is not JSON lines",
        text: "Each line must be one JSON object. Most clients end with a traceback at the first that \
               is not.",
    },
    CodeInfo {
        code: "E0504",
        title: "a question without an id",
        text: "Results are named after ids. `id_fields` lists the keys that may hold one, the first \
               present wins.",
    },
    CodeInfo {
        code: "E0505",
        title: "two questions with one id",
        text: "The result of one would overwrite the other's, and the evaluation could never be \
               complete.",
    },
    CodeInfo {
        code: "E0506",
        title: "an id that cannot be a file name",
        text: "Results are files named after ids. An empty id, `..`, a `/` or a control character would \
               make the client fail, or write somewhere else.",
    },
    CodeInfo {
        code: "N0507",
        title: "the dataset was not read",
        text: "Why is said beside it. Nothing is known about the questions until it is.",
    },
    CodeInfo {
        code: "E0508",
        title: "nothing says when it is finished",
        text: "An evaluation is finished when each id of its dataset has a result. Without a dataset \
               say `finished: { count: N }` or `finished: { file: F }`.",
    },
    CodeInfo {
        code: "E0509",
        title: "a task that is no question",
        text: "`tasks` limits an evaluation to some ids; this one is not in the dataset.",
    },
    CodeInfo {
        code: "E0510",
        title: "something that the client needs is missing",
        text: "The client asks for models and services by names that are written in it. A missing model \
               is an exception in each task; without retrieval each search waits for a minute and a \
               half, and finds nothing.",
    },
    CodeInfo {
        code: "E0511",
        title: "an adapter that nobody knows",
        text: "Adapters fill in the command, the markers and the result layout of known clients. Every \
               other client is described by its `command`.",
    },
    CodeInfo {
        code: "E0512",
        title: "an evaluation without a client",
        text: "Neither `command` nor an `adapter` that fills one in.",
    },
    CodeInfo {
        code: "E0513",
        title: "evaluations that wait for each other",
        text: "`after` makes an evaluation wait; these form a circle, and none could begin.",
    },
    CodeInfo {
        code: "E0514",
        title: "no model to drive the tools",
        text: "The client needs to know which model is its orchestrator: the one with `tools: true`; \
               among several the one called `orchestrator`, or the one that `orchestrator: NAME` names.",
    },
    CodeInfo {
        code: "E0515",
        title: "a placeholder that does not exist",
        text: "Commands and variables may hold `{port}`, `{host}`, `{name}`, `{gpus}`, `{dataset}`, \
               `{results}`, `{config}`, `{concurrency}`, `{max_rounds}` and `{toolorch}`, this program. \
               `{{` stands for a brace.",
    },
    CodeInfo {
        code: "E0516",
        title: "a placeholder without a value",
        text: "It exists, and here it stands for nothing: an evaluation has no port, and \
               `{concurrency}` needs `concurrency`.",
    },
    CodeInfo {
        code: "E0517",
        title: "too many open files",
        text: "Each question in flight holds sockets and files. The log's client died with `[Errno 24] \
               Too many open files` at question 1758. The unit script raises the limit as far as the \
               hard limit goes, and that is too low here.",
    },
    CodeInfo {
        code: "W0517",
        title: "the hard limit of open files is lower",
        text: "The client runs with the hard limit instead.",
    },
    CodeInfo {
        code: "E0518",
        title: "a client that would send no tools",
        text: "ToolOrchestra sends its tools only if the orchestrator's name is a path that exists \
               where the client runs (`os.path.exists(model)`). Otherwise no tool is ever called, and \
               each question ends with status `done` and `correct=False`.",
    },
    CodeInfo {
        code: "N0519",
        title: "not proved here",
        text: "The directory in which units run does not exist on this machine, so nothing about their \
               files, environments and datasets can be proved here. Run `check` where they run.",
    },
    CodeInfo {
        code: "N0520",
        title: "a program or environment that is not here",
        text: "Units of this machine run a program that PATH does not have, and no environment of the \
               YAML could bring it; or they name a virtual environment that does not exist; or the command of \
               `notify` is not there. `up` refuses to start here.",
    },
    CodeInfo {
        code: "E0521",
        title: "two evaluations with one results directory",
        text: "Results are files named after ids; the two would count and overwrite each other's.",
    },
    CodeInfo {
        code: "W0522",
        title: "nobody judges",
        text: "The client asks a model outside to judge answers, and no external declares it. Its key \
               would be dropped from the environment, and each judged answer end in error.",
    },
    CodeInfo {
        code: "E0523",
        title: "a client configuration that the client cannot read",
        text: "This client reads one format alone (or a `template` that writes the same).",
    },
    CodeInfo {
        code: "E0524",
        title: "the client is not where it should be",
        text: "`cwd` exists but lacks a file that the client opens at its start.",
    },
    CodeInfo {
        code: "E0525",
        title: "a marker that is no regular expression",
        text: "`marker` is searched for in each line of the client's output, to see that it moves.",
    },
    CodeInfo {
        code: "E0526",
        title: "a pattern that names no result",
        text: "`pattern` is the name of a result's file, with `{id}` where the question's id stands.",
    },
    CodeInfo {
        code: "E0527",
        title: "a layout that the client does not have",
        text: "This client writes one JSON file for each question into a directory; `results` names one \
               file for all.",
    },
    CodeInfo {
        code: "E0528",
        title: "a client that cannot be rehearsed",
        text: "A rehearsal runs the real client where it can. This one, or the environment that it needs, is not on \
               this machine, and there is no built-in stand-in for it. `rehearse: { paths, env }` says where it is here.",
    },
    CodeInfo {
        code: "E0529",
        title: "no python3 for a rehearsal",
        text: "Clients are Python programs, the built-in stand-ins too; they need python3 on PATH and no library.",
    },
    CodeInfo {
        code: "E0530",
        title: "no place for the egress proxy",
        text: "With `egress: proxy` a proxy of toolorch stands beside the client and is its only way out. That cannot be \
               kept where the client's own environment names another proxy, or where the client runs on a node over ssh, \
               which has no toolorch. `egress: watch` looks at its sockets instead.",
    },
    CodeInfo {
        code: "E0531",
        title: "a restart that would not lower the load",
        text: "`restart: { concurrency: [32, 16] }` starts a client that died or stalled with 32 questions in flight, and \
               after another time with 16. The numbers must fall, the first below the evaluation's `concurrency`, and the \
               client must be told: `{concurrency}` in its command or environment.",
    },
    CodeInfo {
        code: "E0532",
        title: "something else stands where the results are to be",
        text: "Results are files in a directory, or the lines of one regular file (`.jsonl`). A pipe, a socket or a device cannot \
               be read again and again.",
    },
    CodeInfo {
        code: "N0533",
        title: "a hung call lasts longer than the time after which an evaluation is stalled",
        text: "As W0533, where neither of the two times is written.",
    },
    CodeInfo {
        code: "W0533",
        title: "taken for stalled before a hung call ends",
        text: "ToolOrchestra's client gives a call to a server that hangs up after six times `TOOL_ORCH_CALL_TIMEOUT_S` (600 s if nothing is written), without a line of output. An evaluation that is taken for stalled earlier is stopped and started again while it only waits for that.",
    },
    CodeInfo {
        code: "E0534",
        title: "a name that differs in its last slash",
        text: "The name of a model is its key, byte for byte: in the client's configuration, in its requests, and for the server that answers to it. `/ckpt/m` and `/ckpt/m/` are two names, and requests with the other end with 404.",
    },
    CodeInfo {
        code: "W0536",
        title: "experts that are not mapped",
        text: "tau2 of ToolOrchestra reads `oss_expert_mapping` from its configuration. Without it each expert is, without a word, one of OpenAI's paid models.",
    },
    CodeInfo {
        code: "E0537",
        title: "results of another evaluation",
        text: "The folder has results that were made with another model, release, dataset, judge or setting; `.toolorch/identity.json` in it says with which. `up` does not mix the two. What may change between attempts, such as `concurrency` or the number of replicas, does not count.",
    },
    CodeInfo {
        code: "E0538",
        title: "results that are the dataset",
        text: "Each question would count as its own result, so that the evaluation seems to be complete before it began; a client that ran \
               would write into its dataset.",
    },
    CodeInfo {
        code: "W0539",
        title: "a number that the client never hears",
        text: "`concurrency` and `max_rounds` reach a client of your own through `{concurrency}` and `{max_rounds}` in its `command` or \
               in its environment. Without them it keeps its own numbers, while open files, starts after a death and predictions are \
               reckoned with those of the YAML.",
    },
    CodeInfo {
        code: "E0541",
        title: "an address at which nothing can be asked",
        text: "An external's `url` is what clients are given as base URL: `http://` or `https://`, a host, maybe a port and a path, such as \
               `https://api.openai.com/v1`.",
    },
    CodeInfo {
        code: "E0542",
        title: "a configuration that would replace something else",
        text: "`client_config.path` is written by toolorch whenever endpoints change, and what was there is moved away. So nothing else may be at that \
               place: not the questions, not the results, not another configuration.",
    },
    CodeInfo {
        code: "E0543",
        title: "two names that make one variable",
        text: "`format: openai-env` makes variables of names: `wiki-retrieval` becomes `WIKI_RETRIEVAL_BASE_URL`. Two names that differ only in `-` and \
               `_` would become the same one, and the client would never ask one of the two.",
    },
];
