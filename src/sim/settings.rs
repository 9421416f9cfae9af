//! From a parsed command line to a [`SimConfig`], refusing what vLLM refuses, in its order. Pure: what the disk and
//! the environment say comes in as values.

use serde_json::{Map, Value};

use super::argparse::{self, Parsed};
use super::config::{DEFAULT_CONTEXT, Logging, SimConfig, Timing};
use super::faults::Fault;
use super::refusal::Refusal;
use super::text;
use crate::knowledge::parsers::Registry;
use crate::knowledge::recipes;
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
}

/// What vLLM refuses between parsing its arguments and binding its port.
///
/// `is_file` tells whether a path is there.
pub(super) fn check_before_bind(
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
    let tool_parser = args.value("--tool-call-parser");
    let auto = args.on("--enable-auto-tool-choice");
    if auto && tool_parser.is_none() {
        let words = "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser";
        return Err(Refusal::exception(words));
    }
    if let Some(name) = tool_parser.filter(|_| auto && args.value("--tool-parser-plugin").is_none())
    {
        known(Registry::Tool, "tool call parser", name, release)?;
    }
    if let Some(name) = args
        .value("--reasoning-parser")
        .filter(|name| !name.is_empty())
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
    config.max_model_len = context(args, &model, config_json, around.allow_long)?;
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

/// The context length: what was asked for, held against the model's own.
fn context(
    args: &Parsed,
    model: &str,
    config: Option<&Value>,
    allow_long: bool,
) -> Result<u32, Refusal> {
    let derived = config.and_then(derived_context);
    let asked = args
        .value("--max-model-len")
        .filter(|text| *text != "auto" && *text != "-1");
    let Some(asked) = asked.and_then(argparse::human_integer) else {
        let known = recipes::recipe(model).and_then(|recipe| recipe.context);
        return Ok(
            derived.map_or(known.unwrap_or(DEFAULT_CONTEXT), |(_, length)| {
                clamp(length)
            }),
        );
    };
    if let Some((key, length)) = derived
        && f64::from(clamp_i64(asked)) > length
        && !allow_long
    {
        return Err(Refusal::exception(&format!(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value error, User-specified \
             max_model_len ({asked}) is greater than the derived max_model_len ({key}={length:?} or model_max_length=None \
             in model's config.json). To allow overriding this maximum, set the env var \
             VLLM_ALLOW_LONG_MAX_MODEL_LEN=1. VLLM_ALLOW_LONG_MAX_MODEL_LEN must be used with extreme caution. If the \
             model uses relative position encoding (RoPE), positions exceeding derived_max_model_len lead to nan. If the \
             model uses absolute position encoding, positions exceeding derived_max_model_len will cause a CUDA array \
             out-of-bounds error. [type=value_error, input_value=ArgsKwargs((), {{'model': ...rocessor_plugin': None}}), \
             input_type=ArgsKwargs]"
        )));
    }
    Ok(clamp_i64(asked))
}

/// The length that a `config.json` allows, and the key that says so; a factor of `YaRN` stretches it.
fn derived_context(config: &Value) -> Option<(&'static str, f64)> {
    let text = config
        .get("text_config")
        .filter(|nested| nested.is_object())
        .unwrap_or(config);
    let keys = [
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "seq_length",
        "max_sequence_length",
    ];
    let (key, length) = keys
        .into_iter()
        .find_map(|key| Some((key, text.get(key)?.as_f64()?)))?;
    let scaling = &text["rope_scaling"];
    let yarn = ["rope_type", "type"]
        .iter()
        .any(|name| scaling[*name] == "yarn");
    let factor = scaling["factor"].as_f64().filter(|_| yarn);
    let original = scaling["original_max_position_embeddings"].as_f64();
    Some((
        key,
        factor.map_or(length, |factor| original.unwrap_or(length) * factor),
    ))
}

fn clamp(length: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of u32 first"
    )]
    let whole = length.clamp(1.0, f64::from(u32::MAX)) as u32;
    whole
}

fn clamp_i64(length: i64) -> u32 {
    u32::try_from(length.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        }
    }

    fn serve(args: &[&str], disk: &ModelOnDisk) -> Result<SimConfig, Refusal> {
        let around = around("0.12.0");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let parsed = argparse::parse(&args, around.release)?;
        check_before_bind(&parsed, around.release, |path| path == "here.jinja")?;
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

    #[test]
    fn the_models_own_length_is_the_limit() {
        let disk = ModelOnDisk::Directory(Some(
            json!({"model_type": "qwen3", "max_position_embeddings": 2048}),
        ));
        assert_eq!(serve(&["/m"], &disk).unwrap().max_model_len, 2048);
        let refusal = serve(&["/m", "--max-model-len", "99999"], &disk).unwrap_err();
        assert!(refusal.stderr.contains(
            "User-specified max_model_len (99999) is greater than the derived max_model_len \
             (max_position_embeddings=2048.0 or model_max_length=None in model's config.json)."
        ));
        let yarn = json!({"max_position_embeddings": 40960, "rope_scaling":
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}});
        assert_eq!(
            serve(&["/m"], &ModelOnDisk::Directory(Some(yarn)))
                .unwrap()
                .max_model_len,
            131_072
        );
    }
}
