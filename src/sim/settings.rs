//! From a parsed command line to a [`SimConfig`], refusing what vLLM refuses, in its order. Pure: what the disk and
//! the environment say comes in as values.

use serde_json::{Map, Value};

use super::argparse::{self, Parsed};
use super::conduct::Conduct;
use super::config::{Logging, SimConfig, Timing};
use super::faults::Fault;
use super::model_length;
use super::refusal::Refusal;
use super::text;
use crate::knowledge::parsers::Registry;
use crate::knowledge::release::{Release, Support};

/// What the model argument is on this machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ModelOnDisk {
    /// Nothing of that name.
    Absent,
    /// A directory, with its `config.json` where it has one.
    Directory(Option<Value>),
}

/// What comes from the environment.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// The release to behave like.
    pub(super) release: Release,
    /// How long answers take.
    pub(super) timing: Timing,
    /// Tokens of an answer on average.
    pub(super) answer_tokens: Option<u64>,
    /// The standard deviation of the logarithm of their number.
    pub(super) answer_spread: f64,
    /// Goes into every choice that is made by chance.
    pub(super) seed: u64,
    /// What goes wrong once it is ready.
    pub(super) faults: Vec<Fault>,
    /// Engine and worker are processes of their own.
    pub(super) tree: bool,
    /// `VLLM_ALLOW_LONG_MAX_MODEL_LEN=1`.
    pub(super) allow_long: bool,
    /// `VLLM_API_KEY`.
    pub(super) api_key: Option<String>,
    /// How the model behaves.
    pub(super) conduct: Conduct,
}

/// What vLLM refuses right after parsing its arguments, before its first word.
///
/// `is_file` tells whether a path is there.
pub(super) fn check_at_once(
    args: &Parsed,
    release: Release,
    is_file: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    if let Some(template) = args.value("--chat-template")
        && !template.contains(['{', '}', '\n'])
        && !is_file(template)
    {
        return Err(Refusal::exception(&format!(
            "ValueError: The supplied chat template string ({template}) appears path-like, but doesn't exist!"
        )));
    }
    let needs = [
        ("--enable-auto-tool-choice", "--tool-call-parser", NEVER),
        (
            "--enable-reasoning",
            "--reasoning-parser",
            ENABLE_REASONING_ENDS,
        ),
    ];
    for (flag, other, until) in needs {
        if release < until && args.on(flag) && args.value(other).is_none_or(str::is_empty) {
            let words = format!("TypeError: Error: {flag} requires {other}");
            return Err(Refusal::exception(&words));
        }
    }
    let logs = args.on("--enable-log-outputs") && !args.on("--enable-log-requests");
    if logs && release >= Release::new(0, 11, 2) {
        let words = "TypeError: Error: --enable-log-outputs requires --enable-log-requests";
        return Err(Refusal::exception(words));
    }
    Ok(())
}

const NEVER: Release = Release::new(u16::MAX, 0, 0);
/// From here on a reasoning parser counts without a switch of its own.
const ENABLE_REASONING_ENDS: Release = Release::new(0, 9, 0);

/// What vLLM refuses between its first words and binding its port.
pub(super) fn check_before_bind(args: &Parsed, release: Release) -> Result<(), Refusal> {
    let tool_parser = args.value("--tool-call-parser");
    let auto = args.on("--enable-auto-tool-choice");
    if let Some(name) = tool_parser.filter(|_| auto && args.value("--tool-parser-plugin").is_none())
    {
        known(Registry::Tool, "tool call parser", name, release)?;
    }
    if let Some(name) = args
        .value("--reasoning-parser")
        .filter(|name| !name.is_empty())
        && (release >= ENABLE_REASONING_ENDS || args.on("--enable-reasoning"))
        && args.value("--reasoning-parser-plugin").is_none()
    {
        known(Registry::Reasoning, "reasoning parser", name, release)?;
    }
    Ok(())
}

fn known(registry: Registry, what: &str, name: &str, release: Release) -> Result<(), Refusal> {
    if registry.supported(name, release) != Support::No {
        return Ok(());
    }
    let names: Vec<&str> = registry.names_at(release).collect();
    let message = format!(
        "invalid {what}: {name} (chose from {{ {} }})",
        names.join(",")
    );
    Err(Refusal::exception(&format!(
        "KeyError: {}",
        text::python_repr(&message)
    )))
}

