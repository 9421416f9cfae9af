//! Whether a model can be made to think, or not to, and by whom.

use crate::base::{FieldPath, Name};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::families::Family;
use crate::knowledge::recipes::{self, Recipe};
use crate::plan::family::family;
use crate::plan::{argv, inherit};
use crate::spec::model::{Engine, ModelSpec};

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, model) in &ctx.spec.models {
        if !matches!(argv::engine(model), Engine::Vllm | Engine::Sim) {
            continue;
        }
        let Some(wanted) = model.thinking else {
            continue;
        };
        let path = FieldPath::root().key("models").key(name.as_str());
        let family = family(model, ctx.facts.config_of(name));
        report.extend(match (wanted, family) {
            (false, Some(family)) if family.always_thinks => Some(always(name, family, &path)),
            (true, Some(family)) if family.always_thinks => None,
            (true, family) if family.and_then(|family| family.thinking).is_none() => {
                Some(no_effect(name, family, &path))
            }
            (_, Some(family)) => by_client(ctx, name, model, family, &path),
            (_, None) => None,
        });
    }
}

fn always(name: &Name, family: &Family, path: &FieldPath) -> Diagnostic {
    let place = Place::Value(path.key("thinking"));
    let help = match family.name {
        "gpt-oss" => "its requests carry `reasoning_effort`: low, medium or high, never none",
        _ => "take another checkpoint, such as its `Instruct` variant, or remove the line",
    };
    Diagnostic::error(
        Code("E0445"),
        format!("`{name}` cannot be kept from thinking"),
    )
    .at(place, "no switch is known")
    .see(
        Place::Value(path.key("model")),
        format!("{} always thinks", family.name),
    )
    .help(help)
}

fn no_effect(name: &Name, family: Option<&Family>, path: &FieldPath) -> Diagnostic {
    let place = Place::Value(path.key("thinking"));
    let whose = match family {
        Some(family) => format!("{} is not known to think", family.name),
        None => "nothing is known of how it thinks".to_owned(),
    };
    Diagnostic::error(Code("E0446"), format!("`{name}` cannot be made to think"))
        .at(place, "would have no effect")
        .see(Place::Value(path.key("model")), whose)
        .help("remove the line; a template that has a switch takes it from `args: { default-chat-template-kwargs: { … } }`")
}

/// A release that cannot be told leaves it to the client.
fn by_client(
    ctx: &Ctx<'_>,
    name: &Name,
    model: &ModelSpec,
    family: &Family,
    path: &FieldPath,
) -> Option<Diagnostic> {
    let switch = family.thinking?;
    let wanted = model.thinking?;
    let release = inherit::release(ctx.spec, name);
    if switch.by_default == wanted
        || argv::thinking_switch(ctx.facts, name, model, release).is_some()
    {
        return None;
    }
    let release = match release {
        Some(release) => format!("vLLM {release} has no server-side switch"),
        None => "without `vllm.version` no server-side switch is set".to_owned(),
    };
    let (title, kwargs) = if wanted {
        (
            format!("the client itself must make `{name}` think"),
            switch.on,
        )
    } else {
        (
            format!("the client itself must keep `{name}` from thinking"),
            switch.off,
        )
    };
    Some(
        Diagnostic::note(Code("N0408"), title)
            .at(Place::Value(path.key("thinking")), release)
            .help(format!(
                "each request needs `chat_template_kwargs: {kwargs}`; a probe proves that it works, not that the client sends it"
            )),
    )
}

/// The reasoning parser against the model.
pub(super) fn reasoning(
    model: &ModelSpec,
    family: Option<&Family>,
    path: &FieldPath,
) -> Option<Diagnostic> {
    let given = model.reasoning_parser.as_deref()?;
    let recipe = recipes::recipe(&model.model);
    let of_recipe = recipe.and_then(Recipe::reasoning_parser);
    let of_family = family.and_then(|family| family.reasoning_parser);
    let right = [of_recipe, of_family];
    if right.iter().flatten().any(|right| same(right, given)) {
        return None;
    }
    // Neither a family nor a recipe: nothing to compare with.
    let (whose, known) = match (family, recipe) {
        (Some(family), _) => (format!("a model of the family {}", family.name), of_family),
        (None, Some(_)) if of_recipe.is_some() => {
            ("vLLM has a recipe for it".to_owned(), of_recipe)
        }
        _ => return None,
    };
    let place = Place::Value(path.key("reasoning_parser"));
    let finding = Diagnostic::warning(
        Code("W0443"),
        format!("nothing says that reasoning parser `{given}` understands this model"),
    );
    let finding = match known {
        Some(right) => finding
            .at(place.clone(), format!("`{right}` is the one that is known to"))
            .fix(Fix {
                title: format!("use `{right}`"),
                place,
                replacement: right.to_owned(),
                applicability: Applicability::Sure,
            }),
        None => finding
            .at(place, "no reasoning to split off is known")
            .help("a parser that waits for the end of the reasoning takes whole answers for it, and clients get empty ones: remove it"),
    };
    Some(finding.see(Place::Value(path.key("model")), whose))
}

/// Names that read the same format.
const SAME: &[&[&str]] = &[
    &["deepseek_r1", "qwen3"],
    &["glm45", "glm47"],
    &["minimax_m2", "minimax_m2_append_think"],
];

fn same(one: &str, other: &str) -> bool {
    one == other
        || SAME
            .iter()
            .any(|row| row.contains(&one) && row.contains(&other))
}
