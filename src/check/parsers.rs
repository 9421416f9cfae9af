//! Parsers against the model's family and the release.
//!
//! The log's first failure: gpt-oss behind `hermes` answered every tool call with HTTP 500.

use serde_json::Value;

use crate::base::{FieldPath, Name};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::families::{Family, Fit};
use crate::knowledge::parsers::{KnownBug, Registry, known_bugs};
use crate::knowledge::recipes::{self, Recipe};
use crate::knowledge::release::{Release, Support};
use crate::plan::family::{ParserFrom, ToolParser, family, tool_parser, wants_tools};
use crate::plan::similar::{MaybeFix as _, did_you_mean};
use crate::plan::{argv, inherit};
use crate::spec::model::{Engine, ModelSpec};
use crate::spec::{Origin, resolve};

use super::{Ctx, thinking};

/// From this release on vLLM ignores the configured parser for gpt-oss and takes its own
/// (`parser_manager`, read in 0.24.0).
const HARMONY_ALWAYS: Release = Release::new(0, 24, 0);

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, model) in &ctx.spec.models {
        if matches!(argv::engine(model), Engine::Vllm | Engine::Sim) {
            one(ctx, name, model, report);
        }
    }
}

/// What the rules of this file look at.
struct Subject<'a> {
    model: &'a ModelSpec,
    origin: FieldPath,
    family: Option<&'static Family>,
    release: Option<Release>,
}

fn one(ctx: &Ctx<'_>, name: &Name, model: &ModelSpec, report: &mut Report) {
    let config = ctx.facts.config_of(name);
    let subject = Subject {
        model,
        origin: FieldPath::root().key("models").key(name.as_str()),
        family: family(model, config),
        release: inherit::release(ctx.spec, name),
    };
    if model.tools == Some(false) && model.tool_parser.is_some() {
        report.push(contradiction(name, &subject));
    }
    if wants_tools(model) {
        match tool_parser(model, config) {
            Some(parser) => tools(&subject, parser, config, report),
            None => report.push(no_parser(&subject)),
        }
    }
    if let Some(parser) = &model.reasoning_parser
        && !has_plugin(model, "reasoning-parser-plugin")
    {
        let place = Place::Value(subject.origin.key("reasoning_parser"));
        if exists(&subject, Registry::Reasoning, parser, place, report) {
            report.extend(thinking::reasoning(model, subject.family, &subject.origin));
        }
    }
    too_old(ctx, name, &subject, report);
    report.extend(template(&subject));
}

fn contradiction(name: &Name, subject: &Subject<'_>) -> Diagnostic {
    Diagnostic::error(
        Code("E0424"),
        format!("`{name}` has a parser for tools that it shall not call"),
    )
    .at(
        Place::Value(subject.origin.key("tool_parser")),
        "would not be used",
    )
    .see(Place::Value(subject.origin.key("tools")), "no tools")
    .help("remove one of the two")
}

fn has_plugin(model: &ModelSpec, flag: &str) -> bool {
    model
        .args
        .keys()
        .any(|key| key.trim_start_matches('-').replace('_', "-") == flag)
}

fn tools(
    subject: &Subject<'_>,
    parser: ToolParser<'_>,
    config: Option<&Value>,
    report: &mut Report,
) {
    // A plugin may register any name for any model.
    if has_plugin(subject.model, "tool-parser-plugin") {
        return;
    }
    let place = match parser.from {
        ParserFrom::Yaml => Place::Value(subject.origin.key("tool_parser")),
        ParserFrom::ModelType | ParserFrom::Family(_) | ParserFrom::Recipe => {
            Place::Value(subject.origin.key("tools"))
        }
    };
    if !exists(subject, Registry::Tool, parser.name, place.clone(), report) {
        return;
    }
    let before = report.len();
    if parser.from == ParserFrom::Yaml {
        fits(subject, parser.name, place.clone(), config, report);
    }
    if report.len() == before {
        report.extend(bugs(subject, parser.name, &place));
    }
}

/// What the right parser of this release is known to do wrong.
fn bugs(subject: &Subject<'_>, parser: &str, place: &Place) -> Vec<Diagnostic> {
    let Some(release) = subject.release else {
        return Vec::new();
    };
    let note = |bug: &KnownBug| {
        Diagnostic::note(
            Code("N0447"),
            format!("parser `{parser}` has a known fault in vLLM {release}"),
        )
        .at(place.clone(), bug.effect)
        .help(format!(
            "reported of {} and still of {}: {}; a client that asks again is served, so such answers are counted as errors of servers",
            bug.seen.first, bug.seen.last, bug.source
        ))
    };
    known_bugs(parser, release).map(note).collect()
}

fn fits(
    subject: &Subject<'_>,
    parser: &str,
    place: Place,
    config: Option<&Value>,
    report: &mut Report,
) {
    let of_recipe = recipes::recipe(&subject.model.model).and_then(Recipe::tool_parser);
    if of_recipe == Some(parser) {
        return;
    }
    let Some(family) = subject.family else {
        report.extend(of_recipe.map(|right| not_of_recipe(subject, parser, right, place)));
        return;
    };
    let see = Place::Value(subject.origin.key("model"));
    let of_family = format!("a model of the family {}", family.name);
    let fix = family.tool_parser.map(|right| Fix {
        title: format!("use `{right}`"),
        place: place.clone(),
        replacement: right.to_owned(),
        applicability: Applicability::Sure,
    });
    let ignored =
        family.name == "gpt-oss" && subject.release.is_some_and(|at| at >= HARMONY_ALWAYS);
    let finding = match family.fit(parser) {
        Fit::Right => return,
        Fit::Wrong if ignored => Diagnostic::warning(
            Code("W0402"),
            format!(
                "parser `{parser}` is not for {}, and is ignored",
                family.name
            ),
        )
        .at(place, "vLLM takes its own parser for this model since 0.24"),
        Fit::Wrong => Diagnostic::error(
            Code("E0401"),
            format!("parser `{parser}` does not understand {}", family.name),
        )
        .at(place, why_wrong(family, parser)),
        Fit::Unproven if type_allows(config, parser) => return,
        Fit::Unproven => Diagnostic::warning(
            Code("W0406"),
            format!(
                "nothing says that parser `{parser}` understands {}",
                family.name
            ),
        )
        .at(place, "neither documented nor known to fail"),
    };
    report.push(finding.see(see, of_family).maybe_fix(fix));
}

