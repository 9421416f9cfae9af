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
    /// It writes each of its calls to the file that `TOOL_ORCH_LLM_LOG_PATH` names.
    pub logs_calls: bool,
}

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
        logs_calls: false,
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
        logs_calls: true,
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
        logs_calls: true,
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
        logs_calls: false,
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