/// The server that these arguments ask for.
pub(super) fn configure(
    args: &Parsed,
    disk: &ModelOnDisk,
    around: &Surroundings,
) -> Result<SimConfig, Refusal> {
    let model = args
        .model
        .clone()
        .unwrap_or_else(|| "Qwen/Qwen3-0.6B".to_owned());
    let config_json = match disk {
        ModelOnDisk::Directory(config) => config.as_ref(),
        ModelOnDisk::Absent => {
            repo_id(&model)?;
            None
        }
    };
    let host = args.value("--host").unwrap_or_default();
    let port = args
        .value("--port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(8000);
    let mut config = SimConfig::new(&model, host, port);
    config.release = around.release;
    config.timing = around.timing;
    config.answer_tokens = around.answer_tokens;
    config.answer_spread = around.answer_spread;
    config.seed = around.seed;
    config.faults.clone_from(&around.faults);
    config.log = Logging {
        lines: true,
        access: !args.on("--disable-uvicorn-access-log"),
        statistics: !args.on("--disable-log-stats"),
    };
    config.conduct = around.conduct.clone();
    config.max_model_len =
        model_length::context(args, &model, config_json, around.release, around.allow_long)?;
    if let Some(served) = args.values.get("--served-model-name") {
        config.served.clone_from(served);
    }
    config.auto_tool_choice = args.on("--enable-auto-tool-choice");
    config.tool_parser = args.value("--tool-call-parser").map(str::to_owned);
    config.reasoning_parser = args
        .value("--reasoning-parser")
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    config.model_type = config_json
        .and_then(|json| json["model_type"].as_str())
        .map(str::to_owned);
    config.template_kwargs = object(args.value("--default-chat-template-kwargs"));
    config.api_keys = args.values.get("--api-key").cloned().unwrap_or_default();
    config.api_keys.extend(around.api_key.clone());
    if let Some(seqs) = args
        .value("--max-num-seqs")
        .and_then(argparse::human_integer)
    {
        config.max_num_seqs = usize::try_from(seqs).unwrap_or(1).max(1);
    }
    Ok(config)
}

fn object(json: Option<&str>) -> Map<String, Value> {
    match json.map(serde_json::from_str) {
        Some(Ok(Value::Object(map))) => map,
        _ => Map::new(),
    }
}

/// What `huggingface_hub` says to a name that can't be a repository: a path that is not there.
fn repo_id(model: &str) -> Result<(), Refusal> {
    let legal = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
    };
    let parts: Vec<&str> = model.split('/').collect();
    let repr = text::python_repr(model);
    if parts.len() > 2 || model.starts_with('/') || model.ends_with('/') {
        return Err(Refusal::exception(&format!(
            "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': \
             {repr}. Use `repo_type` argument if needed."
        )));
    }
    if parts.iter().all(|part| legal(part)) {
        return Ok(());
    }
    Err(Refusal::exception(&format!(
        "huggingface_hub.errors.HFValidationError: Repo id must use alphanumeric chars, '-', '_' or '.'. The name cannot \
         start or end with '-' or '.' and the maximum length is 96: {repr}."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(release: &str) -> Surroundings {
        let release = release.parse().unwrap();
        Surroundings {
            release,
            timing: Timing::Fixed(std::time::Duration::ZERO),
            answer_tokens: None,
            answer_spread: 0.6,
            seed: 0,
            faults: Vec::new(),
            tree: false,
            allow_long: false,
            api_key: None,
            conduct: Conduct::default(),
        }
    }

    fn serve(args: &[&str], disk: &ModelOnDisk) -> Result<SimConfig, Refusal> {
        let around = around("0.12.0");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let parsed = argparse::parse(&args, around.release)?;
        check_at_once(&parsed, around.release, |path| path == "here.jinja")?;
        check_before_bind(&parsed, around.release)?;
        configure(&parsed, disk, &around)
    }

    fn last_line(refusal: &Refusal) -> &str {
        refusal.stderr.lines().last().unwrap()
    }

    #[test]
    fn flags_become_settings() {
        let args = [
            "a/b",
            "--port",
            "1800",
            "--max-model-len",
            "32k",
            "--served-model-name",
            "x",
            "y",
            "--api-key",
            "k",
        ];
        let config = serve(&args, &ModelOnDisk::Absent).unwrap();
        assert_eq!((config.port, config.max_model_len), (1800, 32_000));
        assert_eq!(config.served, ["x", "y"]);
        assert_eq!(config.api_keys, ["k"]);
    }

    #[test]
    fn parsers_are_checked_only_where_vllm_checks_them() {
        let auto = [
            "m",
            "--enable-auto-tool-choice",
            "--tool-call-parser",
            "hermez",
        ];
        let refusal = serve(&auto, &ModelOnDisk::Absent).unwrap_err();
        assert_eq!(refusal.code, 1);
        assert!(
            last_line(&refusal).starts_with(
                "KeyError: 'invalid tool call parser: hermez (chose from { deepseek_v3,"
            )
        );
        assert!(serve(&["m", "--tool-call-parser", "hermez"], &ModelOnDisk::Absent).is_ok());
        let alone = serve(&["m", "--enable-auto-tool-choice"], &ModelOnDisk::Absent).unwrap_err();
        assert_eq!(
            last_line(&alone),
            "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser"
        );
        assert!(
            serve(
                &["m", "--chat-template", "here.jinja"],
                &ModelOnDisk::Absent
            )
            .is_ok()
        );
        let template = serve(
            &["m", "--chat-template", "gone.jinja"],
            &ModelOnDisk::Absent,
        )
        .unwrap_err();
        assert_eq!(
            last_line(&template),
            "ValueError: The supplied chat template string (gone.jinja) appears path-like, but doesn't exist!"
        );
        let reasoning =
            serve(&["m", "--reasoning-parser", "qwen4"], &ModelOnDisk::Absent).unwrap_err();
        assert!(
            last_line(&reasoning)
                .starts_with("KeyError: 'invalid reasoning parser: qwen4 (chose from { ")
        );
    }

    #[test]
    fn a_missing_path_is_taken_for_a_repository() {
        let refusal = serve(&["/models/nope"], &ModelOnDisk::Absent).unwrap_err();
        assert_eq!(
            last_line(&refusal),
            "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or \
             'namespace/repo_name': '/models/nope'. Use `repo_type` argument if needed."
        );
        assert!(serve(&["Qwen/Qwen3-8B"], &ModelOnDisk::Absent).is_ok());
        assert!(serve(&["/models/here"], &ModelOnDisk::Directory(None)).is_ok());
    }
}
