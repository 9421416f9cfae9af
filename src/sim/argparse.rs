//! vLLM's command-line parser (`FlexibleArgumentParser`, a Python `argparse`) for one release. Pure.
//!
//! Underscores stand for dashes, `--flag=value`, unique abbreviations, `--x`/`--no-x`, `nargs="+"`, dotted JSON
//! (`--flag.key value`), `-O3`. What a release lacks is "unrecognized"; flags that nobody sampled there are accepted.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_yaml::{Mapping, Value as Yaml};

use super::refusal::Refusal;
use super::text::python_repr;
use crate::knowledge::flags::{self, Flag, Takes};
use crate::knowledge::release::{Release, Support};

/// The arguments of `vllm serve`, checked and sorted by flag.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The model argument.
    pub(super) model: Option<String>,
    /// The values of each flag that was given, the last occurrence; a toggle has `True` or `False`.
    pub(super) values: BTreeMap<&'static str, Vec<String>>,
}

impl Parsed {
    /// The single value of a flag.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        self.values.get(flag)?.first().map(String::as_str)
    }

    /// Whether a switch or toggle is on.
    pub(super) fn on(&self, flag: &str) -> bool {
        self.value(flag) == Some("True")
    }
}

/// Parses what follows `vllm serve`.
pub(super) fn parse(args: &[String], release: Release) -> Result<Parsed, Refusal> {
    let args = merge_dotted(normalise(args, release));
    let mut parser = Parser {
        release,
        parsed: Parsed::default(),
        extras: Vec::new(),
    };
    let mut at = 0;
    while at < args.len() {
        let arg = &args[at];
        at += 1;
        if arg == "--" {
            args[at..].iter().for_each(|rest| parser.positional(rest));
            break;
        }
        match parser.option(arg)? {
            Token::Value => parser.positional(arg),
            Token::Unknown => parser.extras.push(arg.clone()),
            Token::Known(option, inline) => {
                let values = parser.take(&option, inline, &args[at..])?;
                at += values.from_rest;
                parser.parsed.values.insert(option.flag.name, values.texts);
            }
        }
    }
    if parser.extras.is_empty() {
        let mut parsed = parser.parsed;
        // The deprecated way to name the model wins, as it is moved to the front.
        let named = parsed
            .values
            .remove("--model")
            .and_then(|values| values.into_iter().next());
        parsed.model = named.or(parsed.model);
        return Ok(parsed);
    }
    let message = format!("unrecognized arguments: {}", parser.extras.join(" "));
    Err(Refusal::usage(release, &message))
}

/// `--config FILE`: the arguments of its YAML take their place right after the model, so that others override them.
///
/// `load` reads a file. As in vLLM, `true` gives the bare flag, a list several values, and everything else its text.
pub(super) fn with_config(
    args: &[String],
    load: impl Fn(&str) -> Option<Mapping>,
) -> Result<Vec<String>, Refusal> {
    let Some(at) = args.iter().position(|arg| arg == "--config") else {
        return Ok(args.to_vec());
    };
    let Some(path) = args.get(at + 1) else {
        let words =
            "ValueError: No config file specified! Please check your command-line arguments.";
        return Err(Refusal::exception(words));
    };
    let config = load(path).ok_or_else(|| {
        let words = format!(
            "FileNotFoundError: [Errno 2] No such file or directory: {}",
            python_repr(path)
        );
        Refusal::exception(&words)
    })?;
    let mut from_file = Vec::new();
    for (key, value) in &config {
        let Some(key) = key.as_str() else { continue };
        if key == "model" && args.first().is_some_and(|first| !first.starts_with('-')) {
            continue;
        }
        from_file.push(format!("--{key}"));
        match value {
            Yaml::Bool(true) => {}
            Yaml::Bool(false) => drop(from_file.pop()),
            Yaml::Sequence(items) => from_file.extend(items.iter().map(plain)),
            other => from_file.push(plain(other)),
        }
    }
    let model = usize::from(args.first().is_some_and(|first| !first.starts_with('-')));
    let rest = args[model..at].iter().chain(&args[at + 2..]).cloned();
    Ok(args[..model]
        .iter()
        .cloned()
        .chain(from_file)
        .chain(rest)
        .collect())
}

