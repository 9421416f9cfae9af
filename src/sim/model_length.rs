//! How long a context may be: what was asked for, held against the model's own, in vLLM's words by release. Pure.
//!
//! Source: `_get_and_verify_max_len` in the wheels 0.8.5 to 0.32.0.

use serde_json::Value;

use super::argparse::{self, Parsed};
use super::config::DEFAULT_CONTEXT;
use super::refusal::Refusal;
use crate::knowledge::recipes;
use crate::knowledge::release::Release;

/// The context length that these arguments ask for, or the model's own.
pub(super) fn context(
    args: &Parsed,
    model: &str,
    config: Option<&Value>,
    release: Release,
    allow_long: bool,
) -> Result<u32, Refusal> {
    let derived = config.and_then(derived);
    let asked = args
        .value("--max-model-len")
        .filter(|text| *text != "auto" && *text != "-1");
    let Some(asked) = asked.and_then(argparse::human_integer) else {
        let known = recipes::recipe(model).and_then(|recipe| recipe.context);
        return Ok(derived.map_or(known.unwrap_or(DEFAULT_CONTEXT), |derived| {
            clamp(derived.length)
        }));
    };
    match derived {
        Some(derived) if f64::from(clamp_i64(asked)) > derived.length && !allow_long => {
            Err(too_long(asked, &derived, release))
        }
        _ => Ok(clamp_i64(asked)),
    }
}

/// The length that a `config.json` allows.
struct Derived {
    /// The key that says so.
    key: &'static str,
    length: f64,
    /// Whether a factor stretched it.
    stretched: bool,
}

fn derived(config: &Value) -> Option<Derived> {
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
    let kind = scaling.get("rope_type").or(scaling.get("type"));
    let kind = kind.and_then(Value::as_str).unwrap_or("default");
    let own = ["su", "longrope", "llama3"].contains(&kind);
    let Some(factor) = scaling["factor"].as_f64().filter(|_| !own) else {
        return Some(Derived {
            key,
            length,
            stretched: false,
        });
    };
    let original = scaling["original_max_position_embeddings"].as_f64();
    let base = original.filter(|_| kind == "yarn").unwrap_or(length);
    Some(Derived {
        key,
        length: base * factor,
        stretched: true,
    })
}

fn too_long(asked: i64, derived: &Derived, release: Release) -> Refusal {
    let Derived {
        key,
        length,
        stretched,
    } = derived;
    // Since 0.12 every model has a factor, which makes it a fraction.
    let length = if *stretched || release >= Release::new(0, 12, 0) {
        format!("{length:?}")
    } else {
        length.to_string()
    };
    let what = format!(
        "User-specified max_model_len ({asked}) is greater than the derived max_model_len ({key}={length} or \
         model_max_length=None in model's config.json)."
    );
    let how = "To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1";
    let text = if release < Release::new(0, 10, 2) {
        format!("{what} This may lead to incorrect model outputs or CUDA errors. {how}")
    } else {
        format!(
            "{what} {how}. VLLM_ALLOW_LONG_MAX_MODEL_LEN must be used with extreme caution. If the model uses relative \
             position encoding (RoPE), positions exceeding derived_max_model_len lead to nan. If the model uses absolute \
             position encoding, positions exceeding derived_max_model_len will cause a CUDA array out-of-bounds error."
        )
    };
    if release < Release::new(0, 9, 0) {
        return Refusal::exception(&format!("ValueError: {text}"));
    }
    Refusal::exception(&format!(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value error, {text} \
         [type=value_error, input_value=ArgsKwargs((), {{'model': ...rocessor_plugin': None}}), \
         input_type=ArgsKwargs]\n    For further information visit https://errors.pydantic.dev/2.14/v/value_error"
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

    fn length(args: &[&str], config: &Value, release: &str) -> Result<u32, Refusal> {
        let release: Release = release.parse().unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let parsed = argparse::parse(&args, release).unwrap();
        context(&parsed, "m", Some(config), release, false)
    }

    #[test]
    fn a_models_own_length_follows_from_its_config() {
        let plain = |config: &Value| length(&["m"], config, "0.12.0").unwrap();
        assert_eq!(plain(&json!({"max_position_embeddings": 2048})), 2048);
        let scaled = |scaling: Value| {
            plain(&json!({"max_position_embeddings": 40960, "rope_scaling": scaling}))
        };
        let yarn =
            json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768});
        assert_eq!(scaled(yarn), 131_072);
        assert_eq!(scaled(json!({"type": "linear", "factor": 2.0})), 81_920);
        assert_eq!(
            scaled(json!({"rope_type": "llama3", "factor": 8.0})),
            40_960
        );
    }

    #[test]
    fn a_longer_one_is_refused_in_the_words_of_the_release() {
        let config = json!({"max_position_embeddings": 2048});
        let said = |release: &str| {
            let refusal = length(&["m", "--max-model-len", "99999"], &config, release).unwrap_err();
            format!("{release} exit {}\n{}\n", refusal.code, refusal.stderr)
        };
        let all = ["0.8.5", "0.9.2", "0.11.2", "0.32.0"].map(said);
        insta::assert_snapshot!(all.concat(), @r"
        0.8.5 exit 1
        Traceback (most recent call last):
          ...
        ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=2048 or model_max_length=None in model's config.json). This may lead to incorrect model outputs or CUDA errors. To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1
        0.9.2 exit 1
        Traceback (most recent call last):
          ...
        pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
          Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=2048 or model_max_length=None in model's config.json). This may lead to incorrect model outputs or CUDA errors. To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 [type=value_error, input_value=ArgsKwargs((), {'model': ...rocessor_plugin': None}), input_type=ArgsKwargs]
            For further information visit https://errors.pydantic.dev/2.14/v/value_error
        0.11.2 exit 1
        Traceback (most recent call last):
          ...
        pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
          Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=2048 or model_max_length=None in model's config.json). To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1. VLLM_ALLOW_LONG_MAX_MODEL_LEN must be used with extreme caution. If the model uses relative position encoding (RoPE), positions exceeding derived_max_model_len lead to nan. If the model uses absolute position encoding, positions exceeding derived_max_model_len will cause a CUDA array out-of-bounds error. [type=value_error, input_value=ArgsKwargs((), {'model': ...rocessor_plugin': None}), input_type=ArgsKwargs]
            For further information visit https://errors.pydantic.dev/2.14/v/value_error
        0.32.0 exit 1
        Traceback (most recent call last):
          ...
        pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
          Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=2048.0 or model_max_length=None in model's config.json). To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1. VLLM_ALLOW_LONG_MAX_MODEL_LEN must be used with extreme caution. If the model uses relative position encoding (RoPE), positions exceeding derived_max_model_len lead to nan. If the model uses absolute position encoding, positions exceeding derived_max_model_len will cause a CUDA array out-of-bounds error. [type=value_error, input_value=ArgsKwargs((), {'model': ...rocessor_plugin': None}), input_type=ArgsKwargs]
            For further information visit https://errors.pydantic.dev/2.14/v/value_error
        ");
    }
}
