//! Scalars against the shapes that a scalar can have.

use super::say;
use super::types::{Shape, TextRule, Word};
use super::walk::Walk;
use crate::base::{Millis, Name};
use crate::diag::Code;
use crate::spec::scalar::{Core, core, has_leading_zero, yaml_1_1_bool};
use crate::spec::similar::similar;
use crate::spec::tree::{Node, Scalar};

/// Whether a scalar can have this shape.
pub(super) fn is_scalar(shape: &Shape) -> bool {
    match shape {
        Shape::OneOf(forms) => forms.iter().any(is_scalar),
        Shape::List { .. } | Shape::Dict { .. } | Shape::Record(_) => false,
        _ => true,
    }
}

/// Checks a scalar that is not null.
pub(super) fn check(walk: &mut Walk<'_>, shape: &Shape, node: &Node, scalar: &Scalar) {
    match shape {
        Shape::Any => anything(walk, node, scalar),
        Shape::Bool => truth_value(walk, shape, node, scalar),
        Shape::Integer { min, max } => integer(walk, shape, node, scalar, (*min, *max)),
        Shape::Number { min, max } => number(walk, shape, node, scalar, (*min, *max)),
        Shape::Text(rule) => text(walk, *rule, node, scalar),
        Shape::Words(words) => word(walk, shape, words, node, scalar),
        Shape::List { .. } | Shape::Dict { .. } | Shape::Record(_) | Shape::OneOf(_) => {}
    }
}

/// Where anything goes, what YAML readers understand differently is refused all the same.
fn anything(walk: &mut Walk<'_>, node: &Node, scalar: &Scalar) {
    if !scalar.plain {
        return;
    }
    if let Some(truth) = yaml_1_1_bool(&scalar.text) {
        let title = format!("{} is a bare `{}`", walk.subject(), scalar.text);
        let finding = walk
            .finding(
                Code("E0126"),
                title,
                "a truth value to some YAML readers, a text to others",
            )
            .fix(walk.replace("where a truth value is meant", truth.to_string()))
            .fix(walk.quotes(&scalar.text));
        walk.push(finding, node.span);
    } else if has_leading_zero(&scalar.text) {
        leading_zero(walk, node, scalar);
    } else if matches!(core(&scalar.text), Core::Float(value) if !value.is_finite()) {
        let title = format!("{} is not a finite number", walk.subject());
        walk.report(Code("E0122"), node.span, title, "JSON has no such number");
    }
}

fn leading_zero(walk: &mut Walk<'_>, node: &Node, scalar: &Scalar) {
    let title = format!("{} is a number with a leading zero", walk.subject());
    let decimal = scalar.text.trim_start_matches(['+', '0']);
    let decimal = if decimal.is_empty() { "0" } else { decimal };
    let finding = walk
        .finding(Code("E0130"), title, "octal to some YAML readers")
        .fix(walk.replace("where a number is meant", decimal.to_owned()))
        .help(format!(
            "where a text is meant write it in quotes: `\"{}\"`",
            scalar.text
        ));
    walk.push(finding, node.span);
}

fn truth_value(walk: &mut Walk<'_>, shape: &Shape, node: &Node, scalar: &Scalar) {
    let meaning = if scalar.plain {
        core(&scalar.text)
    } else {
        Core::Text
    };
    if let Core::Bool(_) = meaning {
        return;
    }
    let bare = yaml_1_1_bool(&scalar.text).filter(|_| scalar.plain);
    let meant = bare.or_else(|| scalar.text.to_lowercase().parse().ok());
    let (code, label) = match bare {
        Some(_) => (Code("E0126"), "a text in YAML 1.2".to_owned()),
        None => (Code("E0122"), format!("this is {}", say::found(node))),
    };
    let title = walk.must_be(shape);
    let mut finding = walk.finding(code, title, label);
    if let Some(meant) = meant {
        finding = finding.fix(walk.replace(format!("write `{meant}`"), meant.to_string()));
    }
    walk.push(finding, node.span);
}

