//! Evaluations: a client, a dataset, and where the results go.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use super::oneof::{Duration, text_or_map};
use super::{Env, LauncherKind};
use crate::base::{ConfigName, EvalName, Name, NodeName};

/// An evaluation: a client command with a dataset and results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// A known client, which fills in command, markers, id fields and result layout:
    /// `toolorchestra-hle`, `toolorchestra-frames`, `lm-eval`, `inspect-ai` or `generic`. Default: `generic`.
    pub adapter: Option<String>,
    /// Where the client runs: `controller` (default) or a node.
    pub node: Option<NodeName>,
    /// The directory it runs in. Default: the YAML's folder.
    pub cwd: Option<String>,
    /// Environment of the client.
    pub env: Option<Env>,
    /// The program and its arguments; `{dataset}`, `{results}`, `{config}`, `{concurrency}`,
    /// `{max_rounds}`, `{name}`, `{toolorch}` (this program) are filled in.
    #[schemars(length(min = 1), extend("x-source-text" = true))]
    pub command: Option<Vec<String>>,
    /// The questions, one JSON object a line, from `cwd`.
    /// Not needed with `finished: {count: N}` or `{file: F}`.
    pub dataset: Option<String>,
    /// Keys of a question that may hold its id, the first present wins. Default: `[id]`.
    pub id_fields: Option<Vec<String>>,
    /// Where the client writes: a directory with one JSON per id, or one `.jsonl` file; from `cwd`.
    pub results: Results,
    /// When the evaluation is finished. Default: `ids`.
    pub finished: Option<Finished>,
    /// Only these ids.
    #[schemars(extend("x-source-text" = true))]
    pub tasks: Option<Vec<String>>,
    /// The model that drives the tools; `--model_name` of ToolOrchestra. Default: the one with `tools: true`.
    pub orchestrator: Option<Name>,
    /// The client configuration it reads. Default: `client_config`.
    pub config: Option<ConfigName>,
    /// Questions in flight. Default: the client's own.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Rounds per question. Default: the client's own.
    #[schemars(range(min = 1))]
    pub max_rounds: Option<u32>,
    /// Models, services and externals without which it cannot run. Default: the adapter's, else all.
    pub requires: Option<Vec<Name>>,
    /// Limits of the client.
    pub limits: Option<Limits>,
    /// Tokens that the client sends to each model: checked against the servers' context length.
    #[serde(default)]
    pub context: IndexMap<Name, Context>,
    /// Text whose appearance in the client's output marks a finished question, a regular expression.
    pub marker: Option<String>,
    /// Which results in error are asked again, once in a run, when nothing else is left to ask. One that is asked again
    /// waits in `RESULTS/.toolorch/set-aside` and comes back if nothing newer comes. Not with `finished: {file: F}`.
    /// Default: `infra`.
    pub retry_errors: Option<RetryErrors>,
    /// What is done when an endpoint must move. Default: `restart`.
    pub on_move: Option<OnMove>,
    /// Evaluations that come first, and how far they must be.
    #[serde(default)]
    pub after: IndexMap<EvalName, AfterState>,
    /// How calls to places that are neither a server nor one of `externals` are noticed; both end with exit code 7, and
    /// neither stops the evaluation. Default: `watch`.
    pub egress: Option<Egress>,
    /// How often the client is started again, and with how many questions in flight.
    pub restart: Option<ClientRestart>,
    /// How it is started. Default on the controller: `process`.
    pub launcher: Option<LauncherKind>,
}

/// How a client is started again after a death that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientRestart {
    /// Restarts within `window`; at the next death it is given up. 0 never starts it again. Default: 3.
    pub attempts: Option<u32>,
    /// The pause before the first restart; three times longer before each further one. Default: 5s.
    pub backoff: Option<Duration>,
    /// The time in which starts are counted. Default: 10m.
    pub window: Option<Duration>,
    /// Questions in flight after the first death or stall, after the second, and so on: `[32, 16]`. Each is lower than the
    /// one before, the last holds for what follows, and `{concurrency}` must be in the command. Default: always the same.
    #[serde(default)]
    pub concurrency: Vec<u32>,
}

