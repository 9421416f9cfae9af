//! Evaluation clients that are known by name: their arguments, markers, result layout and needs.
//!
//! Source: the ToolOrchestra fork that the evaluation log names (`evaluation/eval_hle_oss.py`,
//! `evaluation/eval_frames_oss.py`, `LLM_CALL.py`), read and run against servers on loopback.

use crate::spec::model::ClientConfigFormat;

/// A known evaluation client.
#[derive(Debug)]
pub struct Adapter {
    /// Its name in the YAML: `toolorchestra-hle`.
    pub name: &'static str,
    /// Its command. Beside the placeholders of the YAML, `{orchestrator}` is the key of the model that
    /// drives the tools, and `{toolorch}` this program.
    pub command: &'static [&'static str],
    /// Arguments that are given only where their placeholder has a value.
    pub optional: &'static [(&'static str, &'static [&'static str])],
    /// The option that is given for each of the evaluation's own `id_fields`, and for each of its `tasks`.
    pub each: Option<(&'static str, &'static str)>,
    /// Its results are one file for each question.
    pub files_alone: bool,
    /// Keys of a question that may hold its id, the first present wins.
    pub id_fields: &'static [&'static str],
    /// Keys that each question must have.
    pub question_keys: &'static [&'static str],
    /// A regular expression for the line that marks a finished question.
    pub marker: Option<&'static str>,
    /// The result file of an id, with `{id}`.
    pub pattern: &'static str,
    /// Keys that a complete result has.
    pub valid: &'static [&'static str],
    /// Keys of models that the client asks for by name, hard-coded in it.
    pub models: &'static [&'static str],
    /// Services that it needs, each as a list of names of which one is enough, the preferred first.
    pub services: &'static [&'static [&'static str]],
    /// The model that judges, asked for outside.
    pub judge: Option<&'static str>,
    /// Its calls carry tools only if the orchestrator's key is a path that exists where it runs.
    pub tools_gate: bool,
    /// It can only read a client configuration of this format.
    pub config_format: Option<ClientConfigFormat>,
    /// A file without which it does not start, from its `cwd`.
    pub reads: &'static [&'static str],
    /// Open files that each question in flight may take.
    pub files_per_question: u64,
    /// What `toolorch` runs in its place where the client itself is not at hand, before the same options.
    pub stand_in: Option<&'static [&'static str]>,
    /// How many questions its dataset has.
    pub questions: Option<u64>,
    /// What its log tells of its calls.
    pub calls: Option<&'static CallLines>,
    /// It writes each of its calls to the file that `TOOL_ORCH_LLM_LOG_PATH` names.
    pub logs_calls: bool,
    /// How long one of its calls may hang.
    pub hung_calls: Option<HungCalls>,
}

/// How long a call of a client may hang before it is given up.
#[derive(Debug, Clone, Copy)]
pub struct HungCalls {
    /// The variable that sets the time of one attempt, in seconds.
    pub variable: &'static str,
    /// Its default.
    pub usual: u64,
    /// How many attempts follow each other without a line of output.
    pub times: u64,
}

/// `TOOL_ORCH_CALL_TIMEOUT_S` in `LLM_CALL.py`; the SDK tries twice more, and the client itself again: 38 s were measured for 3 s.
const SIX_TIMEOUTS: Option<HungCalls> = Some(HungCalls {
    variable: "TOOL_ORCH_CALL_TIMEOUT_S",
    usual: 600,
    times: 6,
});

