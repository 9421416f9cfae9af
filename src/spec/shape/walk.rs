//! Tree against shape: every structural mistake, in one pass.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::say;
use super::scalars;
use super::types::{Record, Shape, TextRule};
use crate::base::{FieldPath, Span};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place};
use crate::spec::build::{MAX_FINDINGS, too_many};
use crate::spec::scalar::{Core, core, yaml_1_1_bool};
use crate::spec::similar::similar;
use crate::spec::tree::{Entry, Kind, Node, Scalar};

/// Everything about `root` that does not have the shape it must have.
pub(in crate::spec) fn check<'a>(shape: &'a Shape, root: &Node, text: &'a str) -> Vec<Diagnostic> {
    let mut walk = Walk {
        union: None,
        text,
        path: FieldPath::root(),
        alias: None,
        seen: HashSet::new(),
        findings: Vec::new(),
    };
    walk.value(shape, root);
    walk.findings
}

pub(super) struct Walk<'a> {
    /// The union of which the present shape is one form, for messages that name them all.
    union: Option<&'a Shape>,
    /// The file's text, for patches that keep what was written.
    pub(super) text: &'a str,
    path: FieldPath,
    /// The alias through which the present value came.
    alias: Option<Span>,
    /// Places reported by now: a mistake in an anchor is one mistake, however often it is used.
    seen: HashSet<(Code, Span)>,
    findings: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    pub(super) fn value(&mut self, shape: &'a Shape, node: &Node) {
        let (alias, union) = (self.alias, self.union.take());
        self.alias = node.alias.or(alias);
        self.present(shape, node);
        (self.alias, self.union) = (alias, union);
    }

    fn present(&mut self, shape: &'a Shape, node: &Node) {
        if let Kind::Scalar(scalar) = &node.kind
            && scalar.plain
            && core(&scalar.text) == Core::Null
            && !matches!(shape, Shape::Any)
        {
            if !scalar.text.is_empty() || node.alias.is_none() {
                self.no_value(shape, node, scalar);
            }
            return;
        }
        match (shape, &node.kind) {
            (Shape::OneOf(forms), _) => match Shape::of_node(forms, node) {
                Some(form) => self.form(shape, form, node),
                None => self.none_of(shape, forms, node),
            },
            (Shape::Any, Kind::Map(entries)) => {
                for entry in entries {
                    self.inside(&entry.key, |walk| walk.value(shape, &entry.value));
                }
            }
            (Shape::Any, Kind::Seq(items)) => self.items(shape, items),
            (Shape::List { item, min }, Kind::Seq(items)) => {
                if items.len() < *min {
                    let title = format!("{} is empty", self.subject());
                    self.report(Code("E0124"), node.span, title, "at least one is needed");
                }
                self.items(item, items);
            }
            (
                Shape::Dict {
                    keys,
                    value,
                    no_null,
                },
                Kind::Map(entries),
            ) => {
                for entry in entries {
                    self.key(*keys, entry);
                    self.inside(&entry.key, |walk| walk.entry(value, &entry.value, *no_null));
                }
            }
            (Shape::Record(record), Kind::Map(entries)) => self.record(record, node, entries),
            (_, Kind::Scalar(scalar)) if scalars::is_scalar(shape) => {
                scalars::check(self, shape, node, scalar);
            }
            _ => self.wrong_kind(shape, node),
        }
    }

    fn form(&mut self, union: &'a Shape, form: &'a Shape, node: &Node) {
        self.union = Some(union);
        self.present(form, node);
        self.union = None;
    }

    /// A value of a mapping with free keys, where `null` may be refused although anything goes.
    fn entry(&mut self, shape: &'a Shape, node: &Node, no_null: bool) {
        if let Kind::Scalar(scalar) = &node.kind
            && no_null
            && scalar.plain
            && core(&scalar.text) == Core::Null
        {
            self.no_value(shape, node, scalar);
        } else {
            self.value(shape, node);
        }
    }

    fn items(&mut self, shape: &'a Shape, items: &[Node]) {
        for (index, item) in items.iter().enumerate() {
            let inner = self.path.index(index);
            let outer = std::mem::replace(&mut self.path, inner);
            self.value(shape, item);
            self.path = outer;
        }
    }

    fn inside(&mut self, key: &str, visit: impl FnOnce(&mut Self)) {
        let inner = self.path.key(key);
        let outer = std::mem::replace(&mut self.path, inner);
        visit(self);
        self.path = outer;
    }

    fn record(&mut self, record: &'a Record, node: &Node, entries: &[Entry]) {
        for entry in entries {
            match record.fields.get(&entry.key) {
                Some(field) => {
                    self.inside(&entry.key, |walk| walk.value(&field.shape, &entry.value));
                }
                None => self.unknown_key(record, node, entry),
            }
        }
        let missing = record
            .fields
            .iter()
            .filter(|(name, field)| field.required && node.get(name).is_none());
        for (name, field) in missing {
            let mut finding =
                Diagnostic::error(Code("E0121"), format!("{} has no `{name}`", self.subject())).at(
                    Place::Key(self.path.clone()),
                    format!("`{name}` is missing"),
                );
            if !field.about.is_empty() {
                finding = finding.help(format!("`{name}`: {}", field.about));
            }
            self.push(finding, node.span);
        }
        for group in &record.exclusive {
            let there: Vec<&Entry> = group.iter().filter_map(|key| node.get(key)).collect();
            if there.len() > 1 {
                self.excluding(&there);
            }
        }
        let known = entries
            .iter()
            .filter(|entry| record.fields.contains_key(&entry.key));
        match known.collect::<Vec<_>>().as_slice() {
            [] if record.exactly_one && entries.is_empty() => {
                let keys: Vec<&String> = record.fields.keys().collect();
                let title = format!("{} needs one of {}", self.subject(), say::list(&keys));
                self.report(Code("E0121"), node.span, title, "there is none");
            }
            several if record.exactly_one && several.len() > 1 => self.excluding(several),
            _ => {}
        }
    }

    fn excluding(&mut self, entries: &[&Entry]) {
        let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let title = format!("{} exclude each other", say::list(&names));
        let mut finding = Diagnostic::error(Code("E0129"), title);
        for (index, entry) in entries.iter().enumerate() {
            let place = Place::Span(entry.key_span);
            finding = match index {
                0 => finding.at(place, "keep just one of them"),
                _ => finding.see(place, "another one"),
            };
        }
        self.push(finding, entries[0].key_span);
    }

    fn unknown_key(&mut self, record: &'a Record, node: &Node, entry: &Entry) {
        let key = &entry.key;
        let place = Place::Key(self.path.key(key.clone()));
        let title = if self.path.segments().is_empty() {
            format!("unknown key `{key}` at the top")
        } else {
            format!("unknown key `{key}` in `{}`", self.path)
        };
        let mut finding =
            Diagnostic::error(Code("E0120"), title).at(place.clone(), "not a key of this mapping");
        let free = record
            .fields
            .keys()
            .map(String::as_str)
            .filter(|name| node.get(name).is_none());
        let holder = record.fields.iter().find(|(_, field)| {
            matches!(&field.shape, Shape::Record(inner) if inner.fields.contains_key(key))
        });
        if let Some(near) = similar(key, free) {
            finding = finding.fix(Fix {
                title: format!("did you mean `{near}`?"),
                place,
                replacement: near.to_owned(),
                applicability: Applicability::Guess,
            });
        } else if let Some((holder, _)) = holder {
            finding = finding.help(format!(
                "`{key}` is a key of `{holder}`: `{holder}: {{ {key}: … }}`"
            ));
        } else if record.fields.contains_key("args") {
            let flag = key.replace('_', "-");
            finding = finding.help(format!(
                "flags of the server go under `args`: `args: {{ {flag}: … }}`"
            ));
        } else {
            let keys: Vec<&String> = record.fields.keys().collect();
            finding = finding.help(format!("known keys: {}", say::list(&keys)));
        }
        self.push(finding, entry.key_span);
    }

    fn key(&mut self, rule: TextRule, entry: &Entry) {
        if let Some((code, title, label)) = scalars::broken_rule(rule, &entry.key) {
            let place = Place::Key(self.path.key(entry.key.clone()));
            let finding = Diagnostic::error(code, title).at(place, label);
            self.push(finding, entry.key_span);
        }
    }

    fn no_value(&mut self, shape: &'a Shape, node: &Node, scalar: &Scalar) {
        let subject = self.subject();
        let word = &scalar.text;
        if word.is_empty() {
            let place = Place::Key(self.path.clone());
            let finding = Diagnostic::error(Code("E0128"), format!("{subject} has no value"))
                .at(place, format!("needs {}", say::needed(shape)))
                .help("remove the key to get its default");
            return self.push(finding, node.span);
        }
        let label = "this is no value in YAML";
        if matches!(shape, Shape::Text(_) | Shape::Words(_)) {
            let title = format!("{subject} is a bare `{word}`");
            let finding = self
                .finding(Code("E0126"), title, label)
                .fix(self.quotes(word));
            self.push(finding, node.span);
        } else {
            let title = format!("{subject} has no value");
            self.report(Code("E0128"), node.span, title, label);
        }
    }

    fn wrong_kind(&mut self, shape: &'a Shape, node: &Node) {
        let title = self.must_be(shape);
        let label = format!("this is {}", say::found(node));
        let mut finding = self.finding(Code("E0122"), title, label);
        match (shape, &node.kind) {
            (Shape::List { item, .. }, Kind::Scalar(scalar)) if scalars::is_scalar(item) => {
                let items = match **item {
                    Shape::Text(TextRule::AsWritten) => words(&scalar.text),
                    _ => self.written(node),
                };
                finding = finding.fix(self.replace("write a list", format!("[{items}]")));
            }
            (Shape::Text(_) | Shape::List { .. }, Kind::Map(_)) if is_placeholder(node) => {
                let title = "without quotes YAML reads braces as a mapping";
                finding = finding.fix(self.replace(title, quoted(&self.written(node))));
            }
            (Shape::Dict { .. } | Shape::Record(_), Kind::Seq(_)) => {
                finding = finding.help("a mapping has `name: value` entries without `-`");
            }
            (Shape::Record(record), _) if record.fields.len() > 4 => {
                let keys: Vec<&String> = record.fields.keys().collect();
                finding = finding.help(format!("its keys: {}", say::list(&keys)));
            }
            _ => {}
        }
        self.push(finding, node.span);
    }

    /// No form of a union fits the kind of node.
    fn none_of(&mut self, shape: &'a Shape, forms: &'a [Shape], node: &Node) {
        if let Kind::Scalar(scalar) = &node.kind {
            let number =
                |form: &&Shape| matches!(form, Shape::Integer { .. } | Shape::Number { .. });
            let text = |form: &&Shape| matches!(form, Shape::Text(_) | Shape::Words(_));
            let meant = if core(&scalar.text) == Core::Text && scalar.plain {
                None
            } else {
                // A quoted number, or a bare number or truth value where a text is meant.
                forms
                    .iter()
                    .find(number)
                    .filter(|_| !scalar.plain)
                    .or_else(|| forms.iter().find(text))
            };
            if let Some(meant) = meant {
                return self.form(shape, meant, node);
            }
        }
        self.wrong_kind(shape, node);
    }

    /// What is talked about: its path, or the file.
    pub(super) fn subject(&self) -> String {
        if self.path.segments().is_empty() {
            "the cluster".to_owned()
        } else {
            format!("`{}`", self.path)
        }
    }

    /// That it must be what it is not.
    pub(super) fn must_be(&self, shape: &Shape) -> String {
        let needed = say::needed(self.union.unwrap_or(shape));
        format!("{} must be {needed}", self.subject())
    }

    /// An error about the present value.
    pub(super) fn finding(
        &self,
        code: Code,
        title: String,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, title).at(Place::Value(self.path.clone()), label)
    }

    /// The present value in double quotes.
    pub(super) fn quotes(&self, text: &str) -> Fix {
        self.replace("write it in quotes", quoted(text))
    }

    /// Something else for the present value.
    pub(super) fn replace(&self, title: impl Into<String>, replacement: String) -> Fix {
        Fix {
            title: title.into(),
            place: Place::Value(self.path.clone()),
            replacement,
            applicability: Applicability::Sure,
        }
    }

    /// The value as it stands in the file.
    fn written(&self, node: &Node) -> String {
        self.text
            .get(node.span.range())
            .unwrap_or_default()
            .to_owned()
    }

    pub(super) fn report(&mut self, code: Code, span: Span, title: String, label: &str) {
        let finding = self.finding(code, title, label);
        self.push(finding, span);
    }

    pub(super) fn push(&mut self, mut finding: Diagnostic, span: Span) {
        match self.findings.len().cmp(&MAX_FINDINGS) {
            Ordering::Less => {}
            Ordering::Equal => return self.findings.push(too_many(Place::Span(span))),
            Ordering::Greater => return,
        }
        if !self.seen.insert((finding.code, span)) && self.alias.is_some() {
            return;
        }
        if let Some(alias) = self.alias {
            finding = finding.see(Place::Span(alias), "used here");
        }
        self.findings.push(finding);
    }
}

/// A `{port}` that nobody quoted: a mapping of one name to nothing.
fn is_placeholder(node: &Node) -> bool {
    let Kind::Map(entries) = &node.kind else {
        return false;
    };
    let nothing = |node: &Node| matches!(&node.kind, Kind::Scalar(scalar) if scalar.plain && scalar.text.is_empty());
    matches!(entries.as_slice(), [only] if nothing(&only.value))
}

/// A command line as the items of a list.
fn words(line: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./=@-".contains(c);
    let item = |word: String| {
        let bare =
            word.starts_with(|c: char| c.is_ascii_alphabetic() || "./".contains(c) || c == '-');
        let means_text = core(&word) == Core::Text && yaml_1_1_bool(&word).is_none();
        if bare && means_text && word.len() > 1 && word.chars().all(plain) {
            word
        } else {
            quoted(&word)
        }
    };
    let words = shlex::split(line).unwrap_or_else(|| vec![line.to_owned()]);
    words.into_iter().map(item).collect::<Vec<_>>().join(", ")
}

/// A text in double quotes, as YAML reads it back.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
