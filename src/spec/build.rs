//! Parser events to a [`Node`]: anchors and merge keys filled in, duplicates found, all of it bounded.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, Parser, ScalarStyle, StrInput};

use super::source::{is_allowed, shown};
use super::syntax;
use super::tree::{Entry, Kind, Node, Scalar};
use crate::base::Span;
use crate::diag::{Code, Diagnostic, Place};

/// Deepest nesting: bounds the stack that reading, checking and lowering take.
const MAX_DEPTH: usize = 64;
/// Most values of a document, aliases filled in: bounds what an alias bomb can take.
const MAX_NODES: usize = 100_000;

/// After this many mistakes the rest is not worth reading.
pub(super) const MAX_FINDINGS: usize = 100;

/// Reads the one document of `text`; spans count from `base`.
///
/// None if there is no document, or none that can be understood; `findings` says why.
pub(super) fn build(text: &str, base: usize, findings: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut options = granit_parser::Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    options.emit_anchor_events = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        base,
        anchors: HashMap::new(),
        names: BTreeMap::new(),
        nodes: 0,
        depth: 0,
        findings,
    };
    match builder.document() {
        Ok(node) => node,
        Err(fatal) => {
            builder.findings.push(*fatal);
            None
        }
    }
}

/// After this nothing more can be read.
type Fatal = Box<Diagnostic>;

struct Builder<'a, 'f> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    base: usize,
    /// Finished anchored values by the parser's number, with their size in values.
    anchors: HashMap<usize, (Node, usize)>,
    /// Names of anchors so far, for suggestions.
    names: BTreeMap<String, usize>,
    nodes: usize,
    depth: usize,
    findings: &'f mut Vec<Diagnostic>,
}