/// What a client's log tells of its calls: plain texts, each of which may stand anywhere in a line.
#[derive(Debug)]
pub struct CallLines {
    /// A server is asked; its URL follows.
    pub asks: &'static str,
    /// It answered.
    pub answered: &'static [&'static str],
    /// An attempt failed, nobody says which.
    pub failed: &'static str,
    /// The name of a call follows, where one is asked or answered.
    pub id: &'static str,
    /// The model that is asked follows.
    pub model: &'static str,
    /// How long it took follows, where one is answered: `12.30s`.
    pub took: &'static str,
    /// A search goes on without results, since retrieval did not answer.
    pub retrieval_failed: &'static str,
    /// A model of an external is asked; its name follows.
    pub external: &'static str,
    /// A paid service is asked that no cluster serves: the text, and whose it is.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// A result's note in `all_tool_calls` on a round in which the orchestrator called no tool: what a tool parser that does
/// not fit, or an orchestrator that is offered no tools, leaves in every round.
pub const NO_TOOL_CALL: &str = "342 ";
/// A note on a call that could not be used.
pub const INVALID_CALL: &str = " invalid ";
/// The `error_type` of an answer without text: the client calls `.split` on it.
pub const NULL_CONTENT: &str = "AttributeError";

/// Lines of `LLM_CALL.py` and of the scripts around it; forks under other names write them, too.
const TOOL_ORCHESTRA: &CallLines = &CallLines {
    asks: "Calling vLLM at ",
    answered: &["vLLM stream complete", "vLLM request successful"],
    failed: "Error calling vLLM",
    id: "req_id=",
    model: "(model=",
    took: "(took ",
    retrieval_failed: "WARNING: retrieval failed",
    external: "Calling OpenAI model=",
    elsewhere: &[
        ("Calling Nebius", "Nebius"),
        ("Error calling Nebius", "Nebius"),
        ("Nebius API request successful", "Nebius"),
        ("Calling Together", "Together"),
        ("Error calling Together", "Together"),
    ],
};

/// All adapters.
pub fn all() -> &'static [Adapter] {
    ADAPTERS
}

/// The adapter called `name`.
pub fn adapter(name: &str) -> Option<&'static Adapter> {
    ADAPTERS.iter().find(|adapter| adapter.name == name)
}

/// The adapter that fills in nothing.
pub const GENERIC: &str = "generic";

const EXPERTS: &[&str] = &[
    "Qwen/Qwen2.5-Coder-14B-Instruct",
    "openai/gpt-oss-20b",
    "Qwen/Qwen3-32B-FP8",
];

const SETTINGS: &[(&str, &[&str])] = &[
    ("concurrency", &["--concurrency", "{concurrency}"]),
    ("max_rounds", &["--max_rounds", "{max_rounds}"]),
];

