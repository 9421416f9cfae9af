//! The whole way from text to spec. It never fails: what is wrong is found, and said.

use super::ClusterSpec;
use super::build::build;
use super::companions;
use super::document::Document;
use super::lower::lower;
use super::overrides::{CommandLine, Override};
use super::shape;
use super::source::Source;
use super::tree::{Kind, Node, Scalar, Tree};
use crate::base::Span;
use crate::diag::{Code, Diagnostic, Place, Report};

/// A YAML, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The spec; none if the structure has errors.
    pub spec: Option<ClusterSpec>,
    /// Text, tree and origins, also of what has errors.
    pub document: Document,
    /// Every structural error.
    pub diagnostics: Report,
}

/// Reads a cluster YAML with what the command line sets in it.
pub fn parse(source: Source, overrides: &[Override]) -> Parsed {
    let mut diagnostics = Report::new();
    let mut document = Document {
        name: source.name,
        text: source.text,
        command_line: String::new(),
        tree: Tree { root: nothing() },
        overridden: Vec::new(),
    };
    let spec = match source.refusal {
        Some(refusal) => {
            diagnostics.push(refusal);
            None
        }
        None => read(&mut document, overrides, &mut diagnostics),
    };
    Parsed {
        spec,
        document,
        diagnostics,
    }
}

fn read(
    document: &mut Document,
    overrides: &[Override],
    findings: &mut Report,
) -> Option<ClusterSpec> {
    let root = build(&document.text, 0, findings);
    if root.as_ref().is_none_or(is_nothing) {
        if findings.is_empty() {
            findings.push(empty(document));
        }
        return None;
    }
    document.tree.root = root?;
    let shape = shape::cluster();
    let line = CommandLine::apply(
        overrides,
        document.text.len() + 1,
        shape,
        &mut document.tree.root,
        findings,
    );
    document.command_line = line.text;
    document.overridden = line.set;
    findings.extend(shape::check(shape, &document.tree.root, &document.text));
    findings.extend(companions::check(&document.tree.root));
    findings.sort_by_key(|finding| position(document, finding));
    if !findings.is_empty() {
        return None;
    }
    lower(shape, &document.tree.root)
        .map_err(|finding| findings.push(*finding))
        .ok()
}

/// Findings are shown in the order of the file.
fn position(document: &Document, finding: &Diagnostic) -> usize {
    finding
        .labels
        .first()
        .map_or(0, |label| document.tree.locate(&label.place).start)
}

fn is_nothing(root: &Node) -> bool {
    matches!(&root.kind, Kind::Scalar(scalar) if scalar.plain && scalar.text.is_empty())
}

fn nothing() -> Node {
    Node {
        span: Span::default(),
        alias: None,
        kind: Kind::Scalar(Scalar {
            text: String::new(),
            plain: true,
        }),
    }
}

fn empty(document: &Document) -> Diagnostic {
    Diagnostic::error(Code("E0103"), format!("`{}` is empty", document.name))
        .at(Place::Span(Span::default()), "")
        .help("`toolorch init` writes a commented starter")
}
