//! What a client is told: keys and proxies in its environment, names in its command, and how long it may hang.

use crate::base::{EvalName, FieldPath, Millis};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::adapters::HungCalls;
use crate::knowledge::credentials::is_credential;
use crate::plan::argv::served_id;
use crate::plan::egress::{DIRECT, PROXIES, wanted};
use crate::plan::evals::{adapter_of, config_of};
use crate::spec::model::{ClientConfigFormat, Eval};
use crate::spec::resolve::{self, MergedEnv};
use crate::spec::{Origin, Sourced};

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, eval) in &ctx.spec.evals {
        let origin = FieldPath::root().key("evals").key(name.as_str());
        let env = resolve::eval_env(ctx.spec, name);
        keys(ctx, name, &env, report);
        if !wanted(eval) {
            report.extend(proxy(name, &env));
        }
        slashes(ctx, eval, &origin, report);
        report.extend(stall(ctx, name, eval, &env, &origin));
        report.extend(experts(ctx, eval, &origin));
    }
}

fn place(origin: &Origin) -> Option<Place> {
    match origin {
        Origin::Yaml(path) => Some(Place::Value(path.clone())),
        _ => None,
    }
}

/// Names that lead to the hub, whose token tokenizers need.
const HUB: &[&str] = &["HF_", "HUGGING"];

/// Keys and endpoints of somebody whom no external declares: the log's third failure went to Nebius for hours.
fn keys(ctx: &Ctx<'_>, name: &EvalName, env: &MergedEnv, report: &mut Report) {
    let declared: Vec<&str> = (ctx.spec.externals.values())
        .filter_map(|external| external.api_key.as_ref()?.env.as_deref())
        .collect();
    let foreign = |passed: &&Sourced<String>| {
        let key = passed.value.as_str();
        is_credential(key)
            && !declared.contains(&key)
            && !PROXIES.contains(&key)
            && !DIRECT.contains(&key)
            && !HUB.iter().any(|hub| key.starts_with(hub))
            && !key.starts_with("SLURM_")
    };
    for passed in env.pass.iter().filter(foreign) {
        let Some(place) = place(&passed.origin) else {
            continue;
        };
        report.push(
            Diagnostic::warning(
                Code("W0608"),
                format!("`{}` reaches the client of `{name}`, and no external is declared that it is for", passed.value),
            )
            .at(place, "some clients turn to whoever they have a key of")
            .help("remove it, or declare whom it is for: `externals: { NAME: { url: …, models: […], api_key: { env: … } } }`"),
        );
    }
}

/// A proxy that stands between the client and its servers.
fn proxy(name: &EvalName, env: &MergedEnv) -> Option<Diagnostic> {
    let set = env
        .set
        .iter()
        .map(|(key, value)| (key.as_str(), &value.origin));
    let passed = env
        .pass
        .iter()
        .map(|passed| (passed.value.as_str(), &passed.origin));
    let mut given = set.clone().chain(passed.clone());
    let direct = |(key, _): &(&str, _)| DIRECT.contains(key);
    if set.chain(passed).any(|pair| direct(&pair)) {
        return None;
    }
    // `HTTPS_PROXY` leads none of our servers away: they speak http.
    let leads =
        |key: &str| PROXIES.contains(&key) && !key.to_ascii_uppercase().starts_with("HTTPS");
    let (key, origin) = given.find(|(key, _)| leads(key))?;
    Some(
        Diagnostic::warning(
            Code("W0603"),
            format!("`{key}` leads the calls of `{name}` to its own servers through a proxy"),
        )
        .at(place(origin)?, "even those to loopback addresses")
        .help("add `NO_PROXY` with the servers' addresses, or remove it"),
    )
}

