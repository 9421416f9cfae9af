//! The YAML names secrets, it never holds them.

use serde_json::Value;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Report};

use super::Ctx;

/// How keys of well-known services begin, and how long the rest is at least.
const KEYS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "an AWS access key"),
    ("AIza", 30, "a Google API key"),
    ("ghp_", 30, "a GitHub token"),
    ("github_pat_", 30, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("gsk_", 30, "a Groq API key"),
    ("hf_", 30, "a Hugging Face token"),
    ("nvapi-", 30, "an NVIDIA API key"),
    ("sk-", 20, "an OpenAI API key"),
    ("tvly-", 20, "a Tavily API key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
];

/// The finding names the place in words: a snippet would print the secret once more.
pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let Ok(all) = serde_json::to_value(ctx.spec) else {
        return;
    };
    walk(&all, &FieldPath::root(), report);
}

fn walk(value: &Value, path: &FieldPath, report: &mut Report) {
    match value {
        Value::String(text) => {
            if let Some(what) = key_in(text) {
                report.push(finding(what, path));
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
    .help("put it into a variable and name that: `pass: [NAME]`, or `api_key: { env: NAME }`")
    .help("a key that was committed or shared must be revoked")
}

/// What kind of key a text holds, if it does.
fn key_in(text: &str) -> Option<&'static str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(|c| !is_part(c)).find_map(|word| {
        KEYS.iter().find_map(|(start, length, what)| {
            let rest = word.strip_prefix(start)?;
            let varied = rest.bytes().any(|b| b.is_ascii_digit())
                && rest.bytes().any(|b| b.is_ascii_alphabetic());
            (rest.len() >= *length && varied).then_some(*what)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_how_they_begin() {
        assert!(key_in("sk-proj-AbCd0123456789efghIJKL").is_some());
        assert!(key_in("export HF_TOKEN=hf_abcdefghijKLMNOPQRSTUVWXYZ0123456").is_some());
        for harmless in [
            "sk-",
            "EMPTY",
            "hf_home",
            "task-completed-successfully-today",
            "sk-or-nothing-at-all-my-dear",
        ] {
            assert_eq!(key_in(harmless), None, "{harmless}");
        }
    }
}