impl<'a> Builder<'a, '_> {
    /// The next event that is not a mere remark.
    fn next(&mut self) -> Result<(Event<'a>, granit_parser::Span), Fatal> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Anchor(id, name), _))) => {
                    self.names.insert(name.into_owned(), id);
                }
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    return Err(Box::new(syntax::explain(self.text, self.base, &error)));
                }
                None => return Ok((Event::StreamEnd, granit_parser::Span::default())),
            }
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Fatal> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(Box::new(
                        Diagnostic::error(Code("E0109"), "the file holds several documents")
                            .at(self.place(span), "a second document begins here")
                            .help("one file describes one cluster: remove the `---`, or split the file"),
                    ));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span)?);
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: granit_parser::Span) -> Result<Node, Fatal> {
        let before = self.nodes;
        self.count(1, span)?;
        self.descend(span)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (self.scalar(&text, plain, span), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                (self.sequence(span)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                (self.mapping(span)?, anchor)
            }
            Event::Alias(id) => (self.alias(id, span)?, 0),
            Event::UnresolvedAlias(name) => (self.unknown_alias(&name, span), 0),
            _ => (null(self.span(span)), 0),
        };
        self.depth -= 1;
        if anchor != 0 {
            let size = self.nodes - before;
            self.count(size, span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn scalar(&mut self, text: &str, plain: bool, span: granit_parser::Span) -> Node {
        let place = self.place(span);
        // The parser writes `~` where nothing stands.
        let text = if plain && span.is_empty() { "" } else { text };
        if let Some(character) = text.chars().find(|c| !is_allowed(*c)) {
            let title = format!(
                "the control character {} stands in a value",
                shown(character)
            );
            self.findings
                .push(Diagnostic::error(Code("E0112"), title).at(place, "in this text"));
        }
        Node {
            span: self.span(span),
            alias: None,
            kind: Kind::Scalar(Scalar {
                text: text.to_owned(),
                plain,
            }),
        }
    }

    fn sequence(&mut self, start: granit_parser::Span) -> Result<Node, Fatal> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(self.collection(start, span, Kind::Seq(items)));
            }
            items.push(self.node(event, span)?);
        }
    }

    fn mapping(&mut self, start: granit_parser::Span) -> Result<Node, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let there = |entry: &Entry| places.contains_key(&entry.key);
                entries.extend(
                    first_of_each(merged)
                        .into_iter()
                        .filter(|entry| !there(entry)),
                );
                return Ok(self.collection(start, span, Kind::Map(entries)));
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            let Some((key, key_span, plain)) = self.key(key) else {
                continue;
            };
            if let Some(first) = places.insert(key.clone(), key_span) {
                places.insert(key.clone(), first);
                self.findings.push(duplicate(&key, first, key_span));
            } else if plain && key == "<<" {
                self.merge(value, &mut merged);
            } else {
                entries.push(Entry {
                    key,
                    key_span,
                    value,
                });
            }
        }
    }

    /// A key's text, place, and whether it is plain.
    fn key(&mut self, node: Node) -> Option<(String, Span, bool)> {
        let span = node.alias.unwrap_or(node.span);
        match node.kind {
            Kind::Scalar(scalar) if !scalar.text.is_empty() => {
                Some((scalar.text, span, scalar.plain))
            }
            kind => {
                let what = match kind {
                    Kind::Scalar(_) => "a key is empty",
                    Kind::Map(_) => "a mapping stands where a key is meant",
                    Kind::Seq(_) => "a list stands where a key is meant",
                };
                let finding = Diagnostic::error(Code("E0111"), what)
                    .at(Place::Span(span), "a key must be a text")
                    .help("braces in a text need quotes: `\"{port}\"`");
                self.findings.push(finding);
                None
            }
        }
    }

    /// Takes over the entries of what `<<` names.
    fn merge(&mut self, value: Node, merged: &mut Vec<Entry>) {
        let alias = value.alias;
        match value.kind {
            Kind::Map(entries) => merged.extend(entries.into_iter().map(|mut entry| {
                entry.value.alias = entry.value.alias.or(alias);
                entry
            })),
            Kind::Seq(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
                for item in items {
                    self.merge(item, merged);
                }
            }
            _ => self.findings.push(
                Diagnostic::error(Code("E0111"), "`<<` can merge only mappings")
                    .at(Place::Span(alias.unwrap_or(value.span)), "this is none"),
            ),
        }
    }

    fn alias(&mut self, id: usize, span: granit_parser::Span) -> Result<Node, Fatal> {
        let Some((_, size)) = self.anchors.get(&id) else {
            self.findings.push(
                Diagnostic::error(Code("E0111"), "an alias stands inside of its own anchor")
                    .at(self.place(span), "this would never end"),
            );
            return Ok(self.broken_alias(span));
        };
        self.count(*size, span)?;
        let mut node = self.anchors[&id].0.clone();
        node.alias = Some(self.span(span));
        Ok(node)
    }

    fn unknown_alias(&mut self, name: &str, span: granit_parser::Span) -> Node {
        let known = self.names.keys().map(String::as_str);
        let mut finding =
            Diagnostic::error(Code("E0111"), format!("`*{name}` has no anchor before it"))
                .at(self.place(span), "not known here");
        finding = match super::similar::similar(name, known) {
            Some(near) => finding.help(format!("there is an anchor `&{near}`")),
            None => finding.help(format!(
                "a text that starts with `*` needs quotes: `\"*{name}\"`"
            )),
        };
        self.findings.push(finding);
        self.broken_alias(span)
    }

    /// Nothing, with an alias to blame: the walk over shapes says nothing more about it.
    fn broken_alias(&self, span: granit_parser::Span) -> Node {
        let span = self.span(span);
        Node {
            alias: Some(span),
            ..null(span)
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: granit_parser::Span) {
        if tagged {
            let tag = span.tag_span().unwrap_or(span);
            let text = tag.slice(self.text).unwrap_or_default();
            self.findings.push(
                Diagnostic::error(Code("E0110"), format!("the tag `{text}` is not supported"))
                    .at(self.place(tag), "remove it")
                    .help("quotes make a value a text; a text that starts with `!` needs them too"),
            );
        }
    }

    /// Counts nesting once more: the parser does not count pairs such as those of `[: : : :`.
    fn descend(&mut self, span: granit_parser::Span) -> Result<(), Fatal> {
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(Box::new(syntax::too_deep(self.place(span))))
    }

    /// Counts values and mistakes against their budgets.
    fn count(&mut self, more: usize, span: granit_parser::Span) -> Result<(), Fatal> {
        if self.findings.len() >= MAX_FINDINGS {
            return Err(Box::new(too_many(self.place(span))));
        }
        self.nodes += more;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Box::new(
            Diagnostic::error(Code("E0107"), "the YAML has more than 100,000 values")
                .at(self.place(span), "the limit is reached here")
                .help("aliases (`*name`) count as often as they are used"),
        ))
    }

    fn collection(&self, start: granit_parser::Span, end: granit_parser::Span, kind: Kind) -> Node {
        let (start, end) = (self.span(start), self.span(end));
        let inside = &self.text[start.start - self.base..end.end.max(start.end) - self.base];
        Node {
            span: Span::new(start.start..start.start + inside.trim_end().len()),
            alias: None,
            kind,
        }
    }

    fn place(&self, span: granit_parser::Span) -> Place {
        Place::Span(self.span(span))
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        syntax::span(self.text, self.base, span.byte_range())
    }
}

/// There are more mistakes than are shown.
pub(super) fn too_many(place: Place) -> Diagnostic {
    Diagnostic::error(Code("E0113"), format!("more than {MAX_FINDINGS} mistakes"))
        .at(place, "from here on they are not shown")
}

fn null(span: Span) -> Node {
    Node {
        span,
        alias: None,
        kind: Kind::Scalar(Scalar {
            text: String::new(),
            plain: true,
        }),
    }
}

/// Of merged mappings the first that has a key wins.
fn first_of_each(merged: Vec<Entry>) -> Vec<Entry> {
    let mut seen = std::collections::HashSet::new();
    merged
        .into_iter()
        .filter(|entry| seen.insert(entry.key.clone()))
        .collect()
}

fn duplicate(key: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::error(Code("E0108"), format!("the key `{key}` is given twice"))
        .at(Place::Span(second), "again here")
        .see(Place::Span(first), "first here")
        .help("keep one of them")
}
