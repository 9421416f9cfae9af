//! Writes the Rust text of each table.

use std::fmt::Write as _;

use super::data::{Data, Parser};
use super::expand;

const HEAD: &str = "//! Generated from `../data/vllm.yaml` by `UPDATE=1 cargo test --test it knowledge`; do not edit.\n\n";

/// File name and text of every table, `mod.rs` included.
pub(crate) fn files(data: &Data) -> Vec<(&'static str, String)> {
    vec![
        ("mod.rs", modules()),
        ("releases.rs", releases(data)),
        ("parsers.rs", parsers(data)),
        ("flags.rs", flags(data)),
        ("families.rs", families(data)),
        ("failures.rs", failures(data)),
        ("recipes.rs", recipes(data)),
        ("shapes.rs", shapes(data)),
        ("gpus.rs", gpus(data)),
    ]
}

fn modules() -> String {
    let mut out = "//! Generated from `../data/vllm.yaml` by `UPDATE=1 cargo test --test it knowledge`; do not edit.\n".to_owned();
    for name in [
        "failures", "families", "flags", "gpus", "parsers", "recipes", "releases", "shapes",
    ] {
        write!(out, "\n#[rustfmt::skip]\npub(super) mod {name};").unwrap();
    }
    out + "\n"
}

fn text(value: &str) -> String {
    format!("{:?}", value.trim())
}

fn option(value: Option<&String>) -> String {
    value.map_or_else(
        || "None".to_owned(),
        |value| format!("Some({})", text(value)),
    )
}

fn list(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("&[{}]", quoted.join(", "))
}

fn release(value: &str) -> String {
    if value == "nightly" {
        return "Release::NIGHTLY".to_owned();
    }
    let mut numbers: Vec<&str> = value.split('.').collect();
    numbers.resize(3, "0");
    format!("r({})", numbers.join(", "))
}

fn maybe_release(value: Option<&String>) -> String {
    value.map_or_else(
        || "None".to_owned(),
        |value| format!("Some({})", release(value)),
    )
}

fn seen(first: &str, last: &str) -> String {
    format!(
        "Seen {{ first: {}, last: {} }}",
        release(first),
        release(last)
    )
}

/// A number with its thousands set apart, as clippy wants it.
fn number(value: u32) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if at > 0 && digits.len() > 5 && left.is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

fn pattern(regex: &str) -> String {
    let alternatives: Vec<String> = expand::fragments(regex)
        .iter()
        .map(|parts| list(parts))
        .collect();
    format!("&[{}]", alternatives.join(", "))
}

const SHORT: &str = "const fn r(major: u16, minor: u16, patch: u16) -> Release {\n    Release::new(major, minor, patch)\n}\n\n";

fn table(out: &mut String, declaration: &str, rows: impl IntoIterator<Item = String>) {
    writeln!(out, "pub(in crate::knowledge) const {declaration} = &[").unwrap();
    for row in rows {
        writeln!(out, "    {row},").unwrap();
    }
    out.push_str("];\n");
}

fn releases(data: &Data) -> String {
    let mut out = format!("{HEAD}use super::super::release::Release;\n\n{SHORT}");
    table(
        &mut out,
        "FLAGS_SAMPLED: &[Release]",
        data.meta.flags_sampled.iter().map(|value| release(value)),
    );
    out.push('\n');
    table(
        &mut out,
        "PARSERS_SAMPLED: &[Release]",
        data.meta.parsers_sampled.iter().map(|value| release(value)),
    );
    out
}

fn parsers(data: &Data) -> String {
    let row = |(name, parser): (&String, &Parser)| {
        format!(
            "Parser {{ name: {}, models: {}, seen: {}, chat_template: {}, note: {} }}",
            text(name),
            list(&parser.models),
            seen(&parser.first_seen, &parser.last_seen),
            option(parser.chat_template.as_ref()),
            option(parser.note.as_ref()),
        )
    };
    let mut out = format!(
        "{HEAD}use super::super::parsers::Parser;\nuse super::super::release::{{Release, Seen}};\n\n{SHORT}"
    );
    table(
        &mut out,
        "TOOL: &[Parser]",
        data.tool_parsers.iter().map(row),
    );
    out.push('\n');
    table(
        &mut out,
        "REASONING: &[Parser]",
        data.reasoning_parsers.iter().map(row),
    );
    out
}

fn takes(kind: &str) -> &'static str {
    match kind {
        "switch" => "Switch",
        "toggle" => "Toggle",
        "integer" => "Integer",
        "human-integer" => "HumanInteger",
        "human-integer-or-auto" => "HumanIntegerOrAuto",
        "float" => "Float",
        "text" => "Text",
        "json" => "Json",
        "any" => "Any",
        other => panic!("flag type `{other}` is not known"),
    }
}

