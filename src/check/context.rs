//! What evaluations send, against what servers can hold.
//!
//! The log's second failure: 80034 tokens sent to a server of 32768, hours into the run.

use serde_json::Value;

use crate::base::{FieldPath, Name, float, floor};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::flags::canonical;
use crate::knowledge::recipes;
use crate::spec::model::{Context, ModelSpec};

use super::Ctx;
use super::shape::language;

/// Where a server's context length is known from.
enum Length<'a> {
    /// `max_model_len`.
    Written(u64),
    /// The model's `config.json`, in this folder.
    Config(u64, &'a str),
    /// vLLM's own recipe for the model.
    Recipe(u64),
}

impl Length<'_> {
    fn tokens(&self) -> u64 {
        match self {
            Self::Written(tokens) | Self::Config(tokens, _) | Self::Recipe(tokens) => *tokens,
        }
    }
}

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, model) in &ctx.spec.models {
        too_long(ctx, name, model, report);
    }
    let mut unknown: Vec<FieldPath> = Vec::new();
    for (eval, of_eval) in &ctx.spec.evals {
        for (name, context) in &of_eval.context {
            let Some(model) = ctx.spec.models.get(name) else {
                continue;
            };
            let path = FieldPath::root().key("evals").key(eval.as_str());
            let path = path.key("context").key(name.as_str());
            match length(ctx, name, model) {
                Some(length) => report.extend(fits(name, *context, &length, path)),
                None => unknown.push(path),
            }
        }
    }
    if !unknown.is_empty() {
        let finding = Diagnostic::note(
            Code("N0421"),
            "the context length of a server is not known before it runs",
        )
        .help("`max_model_len` would settle it now; otherwise the server is asked before the evaluation starts, and refused if it is too short");
        report.push(unknown.into_iter().fold(finding, |finding, path| {
            finding.at(Place::Value(path), "asked of the running server")
        }));
    }
}

/// The length of its servers, and whether it is certain: a recipe may say more than the model has.
pub(super) fn tokens(ctx: &Ctx<'_>, name: &Name, model: &ModelSpec) -> Option<(u64, bool)> {
    let length = length(ctx, name, model)?;
    let certain = !matches!(length, Length::Recipe(_));
    Some((length.tokens(), certain))
}

fn length<'a>(ctx: &Ctx<'a>, name: &Name, model: &ModelSpec) -> Option<Length<'a>> {
    match model.max_model_len {
        Some(tokens) => Some(Length::Written(tokens)),
        // What the flags make of it nobody reckons here.
        None if insists(ctx, model) => None,
        None => own_length(ctx, name, model),
    }
}

/// The length that the model has by itself.
fn own_length<'a>(ctx: &Ctx<'a>, name: &Name, model: &ModelSpec) -> Option<Length<'a>> {
    let files = ctx.facts.models.get(name).and_then(|files| files.get());
    let written = files.and_then(|files| Some((positions(&files.config)?, files.folder.as_str())));
    if let Some((tokens, folder)) = written {
        return Some(Length::Config(tokens, folder.trim_end_matches('/')));
    }
    let recipe = recipes::recipe(&model.model)?;
    Some(Length::Recipe(u64::from(recipe.context?)))
}

/// Kinds of models whose length vLLM takes from elsewhere: 128000 of Step 3.7, whose file says 65536 (asked of 0.32).
const ELSEWHERE: [&str; 2] = ["step3p5", "step3p7"];

/// The context length that vLLM derives from a `config.json` (`_get_and_verify_max_len`, read in 0.12 and 0.32, and asked of 0.32
/// for 84 published models); none where that takes more than its numbers.
fn positions(config: &Value) -> Option<u64> {
    let kind = config.get("model_type").and_then(Value::as_str);
    if kind.is_some_and(|kind| ELSEWHERE.contains(&kind)) {
        return None;
    }
    let config = language(config);
    let written = config.get("max_position_embeddings")?.as_u64()?;
    // A longer one that the model's owner allows on request.
    let allowed = config.get("model_max_length").and_then(Value::as_u64);
    let rope = ["rope_scaling", "rope_parameters"];
    let rope = rope.iter().find_map(|key| config.get(key)?.as_object());
    let kind = rope.and_then(|rope| rope.get("rope_type").or_else(|| rope.get("type"))?.as_str());
    let derived = match (kind, rope) {
        (None | Some("default" | "mrope" | "su" | "longrope" | "llama3"), _) | (_, None) => written,
        (Some(kind), Some(rope)) => {
            let original = rope
                .get("original_max_position_embeddings")
                .and_then(Value::as_u64);
            let factor = rope.get("factor").and_then(Value::as_f64);
            // 0.12 multiplies the original length of YaRN, 0.32 takes what is written: the longer one is refused by neither.
            let base = if kind.contains("yarn") {
                original.unwrap_or(written)
            } else {
                written
            };
            scaled(base, factor.unwrap_or(1.0)).max(written)
        }
    };
    Some(allowed.map_or(derived, |allowed| allowed.max(derived)))
}

