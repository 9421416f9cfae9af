//! `args:` of a model as flags.

use serde_json::Value;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::knowledge::flags::{self, Takes};
use crate::spec::model::ModelSpec;

use super::argv::{is_host, json};

/// The flags of a model's `args`, in order: `true` gives `--flag`, `false` `--no-flag`, a list
/// repeated values, a map JSON. What cannot be written is reported and left out.
pub(crate) fn flags(model: &ModelSpec, origin: &FieldPath, report: &mut Report) -> Vec<String> {
    let mut all = Vec::new();
    let others = (model.args.iter()).filter(|(name, value)| !(is_host(name) && value.is_string()));
    for (name, value) in others {
        let path = origin.key("args").key(name.as_str());
        match flag(name, value) {
            Ok(words) => all.extend(words),
            Err(why) => report.push(why(Place::Value(path), name)),
        }
    }
    all
}

type Refusal = fn(Place, &str) -> Diagnostic;

fn flag(name: &str, value: &Value) -> Result<Vec<String>, Refusal> {
    let long = flags::canonical(name).into_owned();
    let known = flags::flag(name);
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => json(other),
    };
    match value {
        Value::Null => Err(null),
        Value::Bool(true) => Ok(vec![long]),
        Value::Bool(false) => {
            let has_negative = known.is_some_and(|flag| flag.takes == Takes::Toggle);
            match long.strip_prefix("--") {
                Some(bare) if has_negative => Ok(vec![format!("--no-{bare}")]),
                _ => Err(no_negative),
            }
        }
        Value::Array(items) => {
            // A list means repeated values, unless the flag itself takes a JSON list.
            let takes_json = known.is_some_and(|flag| flag.takes == Takes::Json && !flag.many);
            Ok(if takes_json {
                vec![long, json(value)]
            } else {
                std::iter::once(long)
                    .chain(items.iter().map(word))
                    .collect()
            })
        }
        Value::Object(_) => Ok(vec![long, json(value)]),
        Value::Number(_) | Value::String(_) => Ok(vec![long, word(value)]),
    }
}

fn null(place: Place, name: &str) -> Diagnostic {
    Diagnostic::error(Code("E0415"), format!("flag `{name}` has no value"))
        .at(place, "null")
        .help("write `true` for a flag without a value, or remove the line")
}

fn no_negative(place: Place, name: &str) -> Diagnostic {
    Diagnostic::error(
        Code("E0416"),
        format!("flag `{name}` cannot be switched off: there is no `--no-` form of it"),
    )
    .at(place, "`false` would give a flag that vLLM does not know")
    .help("remove the line: a flag that is not given is off")
}