fn integer(
    walk: &mut Walk<'_>,
    shape: &Shape,
    node: &Node,
    scalar: &Scalar,
    (min, max): (Option<i128>, Option<i128>),
) {
    if scalar.plain && has_leading_zero(&scalar.text) {
        return leading_zero(walk, node, scalar);
    }
    match core(&scalar.text) {
        Core::Integer(value) if scalar.plain => {
            let fits =
                min.is_none_or(|min| value >= min) && max.unwrap_or(i128::from(u64::MAX)) >= value;
            if !fits {
                out_of_range(walk, shape, node);
            }
        }
        _ => no_number(walk, shape, node, scalar),
    }
}

fn number(
    walk: &mut Walk<'_>,
    shape: &Shape,
    node: &Node,
    scalar: &Scalar,
    (min, max): (Option<f64>, Option<f64>),
) {
    let value = match core(&scalar.text) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a range check of a number that is a float anyway"
        )]
        Core::Integer(value) if scalar.plain => value as f64,
        Core::Float(value) if scalar.plain => value,
        _ => return no_number(walk, shape, node, scalar),
    };
    let fits = value.is_finite()
        && min.is_none_or(|min| value >= min)
        && max.is_none_or(|max| value <= max);
    if !fits {
        out_of_range(walk, shape, node);
    }
}

fn out_of_range(walk: &mut Walk<'_>, shape: &Shape, node: &Node) {
    let title = walk.must_be(shape);
    walk.report(Code("E0124"), node.span, title, "out of range");
}

fn no_number(walk: &mut Walk<'_>, shape: &Shape, node: &Node, scalar: &Scalar) {
    let title = walk.must_be(shape);
    let mut finding = walk.finding(
        Code("E0122"),
        title,
        format!("this is {}", say::found(node)),
    );
    let digits = scalar.text.replace(['_', ',', ' '], "");
    if !has_leading_zero(&digits) && matches!(core(&digits), Core::Integer(_)) {
        finding = finding.fix(walk.replace(format!("write `{digits}`"), digits));
    }
    walk.push(finding, node.span);
}

fn word(walk: &mut Walk<'_>, shape: &Shape, words: &[Word], node: &Node, scalar: &Scalar) {
    if words.iter().any(|word| word.text == scalar.text) {
        return;
    }
    let title = walk.must_be(shape);
    let mut finding = walk.finding(Code("E0123"), title, "not one of the words");
    if let Some(near) = similar(&scalar.text, words.iter().map(AsRef::as_ref)) {
        finding = finding.fix(walk.replace(format!("did you mean `{near}`?"), near.to_owned()));
    }
    walk.push(finding, node.span);
}

fn text(walk: &mut Walk<'_>, rule: TextRule, node: &Node, scalar: &Scalar) {
    if scalar.plain && !plain_text(walk, rule, node, scalar) {
        return;
    }
    if let Some((code, title, label)) = broken_rule(rule, &scalar.text) {
        let title = match rule {
            TextRule::NotEmpty => format!("{} is empty", walk.subject()),
            TextRule::Duration => format!("{} must be a duration with a unit", walk.subject()),
            _ => title,
        };
        let mut finding = walk.finding(code, title, label);
        if rule == TextRule::Duration && scalar.text.bytes().all(|byte| byte.is_ascii_digit()) {
            finding = finding
                .fix(walk.replace("in seconds", format!("{}s", scalar.text)))
                .fix(walk.replace("in minutes", format!("{}m", scalar.text)));
        }
        walk.push(finding, node.span);
    }
}

/// Whether an unquoted scalar is a text to every reader, or a number that counts as written.
fn plain_text(walk: &mut Walk<'_>, rule: TextRule, node: &Node, scalar: &Scalar) -> bool {
    let meaning = core(&scalar.text);
    let subject = walk.subject();
    let finding = if matches!(meaning, Core::Bool(_)) || yaml_1_1_bool(&scalar.text).is_some() {
        let title = format!("{subject} is a bare `{}`", scalar.text);
        walk.finding(
            Code("E0126"),
            title,
            "a truth value to YAML readers; a text is meant here",
        )
    } else {
        match (meaning, rule) {
            (Core::Text, _) | (_, TextRule::AsWritten | TextRule::Duration) => return true,
            (_, TextRule::Release) => {
                let title = format!("{subject} must be a release in quotes");
                let label = format!("YAML reads this as the number {}", as_read(meaning));
                walk.finding(Code("E0127"), title, label)
            }
            _ => {
                let title = format!("{subject} must be a text");
                walk.finding(
                    Code("E0122"),
                    title,
                    format!("this is {}", say::found(node)),
                )
            }
        }
    };
    let finding = finding.fix(walk.quotes(&scalar.text));
    walk.push(finding, node.span);
    false
}

