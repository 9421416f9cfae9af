//! The YAML as it was read, `--set` included: texts, tree, and where a value comes from.

use super::origin::Origin;
use super::tree::{Kind, Tree};
use crate::base::{FieldPath, Span};
use crate::diag::{Found, Place, Sources};

/// The YAML as it was read. Bytes past the end of the file's text mean the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub(super) name: String,
    pub(super) text: String,
    /// `--set PATH=VALUE` lines.
    pub(super) command_line: String,
    pub(super) tree: Tree,
    /// Values given on the command line.
    pub(super) overridden: Vec<FieldPath>,
}

impl Document {
    /// The file's text, lines ended with LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the file says, with what the command line says in its place.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The cluster's name as far as it can be read: of a YAML with errors elsewhere, and of what is no YAML from the first
    /// line that begins with `name:`.
    pub fn cluster_name(&self) -> Option<String> {
        if let Some(entry) = self.tree.root.get("name") {
            return match &entry.value.kind {
                Kind::Scalar(scalar) => Some(scalar.text.clone()),
                Kind::Map(_) | Kind::Seq(_) => None,
            };
        }
        let mut lines = self.text.lines();
        let value = lines.find_map(|line| line.strip_prefix("name:"))?;
        let value = value.split(" #").next()?.trim();
        Some(value.trim_matches(['"', '\'']).to_owned())
    }

    /// Whether the user gave the value at `path`, in the file or on the command line.
    pub fn has(&self, path: &FieldPath) -> bool {
        self.tree.has(path)
    }

    /// Where the value at `path` comes from; none if the user gave none.
    pub fn origin(&self, path: &FieldPath) -> Option<Origin> {
        if !self.has(path) {
            return None;
        }
        let given = |on_line: &FieldPath| path.segments().starts_with(on_line.segments());
        Some(if self.overridden.iter().any(given) {
            Origin::CommandLine(path.clone())
        } else {
            Origin::Yaml(path.clone())
        })
    }

    /// The line of the file, from 1, in which `place` begins; none on the command line.
    pub fn line(&self, place: &Place) -> Option<usize> {
        let start = self.tree.locate(place).start;
        let before = self.text.get(..start)?;
        Some(before.matches('\n').count() + 1)
    }
}

impl Sources for Document {
    fn name(&self) -> &str {
        &self.name
    }

    fn find(&self, place: &Place) -> Option<Found<'_>> {
        let span = self.tree.locate(place);
        let base = self.text.len() + 1;
        if self.text.is_empty() && self.command_line.is_empty() {
            return None;
        }
        Some(if span.start < base {
            Found {
                name: &self.name,
                text: &self.text,
                span,
            }
        } else {
            Found {
                name: "command line",
                text: &self.command_line,
                span: Span::new(span.start - base..span.end - base),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, parse};

    #[test]
    fn the_name_is_read_of_what_has_errors() {
        let name = |text: &str| {
            let parsed = parse(Source::new("a.yaml", text.as_bytes()), &[]);
            assert_eq!(parsed.spec, None);
            parsed.document.cluster_name()
        };
        let small = Some("small".to_owned());
        assert_eq!(name("version: 1\nname: small\nnodes: 3\n"), small);
        assert_eq!(name("name: \"small\" # mine\nnodes: [}\n"), small);
        assert_eq!(name("nodes: [}\nname:   small\n"), small);
        assert_eq!(name("version: 1\nname: [small]\n"), None);
        assert_eq!(name("nodes: [}\n  name: small\n"), None);
    }
}