/// A model's key that differs in its last slash is another key.
fn slashes(ctx: &Ctx<'_>, eval: &Eval, origin: &FieldPath, report: &mut Report) {
    for (index, word) in eval.command.iter().flatten().enumerate() {
        let bare = word.trim_end_matches('/');
        if bare.is_empty() {
            continue;
        }
        let other = ctx.spec.models.iter().find(|(_, model)| {
            let key = served_id(model);
            key != word && key.trim_end_matches('/') == bare
        });
        let Some((name, model)) = other else { continue };
        let place = Place::Value(origin.key("command").index(index));
        let key = served_id(model);
        let of = FieldPath::root().key("models").key(name.as_str());
        let field = if model.served_name.is_some() {
            "served_name"
        } else {
            "model"
        };
        report.push(
            Diagnostic::error(Code("E0534"), format!("no server answers to `{word}`"))
                .at(place.clone(), "the slash at the end makes it another name")
                .see(Place::Value(of.key(field)), format!("`{name}` answers to `{key}`"))
                .fix(Fix {
                    title: format!("write `{key}`"),
                    place,
                    replacement: key.to_owned(),
                    applicability: Applicability::Sure,
                })
                .help("names of models are compared byte for byte, by servers and in the client's configuration"),
        );
    }
}

/// A client whose calls may hang for longer than it may be silent.
fn stall(
    ctx: &Ctx<'_>,
    name: &EvalName,
    eval: &Eval,
    env: &MergedEnv,
    origin: &FieldPath,
) -> Option<Diagnostic> {
    let HungCalls {
        variable,
        usual,
        times,
    } = adapter_of(eval)?.hung_calls?;
    if env.pass.iter().any(|passed| passed.value == variable) {
        return None;
    }
    let set = env.set.get(variable);
    let seconds = set.map_or(Some(usual), |set| set.value.parse().ok())?;
    let hung = Millis::from_secs(seconds.saturating_mul(times));
    let planned = ctx
        .plan
        .evals
        .iter()
        .find(|planned| planned.name == *name)?;
    if planned.stall.0 >= hung.0 {
        return None;
    }
    let written = eval
        .limits
        .as_ref()
        .and_then(|limits| limits.stall)
        .is_some();
    let at = if written {
        Place::Value(origin.key("limits").key("stall"))
    } else {
        Place::Key(origin.clone())
    };
    let title = format!("`{name}` is taken for stalled before its client gives a hung call up");
    // With what nobody wrote it takes all of its questions to hang.
    let finding = if written || set.is_some() {
        Diagnostic::warning(Code("W0533"), title)
    } else {
        Diagnostic::note(Code("N0533"), title)
    };
    let finding = finding.at(at, format!("after {} without a sign of work", planned.stall))
    .help(format!(
        "a hung call is given up after {times} × {seconds} s = {hung}: set `limits: {{ stall: {} }}`, or a shorter `{variable}`",
        minutes(hung)
    ));
    Some(match set.and_then(|set| place(&set.origin)) {
        Some(place) => finding.see(place, "the time of one attempt, in seconds"),
        None => finding,
    })
}

/// As the YAML writes it.
fn minutes(time: Millis) -> String {
    format!("{}m", time.as_secs().div_ceil(60))
}

/// tau2 asks paid models where its configuration maps no experts.
fn experts(ctx: &Ctx<'_>, eval: &Eval, origin: &FieldPath) -> Option<Diagnostic> {
    const MAPPING: &str = "oss_expert_mapping";
    let command = eval.command.as_ref()?;
    let index = command
        .iter()
        .position(|word| word.contains("tau2") || word.ends_with("run_oss.py"))?;
    let name = config_of(ctx.spec, eval)?;
    let config = ctx.plan.configs.iter().find(|config| config.name == name)?;
    let extra = ctx
        .spec
        .client_configs
        .get(&name)
        .or(ctx.spec.client_config.as_ref())?;
    if config.format != ClientConfigFormat::Toolorchestra || extra.extra.contains_key(MAPPING) {
        return None;
    }
    Some(
        Diagnostic::warning(
            Code("W0536"),
            "tau2 asks paid models in the place of experts that its configuration does not map",
        )
        .at(
            Place::Value(origin.key("command").index(index)),
            format!("reads `{MAPPING}`"),
        )
        .see(Place::Value(config.origin.key("format")), "has none")
        .help(format!(
            "`extra: {{ {MAPPING}: {{ expert-1: MODEL, … }} }}` in the client's configuration"
        )),
    )
}
