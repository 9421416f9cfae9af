//! What evaluations send, against what servers can hold.
//!
//! The log's second failure: 80034 tokens sent to a server of 32768, hours into the run.

use serde_json::Value;

use crate::base::{FieldPath, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::knowledge::recipes;
use crate::spec::model::{Context, ModelSpec};

use super::Ctx;

/// Where a server's context length is known from.
enum Length {
    /// `max_model_len`.
    Written(u64),
    /// The model's `config.json`.
    Config(u64),
    /// vLLM's own recipe for the model.
    Recipe(u64),
}

impl Length {
    fn tokens(&self) -> u64 {
        match self {
            Self::Written(tokens) | Self::Config(tokens) | Self::Recipe(tokens) => *tokens,
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

fn length(ctx: &Ctx<'_>, name: &Name, model: &ModelSpec) -> Option<Length> {
    if let Some(tokens) = model.max_model_len {
        return Some(Length::Written(tokens));
    }
    if let Some(tokens) = ctx.facts.config_of(name).and_then(positions) {
        return Some(Length::Config(tokens));
    }
    let recipe = recipes::recipe(&model.model)?;
    Some(Length::Recipe(u64::from(recipe.context?)))
}

/// The positions that a `config.json` allows; models with several parts keep them in `text_config`.
fn positions(config: &Value) -> Option<u64> {
    let of = |config: &Value| config.get("max_position_embeddings")?.as_u64();
    of(config).or_else(|| of(config.get("text_config")?))
}

fn fits(name: &Name, context: Context, length: &Length, path: FieldPath) -> Option<Diagnostic> {
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
        Length::Config(_) => finding.see(model.clone(), format!("its config.json allows {tokens}")),
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
    let derived = ctx.facts.config_of(name).and_then(positions);
    let (Some(wanted), Some(derived)) = (model.max_model_len, derived) else {
        return;
    };
    let allowed = |env: &Option<crate::spec::model::Env>| {
        env.as_ref()
            .is_some_and(|env| env.set().contains_key("VLLM_ALLOW_LONG_MAX_MODEL_LEN"))
    };
    if wanted <= derived || allowed(&model.env) || allowed(&ctx.spec.env) {
        return;
    }
    let origin = FieldPath::root().key("models").key(name.as_str());
    report.push(
        Diagnostic::error(
            Code("E0423"),
            format!("`max_model_len` of `{name}` is more than the model was made for"),
        )
        .at(
            Place::Value(origin.key("max_model_len")),
            format!("{wanted} tokens"),
        )
        .see(
            Place::Value(origin.key("model")),
            format!("its config.json allows {derived}"),
        )
        .help("vLLM refuses to start; `VLLM_ALLOW_LONG_MAX_MODEL_LEN: \"1\"` in `env.set` insists"),
    );
}