fn plain(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// One option string of the release: `--x`, `-x` or `--no-x`.
#[derive(Clone)]
struct OptionString {
    flag: &'static Flag,
    text: String,
    negated: bool,
}

enum Token {
    Value,
    Unknown,
    Known(OptionString, Option<String>),
}

struct Taken {
    texts: Vec<String>,
    from_rest: usize,
}

struct Parser {
    release: Release,
    parsed: Parsed,
    extras: Vec<String>,
}

impl Parser {
    fn positional(&mut self, text: &str) {
        if self.parsed.model.is_none() {
            self.parsed.model = Some(text.to_owned());
        } else {
            self.extras.push(text.to_owned());
        }
    }

    fn known(&self, text: &str) -> Option<OptionString> {
        let found = flags::find(text)?;
        let spelled =
            found.negated || found.flag.name == text || found.flag.aliases.contains(&text);
        let has = found.flag.supported(self.release) != Support::No;
        (spelled && has).then(|| OptionString {
            flag: found.flag,
            text: text.to_owned(),
            negated: found.negated,
        })
    }

    /// What argparse takes a word for (`_parse_optional`).
    fn option(&self, arg: &str) -> Result<Token, Refusal> {
        if !arg.starts_with('-') || arg == "-" {
            return Ok(Token::Value);
        }
        if let Some(option) = self.known(arg) {
            return Ok(Token::Known(option, None));
        }
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg, None),
        };
        if inline.is_some()
            && let Some(option) = self.known(name)
        {
            return Ok(Token::Known(option, inline));
        }
        let mut candidates = self.abbreviated(name);
        if candidates.len() > 1 {
            let names: Vec<&str> = candidates
                .iter()
                .map(|option| option.text.as_str())
                .collect();
            let message = format!("ambiguous option: {arg} could match {}", names.join(", "));
            return Err(Refusal::argument(&message));
        }
        if let Some(option) = candidates.pop() {
            return Ok(Token::Known(option, inline));
        }
        let number = arg[1..].chars().all(|c| c.is_ascii_digit() || c == '.');
        Ok(if number || arg.contains(' ') {
            Token::Value
        } else {
            Token::Unknown
        })
    }

    fn abbreviated(&self, prefix: &str) -> Vec<OptionString> {
        if !prefix.starts_with("--") || prefix.len() < 3 {
            return Vec::new();
        }
        let mut found = Vec::new();
        for flag in flags::all()
            .iter()
            .filter(|flag| flag.supported(self.release) != Support::No)
        {
            let negative =
                (flag.takes == Takes::Toggle).then(|| flag.name.replacen("--", "--no-", 1));
            let texts = std::iter::once((flag.name.to_owned(), false))
                .chain(negative.map(|text| (text, true)));
            let matching = texts.filter(|(text, _)| text.starts_with(prefix));
            found.extend(matching.map(|(text, negated)| OptionString {
                flag,
                text,
                negated,
            }));
        }
        found
    }

    /// The values of an option: its inline one, or words of the rest.
    fn take(
        &self,
        option: &OptionString,
        inline: Option<String>,
        rest: &[String],
    ) -> Result<Taken, Refusal> {
        let flag = option.flag;
        let refuse =
            |message: &str| Refusal::argument(&format!("argument {}: {message}", display(flag)));
        if flag.takes.nothing() {
            if let Some(value) = inline {
                return Err(refuse(&format!(
                    "ignored explicit argument {}",
                    python_repr(&value)
                )));
            }
            let text = if option.negated { "False" } else { "True" };
            return Ok(Taken {
                texts: vec![text.to_owned()],
                from_rest: 0,
            });
        }
        let (texts, from_rest) = if let Some(value) = inline {
            (vec![value], 0)
        } else {
            let wanted = if flag.many { usize::MAX } else { 1 };
            let mut texts = Vec::new();
            for word in rest.iter().take(wanted) {
                match self.option(word)? {
                    Token::Value if word != "--" => texts.push(word.clone()),
                    _ => break,
                }
            }
            if texts.is_empty() {
                let expected = if flag.many {
                    "expected at least one argument"
                } else {
                    "expected one argument"
                };
                return Err(refuse(expected));
            }
            let count = texts.len();
            (texts, count)
        };
        for text in &texts {
            convert(flag, text).map_err(|message| refuse(&message))?;
        }
        Ok(Taken { texts, from_rest })
    }
}

/// How argparse names a flag in its messages: every spelling, joined by `/`.
fn display(flag: &Flag) -> String {
    let mut names = vec![flag.name.to_owned()];
    if flag.takes == Takes::Toggle {
        names.push(flag.name.replacen("--", "--no-", 1));
    }
    names.extend(flag.aliases.iter().map(|alias| (*alias).to_owned()));
    names.join("/")
}