fn scaled(tokens: u64, factor: f64) -> u64 {
    floor(float(tokens) * factor)
}

fn fits(name: &Name, context: Context, length: &Length<'_>, path: FieldPath) -> Option<Diagnostic> {
    let needed = context.prompt.saturating_add(context.output);
    let tokens = length.tokens();
    let written = Place::Value(
        FieldPath::root()
            .key("models")
            .key(name.as_str())
            .key("max_model_len"),
    );
    let model = Place::Value(
        FieldPath::root()
            .key("models")
            .key(name.as_str())
            .key("model"),
    );
    let see = |finding: Diagnostic| match length {
        Length::Written(_) => finding.see(written.clone(), format!("the server holds {tokens}")),
        Length::Config(_, folder) => finding.see(
            model.clone(),
            format!("`{folder}/config.json` allows {tokens}"),
        ),
        Length::Recipe(_) => finding.see(model.clone(), format!("vLLM's recipe says {tokens}")),
    };
    let sum = format!("{} + {} = {needed} tokens", context.prompt, context.output);
    if needed > tokens {
        let title = format!("the evaluation sends `{name}` more than it can hold");
        let finding = Diagnostic::error(Code("E0420"), title).at(Place::Value(path), sum);
        return Some(see(finding).help(
            "raise `max_model_len` if the model allows it, or let the client send less; \
             each longer request would be refused with HTTP 400",
        ));
    }
    let margin = tokens - needed;
    // Clients often count with another model's tokenizer; the log's did, and 3 % is what they differ by.
    if margin * 100 >= tokens * 3 {
        return None;
    }
    let title = format!("only {margin} tokens are left between the evaluation and `{name}`");
    let finding = Diagnostic::note(Code("N0422"), title).at(Place::Value(path), sum);
    Some(
        see(finding)
            .help("a client that counts with another tokenizer may send more than it thinks"),
    )
}

/// A length that vLLM refuses at its start.
fn too_long(ctx: &Ctx<'_>, name: &Name, model: &ModelSpec, report: &mut Report) {
    let (Some(wanted), Some(derived)) = (model.max_model_len, own_length(ctx, name, model)) else {
        return;
    };
    if wanted <= derived.tokens() || insists(ctx, model) {
        return;
    }
    let origin = FieldPath::root().key("models").key(name.as_str());
    let title = format!("`max_model_len` of `{name}` is more than the model was made for");
    let (finding, whence) = match derived {
        Length::Recipe(tokens) => (
            Diagnostic::warning(Code("W0423"), title),
            format!("vLLM's recipe for it says {tokens}"),
        ),
        Length::Config(tokens, folder) => (
            Diagnostic::error(Code("E0423"), title),
            format!("`{folder}/config.json` allows {tokens}"),
        ),
        // The model has none of its own.
        Length::Written(_) => return,
    };
    report.push(
        finding
            .at(
                Place::Value(origin.key("max_model_len")),
                format!("{wanted} tokens"),
            )
            .see(Place::Value(origin.key("model")), whence)
            .help(
                "vLLM refuses to start; `VLLM_ALLOW_LONG_MAX_MODEL_LEN: \"1\"` in `env.set` insists",
            )
            .fix(Fix {
                title: format!("use all that the model has, {}", derived.tokens()),
                place: Place::Value(origin.key("max_model_len")),
                replacement: derived.tokens().to_string(),
                applicability: Applicability::Guess,
            }),
    );
}

/// Somebody knows that the length is longer, or makes it longer.
fn insists(ctx: &Ctx<'_>, model: &ModelSpec) -> bool {
    const ALLOW: &str = "VLLM_ALLOW_LONG_MAX_MODEL_LEN";
    const LONGER: [&str; 3] = ["--hf-overrides", "--rope-scaling", "--rope-theta"];
    let sets = |env: &Option<crate::spec::model::Env>| {
        env.as_ref()
            .is_some_and(|env| env.set().contains_key(ALLOW))
    };
    let vllm =
        |vllm: &Option<crate::spec::model::Vllm>| vllm.as_ref().is_some_and(|vllm| sets(&vllm.env));
    let scales = |flag: &String| {
        let long = canonical(flag);
        LONGER
            .iter()
            .any(|longer| long.split('.').next() == Some(longer))
    };
    sets(&model.env)
        || vllm(&model.vllm)
        || vllm(&ctx.spec.vllm)
        || sets(&ctx.spec.env)
        || model.args.keys().any(scales)
}