/// A model of no known family, for which vLLM has a recipe.
fn not_of_recipe(subject: &Subject<'_>, parser: &str, right: &str, place: Place) -> Diagnostic {
    let fix = Fix {
        title: format!("use `{right}`"),
        place: place.clone(),
        replacement: right.to_owned(),
        applicability: Applicability::Sure,
    };
    Diagnostic::warning(
        Code("W0406"),
        format!("nothing says that parser `{parser}` understands this model"),
    )
    .at(place, "neither documented nor known to fail")
    .see(
        Place::Value(subject.origin.key("model")),
        format!("vLLM's recipe for it says `{right}`"),
    )
    .fix(fix)
}

/// A family whose own template knows no tools, or writes them otherwise than its parser reads them.
fn template(subject: &Subject<'_>) -> Option<Diagnostic> {
    let model = subject.model;
    let own = ["chat-template", "tool-parser-plugin"];
    if !wants_tools(model)
        || model.chat_template.is_some()
        || own.iter().any(|flag| has_plugin(model, flag))
    {
        return None;
    }
    let recipe = recipes::recipe(&model.model);
    let template = match recipe.filter(|recipe| !recipe.tool_args.is_empty()) {
        Some(recipe) => recipe.chat_template()?,
        None => subject.family?.chat_template()?,
    };
    Some(
        Diagnostic::warning(
            Code("W0444"),
            "tool calls of this model need a chat template that does not come with it",
        )
        .at(
            Place::Value(subject.origin.key("model")),
            format!("vLLM's documentation gives it `{template}`"),
        )
        .help(format!(
            "`chat_template: PATH`, where PATH is that file on the node (`{template}` in vLLM's sources); without it the model may not see its tools"
        )),
    )
}

fn type_allows(config: Option<&Value>, parser: &str) -> bool {
    let kind = config.and_then(|config| config.get("model_type")?.as_str());
    let allowed = kind.and_then(crate::knowledge::families::tool_parsers_of_type);
    allowed.is_some_and(|list| list.contains(&parser))
}

fn why_wrong(family: &Family, parser: &str) -> String {
    match (family.name, parser) {
        ("gpt-oss", _) => "every tool call would be answered with HTTP 500".to_owned(),
        _ => "tool calls would come back as plain text".to_owned(),
    }
}

/// Whether the release may have the parser; says so where it has not, or where nobody looked.
fn exists(
    subject: &Subject<'_>,
    registry: Registry,
    parser: &str,
    place: Place,
    report: &mut Report,
) -> bool {
    let what = match registry {
        Registry::Tool => "tool-call parser",
        Registry::Reasoning => "reasoning parser",
    };
    let Some(release) = subject.release else {
        return true;
    };
    match registry.supported(parser, release) {
        Support::Yes => true,
        Support::Unknown => {
            report.push(
                Diagnostic::note(
                    Code("N0405"),
                    format!("it is not known whether vLLM {release} has the {what} `{parser}`"),
                )
                .at(place, seen(registry, parser)),
            );
            true
        }
        Support::No => {
            let known = registry.names_at(release);
            let fix = did_you_mean(parser, known, place.clone());
            report.push(
                Diagnostic::error(
                    Code("E0403"),
                    format!("vLLM {release} has no {what} `{parser}`"),
                )
                .at(place, seen(registry, parser))
                .maybe_fix(fix)
                .help("the server would exit at its start, after a minute of imports"),
            );
            false
        }
    }
}

fn seen(registry: Registry, parser: &str) -> String {
    match registry.parser(parser) {
        Some(known) if known.seen.first == known.seen.last => {
            format!("seen in {}", known.seen.first)
        }
        Some(known) => format!("seen from {} to {}", known.seen.first, known.seen.last),
        None => "not seen in any release".to_owned(),
    }
}

fn no_parser(subject: &Subject<'_>) -> Diagnostic {
    let title = match subject.family {
        Some(family) => format!("{} has no known format for tool calls", family.name),
        None => format!("no tool-call parser is known for `{}`", subject.model.model),
    };
    Diagnostic::error(Code("E0404"), title)
        .at(Place::Value(subject.origin.key("tools")), "needs a parser")
        .help("name one with `tool_parser: NAME` (for a fine-tuned model the one of its base model), or remove `tools`")
}

/// A family that came after the release.
fn too_old(ctx: &Ctx<'_>, name: &Name, subject: &Subject<'_>, report: &mut Report) {
    let first = subject.family.and_then(|family| family.min_release);
    let (Some(release), Some(first), Some(family)) = (subject.release, first, subject.family)
    else {
        return;
    };
    if release >= first {
        return;
    }
    let finding = Diagnostic::warning(
        Code("W0407"),
        format!("{} needs vLLM {first} or later", family.name),
    )
    .at(
        Place::Value(subject.origin.key("model")),
        "a later architecture",
    );
    report.push(
        match resolve::release(ctx.spec, name).map(|release| release.origin) {
            Some(Origin::Yaml(path)) => {
                finding.see(Place::Value(path), format!("this is {release}"))
            }
            _ => finding,
        },
    );
}