fn convert(flag: &Flag, text: &str) -> Result<(), String> {
    let invalid = |kind: &str| format!("invalid {kind} value: {}", python_repr(text));
    match flag.takes {
        Takes::Integer if text.trim().parse::<i64>().is_err() => return Err(invalid("int")),
        Takes::Float if text.trim().parse::<f64>().is_err() => return Err(invalid("float")),
        Takes::HumanInteger if human_integer(text).is_none() => {
            return Err(invalid("human_readable_int"));
        }
        Takes::HumanIntegerOrAuto if text != "auto" && human_integer(text).is_none() => {
            return Err(invalid("human_readable_int_or_auto"));
        }
        Takes::Json if serde_json::from_str::<Value>(text).is_err() => {
            return Err(format!(
                "Value {text} cannot be converted to <function loads at 0x7f0000000000>."
            ));
        }
        _ => {}
    }
    if flag.choices.is_empty() || flag.choices.contains(&text) {
        return Ok(());
    }
    let choices: Vec<String> = flag
        .choices
        .iter()
        .map(|choice| python_repr(choice))
        .collect();
    Err(format!(
        "invalid choice: {} (choose from {})",
        python_repr(text),
        choices.join(", ")
    ))
}

/// vLLM's `human_readable_int`: `32k` is 32,000 and `32K` is 32,768; decimals only with the small letters.
pub(super) fn human_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (number, scale) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 1e3),
        'm' => (&text[..text.len() - 1], 1e6),
        'g' => (&text[..text.len() - 1], 1e9),
        't' => (&text[..text.len() - 1], 1e12),
        letter @ ('K' | 'M' | 'G' | 'T') => {
            let power = "KMGT".find(letter)? + 1;
            let whole: i64 = text[..text.len() - 1].parse().ok()?;
            return whole.checked_mul(1024_i64.checked_pow(u32::try_from(power).ok()?)?);
        }
        _ => return text.parse().ok(),
    };
    let scaled = number.parse::<f64>().ok()? * scale;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be a whole number below 2^53"
    )]
    let whole = (scaled.is_finite() && scaled.abs() < 9e15).then_some(scaled as i64);
    whole
}

fn normalise(args: &[String], release: Release) -> Vec<String> {
    // Before it had its own flag, `-O` was short for the compilation config.
    let level_flag = if flags::supported("--optimization-level", release) == Support::No {
        "--compilation-config"
    } else {
        "--optimization-level"
    };
    let mut out = Vec::with_capacity(args.len());
    for (index, arg) in args.iter().enumerate() {
        if arg.starts_with("--") {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (arg.as_str(), None),
            };
            let end = name.find('.').unwrap_or(name.len());
            let name = format!("{}{}", name[..end].replace('_', "-"), &name[end..]);
            out.push(value.map_or_else(|| name.clone(), |value| format!("{name}={value}")));
        } else if let Some(level) = arg.strip_prefix("-O").filter(|level| !level.is_empty()) {
            out.push(level_flag.to_owned());
            out.push(level.strip_prefix('=').unwrap_or(level).to_owned());
        } else if arg == "-O"
            && args
                .get(index + 1)
                .is_some_and(|next| ["0", "1", "2", "3"].contains(&next.as_str()))
        {
            out.push(level_flag.to_owned());
        } else {
            out.push(arg.clone());
        }
    }
    out
}

/// Gathers `--flag.key value` into one `--flag JSON` at the end, as vLLM does.
fn merge_dotted(args: Vec<String>) -> Vec<String> {
    let mut out = Vec::with_capacity(args.len());
    let mut dotted: Vec<(String, Value)> = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let name = arg.split('=').next().unwrap_or_default();
        let number = arg
            .trim_start_matches('-')
            .starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if !arg.starts_with('-') || !name.contains('.') || number {
            out.push(arg);
            continue;
        }
        let (name, text) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (arg.clone(), args.next().unwrap_or_default()),
        };
        let (flag, keys) = name.split_once('.').unwrap_or((&name, ""));
        let (keys, value) = match keys.strip_suffix('+') {
            Some(keys) => (keys, Value::from(text.split(',').collect::<Vec<_>>())),
            None => (
                keys,
                serde_json::from_str(&text).unwrap_or(Value::String(text)),
            ),
        };
        let at = dotted
            .iter()
            .position(|(known, _)| known == flag)
            .unwrap_or_else(|| {
                dotted.push((flag.to_owned(), Value::Object(serde_json::Map::new())));
                dotted.len() - 1
            });
        let place = keys.split('.').fold(&mut dotted[at].1, |node, key| {
            if !node.is_object() {
                *node = Value::Object(serde_json::Map::new());
            }
            &mut node[key]
        });
        *place = value;
    }
    for (flag, value) in dotted {
        out.push(flag);
        out.push(value.to_string());
    }
    out
}