const ADAPTERS: &[Adapter] = &[
    Adapter {
        name: GENERIC,
        command: &[],
        optional: &[],
        each: None,
        files_alone: false,
        id_fields: &["id"],
        question_keys: &[],
        marker: None,
        pattern: "{id}.json",
        valid: &[],
        models: &[],
        services: &[],
        judge: None,
        tools_gate: false,
        config_format: None,
        reads: &[],
        files_per_question: 8,
        stand_in: None,
        questions: None,
        // A fork of a known client, more often than not.
        calls: Some(TOOL_ORCHESTRA),
        logs_calls: false,
        hung_calls: None,
    },
    Adapter {
        name: "toolorchestra-hle",
        command: &[
            "python",
            "eval_hle_oss.py",
            "--model_name",
            "{orchestrator}",
            "--output_dir",
            "{results}",
            "--model_config",
            "{config}",
            "--example_path",
            "{dataset}",
        ],
        optional: SETTINGS,
        each: None,
        files_alone: true,
        // The log's missing-ids script reads `_id` too, but the client itself indexes `id`.
        id_fields: &["id"],
        question_keys: &["id", "question", "answer"],
        marker: Some(r"\[HLE_TASK_COMPLETE\] id=(?P<id>\S+) status=(?P<status>\w+)"),
        pattern: "{id}.json",
        valid: &[
            "id",
            "all_tool_calls",
            "all_tool_responses",
            "correct",
            "status",
        ],
        models: EXPERTS,
        services: &[&["retrieval"]],
        judge: Some("gpt-5"),
        tools_gate: true,
        config_format: Some(ClientConfigFormat::Toolorchestra),
        reads: &["eval_hle_oss.py", "tools.json"],
        files_per_question: 32,
        stand_in: Some(&["client", "toolorchestra", "hle"]),
        questions: Some(1900),
        calls: Some(TOOL_ORCHESTRA),
        logs_calls: true,
        hung_calls: SIX_TIMEOUTS,
    },
    Adapter {
        name: "toolorchestra-frames",
        command: &[
            "python",
            "eval_frames_oss.py",
            "--model_name",
            "{orchestrator}",
            "--output_dir",
            "{results}",
            "--model_config",
            "{config}",
            "--example_file_path",
            "{dataset}",
        ],
        optional: SETTINGS,
        each: None,
        files_alone: true,
        id_fields: &["id"],
        question_keys: &["id", "question", "answer"],
        marker: Some(r"\[FRAMES_TASK_COMPLETE\] id=(?P<id>\S+) status=(?P<status>\w+)"),
        pattern: "{id}.json",
        valid: &[
            "id",
            "all_tool_calls",
            "all_tool_responses",
            "correct",
            "status",
        ],
        models: EXPERTS,
        services: &[&["wiki_retrieval", "retrieval"]],
        judge: Some("gpt-5"),
        tools_gate: true,
        config_format: Some(ClientConfigFormat::Toolorchestra),
        reads: &["eval_frames_oss.py", "tools.json"],
        files_per_question: 32,
        stand_in: Some(&["client", "toolorchestra", "frames"]),
        questions: Some(824),
        calls: Some(TOOL_ORCHESTRA),
        logs_calls: true,
        hung_calls: SIX_TIMEOUTS,
    },
    runner(&[
        "{toolorch}",
        "client",
        "lm-eval",
        "--config",
        "{config}",
        "--results",
        "{results}",
        "--task",
        "{name}",
    ]),
    runner(&[
        "{toolorch}",
        "client",
        "inspect-ai",
        "--config",
        "{config}",
        "--results",
        "{results}",
        "--task",
        "{name}",
    ]),
];

/// A client that `toolorch client NAME` runs: see [`super::clients`].
const fn runner(command: &'static [&'static str]) -> Adapter {
    Adapter {
        name: command[2],
        command,
        optional: &[
            ("dataset", &["--dataset", "{dataset}"]),
            ("concurrency", &["--concurrency", "{concurrency}"]),
            ("orchestrator", &["--model", "{orchestrator}"]),
        ],
        each: Some(("--id-field", "--id")),
        files_alone: true,
        id_fields: &["id"],
        question_keys: &[],
        marker: Some(r"\[QUESTION_COMPLETE\] id=(?P<id>\S+) status=(?P<status>\w+)"),
        pattern: "{id}.json",
        valid: &["id", "status"],
        models: &[],
        services: &[],
        judge: None,
        tools_gate: false,
        config_format: Some(ClientConfigFormat::OpenaiEnv),
        reads: &[],
        files_per_question: 4,
        stand_in: None,
        questions: None,
        calls: None,
        logs_calls: false,
        hung_calls: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_clients_name_their_dataset_differently() {
        let words = |name| adapter(name).unwrap().command;
        assert!(words("toolorchestra-hle").contains(&"--example_path"));
        assert!(words("toolorchestra-frames").contains(&"--example_file_path"));
        assert!(adapter("toolorchestra").is_none());
    }

    #[test]
    fn markers_are_regular_expressions_that_find_id_and_status() {
        let marker = adapter("toolorchestra-hle").unwrap().marker.unwrap();
        let line = "x [HLE_TASK_COMPLETE] id=6687ff status=error error_type=X";
        let found = regex_lite::Regex::new(marker)
            .unwrap()
            .captures(line)
            .unwrap();
        assert_eq!((&found["id"], &found["status"]), ("6687ff", "error"));
    }
}
