//! The YAML names secrets, it never holds them.

use serde_json::Value;

use crate::base::{FieldPath, keys_in, passwords_in};
use crate::diag::{Code, Diagnostic, Place, Report};

use super::Ctx;

/// What is shown of the place is masked.
pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let Ok(all) = serde_json::to_value(ctx.spec) else {
        return;
    };
    walk(&all, &FieldPath::root(), report);
}

fn walk(value: &Value, path: &FieldPath, report: &mut Report) {
    match value {
        Value::String(text) => {
            if let Some((_, what)) = keys_in(text).next() {
                report.push(finding(what, path));
            } else if passwords_in(text).next().is_some() {
                report.push(finding("a password in a URL", path));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &path.index(index), report);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                walk(item, &path.key(key.as_str()), report);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn finding(what: &str, path: &FieldPath) -> Diagnostic {
    Diagnostic::error(
        Code("E0601"),
        format!("`{path}` holds what looks like {what}"),
    )
    .at(
        Place::Value(path.clone()),
        "the secret itself, not shown here",
    )
    .help("put it into a variable and name that: `pass: [NAME]`, or `api_key: { env: NAME }`")
    .help("a key that was committed or shared must be revoked")
}