/// Limits of an evaluation's client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The limit of open files to ask for; a higher one that is there already is left. Default: 65536.
    #[schemars(range(min = 1))]
    pub open_files: Option<u64>,
    /// Without a finished id, a line of output or a token for this long, it has stalled. Default: 30m.
    pub stall: Option<Duration>,
    /// After each start the client must show a marker or finish a question within this time. Default: 10m.
    pub first_result: Option<Duration>,
}

/// Tokens that the client sends to a model and asks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The longest prompt, in tokens.
    #[schemars(range(min = 1))]
    pub prompt: u64,
    /// The most tokens asked back: `max_tokens`.
    #[schemars(range(min = 1))]
    pub output: u64,
}

/// How far an earlier evaluation must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterState {
    /// Every id has a result.
    Complete,
    /// It is over, complete or not.
    Ended,
}

/// Which results in error are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetryErrors {
    /// Those that servers or network caused.
    #[default]
    Infra,
    /// All.
    All,
    /// None.
    None,
}

/// What is done when an endpoint must change host or port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMove {
    /// Stop the client gracefully, write the new configuration, go on with what is missing.
    #[default]
    Restart,
    /// A TCP forwarder, itself a unit, keeps the address.
    Front,
    /// Nothing.
    Ignore,
}

/// How calls to places that are not declared are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// The sockets of the client, and of all that it starts, are looked at twice a second.
    Watch,
    /// It is let out only through a proxy of ours, which refuses all other places (403); its servers it reaches
    /// directly, and its sockets are looked at, too.
    Proxy,
}

/// When an evaluation is finished.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finished {
    /// Every id of the dataset has a valid result.
    #[default]
    Ids,
    /// There are this many valid results.
    Count(u64),
    /// This file exists and is not empty.
    File(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FinishedMap {
    count: Option<u64>,
    file: Option<String>,
}

impl<'de> Deserialize<'de> for Finished {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read(Finished);
        impl<'de> Deserialize<'de> for Read {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let map = FinishedMap::deserialize(deserializer)?;
                match (map.count, map.file) {
                    (Some(count), None) => Ok(Self(Finished::Count(count))),
                    (None, Some(file)) => Ok(Self(Finished::File(file))),
                    _ => Err(serde::de::Error::custom(
                        "just one of `count` and `file` must be given",
                    )),
                }
            }
        }
        text_or_map(deserializer, "`ids`, {count: N} or {file: F}", |text| {
            (text == "ids").then_some(Read(Self::Ids))
        })
        .map(|read: Read| read.0)
    }
}

impl JsonSchema for Finished {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Finished".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`ids`: every id has a valid result; {count: N}; {file: F}.",
            "anyOf": [
                { "type": "string", "enum": ["ids"] },
                {
                    "type": "object",
                    "properties": {
                        "count": { "type": "integer", "minimum": 1, "description": "There are this many valid results." },
                        "file": { "type": "string", "description": "This file exists and is not empty." }
                    },
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1
                }
            ]
        })
    }
}

/// Where the client writes its results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Results {
    /// A directory with one file per id.
    Dir(ResultsDir),
    /// One file with a JSON object per line.
    Jsonl(String),
}

/// A directory with one result file per id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultsDir {
    /// The directory.
    pub dir: String,
    /// The file of an id; `{id}` is filled in. Default: `{id}.json`.
    pub pattern: Option<String>,
    /// Keys that a complete result has. Default: the adapter's, else none.
    pub valid: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read(Results);
        impl<'de> Deserialize<'de> for Read {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                ResultsDir::deserialize(deserializer).map(|dir| Self(Results::Dir(dir)))
            }
        }
        text_or_map(
            deserializer,
            "a directory, a .jsonl file, or {dir, pattern, valid}",
            |text| {
                Some(Read(if is_jsonl(text) {
                    Self::Jsonl(text.to_owned())
                } else {
                    Self::Dir(ResultsDir {
                        dir: text.to_owned(),
                        pattern: None,
                        valid: None,
                    })
                }))
            },
        )
        .map(|read: Read| read.0)
    }
}

/// Whether a path is written as one file with an object per line.
fn is_jsonl(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, end)| end == "jsonl")
}

impl JsonSchema for Results {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Results".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let dir = generator.subschema_for::<ResultsDir>();
        json_schema!({
            "description": "A directory with one JSON per id, one .jsonl file, or {dir, pattern, valid}.",
            "anyOf": [{ "type": "string" }, dir]
        })
    }
}