fn as_read(meaning: Core) -> String {
    match meaning {
        Core::Integer(value) => value.to_string(),
        Core::Float(value) => value.to_string(),
        _ => String::new(),
    }
}

/// What a text breaks: code, title, label.
pub(super) fn broken_rule(rule: TextRule, text: &str) -> Option<(Code, String, String)> {
    match rule {
        TextRule::Free | TextRule::AsWritten | TextRule::Release => None,
        TextRule::NotEmpty => text.is_empty().then(|| {
            (
                Code("E0124"),
                "a text is empty".to_owned(),
                "something is needed here".to_owned(),
            )
        }),
        TextRule::Duration => Millis::parse(text).err().map(|_| {
            let label = "write a number and a unit: `90s`, `60m`, `1h30m`, `500ms`".to_owned();
            (Code("E0125"), format!("`{text}` is not a duration"), label)
        }),
        TextRule::Name => Name::parse(text).err().map(|invalid| {
            (
                Code("E0201"),
                format!("`{text}` is not a name"),
                invalid.why.to_owned(),
            )
        }),
        TextRule::Node => node_rule(text).map(|why| {
            (
                Code("E0202"),
                format!("`{text}` is not the name of a node"),
                why.to_owned(),
            )
        }),
        TextRule::Variable if is_key(text) => Some((
            Code("E0204"),
            "a key stands where the name of a variable is meant".to_owned(),
            "this looks like the secret itself: name the variable that has it".to_owned(),
        )),
        TextRule::Variable => variable_rule(text).map(|why| {
            (
                Code("E0203"),
                format!("`{text}` is not the name of a variable"),
                why.to_owned(),
            )
        }),
    }
}

/// Whether a text is a key of a provider rather than the name of a variable. Names may be long and in small letters, such
/// as `npm_config_node_version_18`: what could be one counts as a key only if it looks drawn by lot.
fn is_key(text: &str) -> bool {
    let dashed = ["sk-", "glpat-", "nvapi-", "xai-"];
    let mut starts = ["hf_", "ghp_", "gsk_"].iter();
    let rest = starts.find_map(|start| text.strip_prefix(start));
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    // Tokens of Hugging Face are letters alone.
    let by_lot = (has(u8::is_ascii_digit) || text.starts_with("hf_") && text.len() >= 33)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && !rest.unwrap_or(text).contains('_');
    let begins = dashed.iter().any(|start| text.starts_with(start));
    text.len() >= 12 && begins || text.len() >= 24 && by_lot
}

fn node_rule(text: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    if text.is_empty() {
        Some("it is empty")
    } else if text.starts_with(['-', '.']) {
        Some("it must not start with `-` or `.`")
    } else if !text.chars().all(allowed) {
        Some("only letters, digits, `.`, `_`, `:` and `-` may be used")
    } else if text.len() > 253 {
        Some("it is longer than 253 characters")
    } else {
        None
    }
}

fn variable_rule(text: &str) -> Option<&'static str> {
    let fits = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) {
        Some("it must start with a letter or `_`")
    } else if !fits {
        Some("only letters, digits and `_` may be used")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::is_key;

    #[test]
    fn keys_are_told_from_names() {
        let keys = [
            "sk-abcdef123456",
            "hf_AbCdEfGhIjKlMnOpQrStUvWx12",
            "A1b2C3d4E5f6G7h8I9j0K1l2",
        ];
        let names = [
            "OPENAI_API_KEY",
            "npm_config_node_version_18_path",
            "hf_transfer_enable_for_run_2_Please",
            "sk-x",
            "my-long-variable-name-number-2",
        ];
        assert!(keys.into_iter().all(is_key));
        for name in names {
            assert!(!is_key(name), "{name}");
        }
    }
}