fn flags(data: &Data) -> String {
    let mut out = format!(
        "{HEAD}use super::super::flags::{{Flag, Removed, Takes}};\nuse super::super::release::{{Release, Seen}};\n\n{SHORT}"
    );
    let rows = data.flags.iter().map(|(name, flag)| {
        format!(
            "Flag {{ name: {}, aliases: {}, takes: Takes::{}, many: {}, choices: {}, default: {}, seen: {}, popular: {} }}",
            text(name),
            list(&flag.aliases),
            takes(&flag.r#type),
            flag.many,
            list(&flag.choices),
            option(flag.default.as_ref()),
            seen(&flag.first_seen, &flag.last_seen),
            flag.popular,
        )
    });
    table(&mut out, "FLAGS: &[Flag]", rows);
    let pairs = data
        .flags
        .iter()
        .flat_map(|(name, flag)| flag.aliases.iter().map(move |alias| (alias, name)));
    let mut aliases: Vec<(&String, &String)> = pairs.collect();
    aliases.sort();
    out.push('\n');
    let rows = aliases
        .iter()
        .map(|(alias, name)| format!("({}, {})", text(alias), text(name)));
    table(&mut out, "ALIASES: &[(&str, &str)]", rows);
    let mut removed: Vec<_> = data.removed_flags.iter().collect();
    removed.sort_by(|a, b| a.flag.cmp(&b.flag));
    out.push('\n');
    let rows = removed.iter().map(|gone| {
        format!(
            "Removed {{ name: {}, last_seen: {}, gone_in: {}, use_instead: {} }}",
            text(&gone.flag),
            release(&gone.last_seen),
            release(&gone.gone_in),
            text(&gone.use_instead),
        )
    });
    table(&mut out, "REMOVED: &[Removed]", rows);
    out
}

fn families(data: &Data) -> String {
    let mut out = format!(
        "{HEAD}use super::super::families::{{Family, Thinking}};\nuse super::super::release::Release;\n\n{SHORT}"
    );
    let rows = data.families.iter().map(|family| {
        let thinking = family.thinking_off.as_ref().map_or_else(
            || "None".to_owned(),
            |off| {
                let by_default = family.thinks_by_default.expect("thinking_off comes with thinks_by_default");
                format!("Some(Thinking {{ off: {}, on: {}, by_default: {by_default} }})", text(off), text(&off.replace("false", "true")))
            },
        );
        format!(
            "Family {{ name: {}, pattern: {}, tool_parser: {}, reasoning_parser: {}, wrong_parsers: {}, min_release: {}, always_thinks: {}, extra_args: {}, thinking: {thinking}, note: {} }}",
            text(&family.name),
            pattern(&family.r#match),
            option(family.tool_parser.as_ref()),
            option(family.reasoning_parser.as_ref()),
            list(&family.wrong_parsers),
            maybe_release(family.min_release.as_ref()),
            family.always_thinks,
            list(&family.extra_args),
            option(family.note.as_ref()),
        )
    });
    table(&mut out, "FAMILIES: &[Family]", rows);
    out.push('\n');
    let rows = data
        .model_types
        .iter()
        .map(|(name, parsers)| format!("({}, {})", text(name), list(parsers)));
    table(&mut out, "MODEL_TYPES: &[(&str, &[&str])]", rows);
    out
}

fn failures(data: &Data) -> String {
    let mut out = format!("{HEAD}use super::super::failures::{{Failure, Kind}};\n\n");
    let rows = data.failures.iter().map(|failure| {
        let kind = match failure.kind.as_str() {
            "cause" => "Cause",
            "wrapper" => "Wrapper",
            "warning" => "Warning",
            "request" => "Request",
            other => panic!("failure kind `{other}` is not known"),
        };
        format!(
            "Failure {{ id: {}, pattern: {}, needles: {}, phase: {}, kind: Kind::{kind}, permanent: {}, cause: {}, fix: {}, exit_code: {:?}, http_status: {:?}, source: {} }}",
            text(&failure.id),
            text(&failure.r#match),
            list(&expand::needles(&failure.r#match)),
            text(&failure.phase),
            failure.permanent,
            text(&failure.cause),
            text(&failure.fix),
            failure.exit_code,
            failure.http_status,
            option(failure.source.as_ref()),
        )
    });
    table(&mut out, "FAILURES: &[Failure]", rows);
    out
}

fn recipes(data: &Data) -> String {
    let mut out = format!(
        "{HEAD}use super::super::recipes::Recipe;\nuse super::super::release::Release;\n\n{SHORT}"
    );
    let mut sorted: Vec<_> = data.recipes.iter().collect();
    sorted.sort_by_key(|recipe| recipe.id.to_ascii_lowercase());
    let rows = sorted.iter().map(|recipe| {
        format!(
            "Recipe {{ id: {}, min_release: {}, context: {}, arch: {}, params: {}, tool_args: {}, reasoning_args: {}, base_args: {} }}",
            text(&recipe.id),
            maybe_release(recipe.min_release.as_ref()),
            recipe.context.map_or_else(|| "None".to_owned(), |context| format!("Some({})", number(context))),
            text(&recipe.arch),
            text(&recipe.params),
            list(&recipe.tool_args),
            list(&recipe.reasoning_args),
            list(&recipe.base_args),
        )
    });
    table(&mut out, "RECIPES: &[Recipe]", rows);
    out
}

fn shapes(data: &Data) -> String {
    let mut out = format!("{HEAD}use super::super::shapes::Known;\n\n");
    let rows = data.shapes.iter().map(|shape| {
        format!(
            "Known {{ names: {}, layers: {}, window: {}, heads: {}, kv_heads: {}, head_dim: {}, latent: {:?}, bits: {}, billions: {:?}, experts: {} }}",
            list(&shape.names),
            shape.layers,
            shape.window,
            shape.heads,
            shape.kv_heads,
            shape.head_dim,
            shape.latent,
            shape.bits,
            shape.billions,
            shape.experts,
        )
    });
    table(&mut out, "SHAPES: &[Known]", rows);
    out
}

fn gpus(data: &Data) -> String {
    let mut out = format!("{HEAD}use super::super::gpus::Gpu;\n\n");
    let rows = data.gpus.iter().map(|gpu| {
        format!(
            "Gpu {{ name: {}, words: {}, memory_mib: {}, compute: ({}) }}",
            text(&gpu.name),
            list(&gpu.words),
            number(gpu.memory_mib),
            gpu.compute.replace('.', ", "),
        )
    });
    table(&mut out, "GPUS: &[Gpu]", rows);
    out
}
