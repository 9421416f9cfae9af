//! Keys that are understood and have no effect yet: said once, and refused where they are needed.

use super::document::Document;
use super::tree::{Kind, Node};
use crate::base::{FieldPath, Segment};
use crate::diag::{Code, Diagnostic, Place};

/// A key whose behaviour comes in a later release.
struct Later {
    /// Where it stands; `*` is any key or item.
    path: &'static str,
    /// The words that need it; none if every value does.
    words: &'static [&'static str],
    /// What will use it.
    what: &'static str,
    /// It speaks of the site: a rehearsal has its own.
    of_site: bool,
}

const fn later(path: &'static str, words: &'static [&'static str], what: &'static str) -> Later {
    Later {
        path,
        words,
        what,
        of_site: false,
    }
}

const fn site(path: &'static str, words: &'static [&'static str], what: &'static str) -> Later {
    Later {
        of_site: true,
        ..later(path, words, what)
    }
}

/// The command that needs nothing of the site.
pub const REHEARSE: &str = "rehearse";

/// All of them. A row goes when its behaviour comes.
const LATER: &[Later] = &[
    site("hf.token.file", &[], "secrets from files"),
    later("models.*.engine", &["sglang"], "SGLang"),
    later("models.*.span", &[], "replicas over several nodes"),
    site("externals.*.api_key.file", &[], "secrets from files"),
    site("evals.*.launcher", &["slurm"], "SLURM"),
    site(
        "evals.*.on_move",
        &["front"],
        "forwarders for endpoints that move",
    ),
    later("client_config.format", &["litellm"], "LiteLLM"),
    later("client_configs.*.format", &["litellm"], "LiteLLM"),
];

/// A key of the YAML whose behaviour comes later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterKey {
    /// Where it stands.
    pub path: FieldPath,
    /// What will use it.
    pub what: &'static str,
    /// It speaks of the site: a rehearsal does without it.
    pub of_site: bool,
}

impl LaterKey {
    /// It says where weights come from or go to: what `fetch` needs.
    pub fn is_of_weights(&self) -> bool {
        self.path
            .segments()
            .first()
            .is_some_and(|first| *first == Segment::Key("hf".to_owned()))
    }
}

/// The keys of this YAML whose behaviour comes in a later release, in the order of the file.
pub fn later_keys(document: &Document) -> Vec<LaterKey> {
    let mut found = Vec::new();
    for row in LATER {
        let steps: Vec<&str> = row.path.split('.').collect();
        find(
            row,
            &steps,
            &document.tree().root,
            &FieldPath::root(),
            &mut found,
        );
    }
    found.sort_by_key(|key| document.tree().locate(&Place::Key(key.path.clone())).start);
    found
}

fn find(row: &Later, steps: &[&str], node: &Node, path: &FieldPath, found: &mut Vec<LaterKey>) {
    let Some((step, rest)) = steps.split_first() else {
        if row.words.is_empty() || is_one_of(node, row.words) {
            found.push(LaterKey {
                path: path.clone(),
                what: row.what,
                of_site: row.of_site,
            });
        }
        return;
    };
    let Kind::Map(entries) = &node.kind else {
        return;
    };
    for entry in entries
        .iter()
        .filter(|entry| *step == "*" || entry.key == *step)
    {
        find(row, rest, &entry.value, &path.key(&entry.key), found);
    }
}

fn is_one_of(node: &Node, words: &[&str]) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if words.contains(&scalar.text.as_str()))
}

/// One note for all of them, for `check`; none if there are none.
pub fn later_note(keys: &[LaterKey]) -> Option<Diagnostic> {
    let title = "keys whose behaviour comes in a later release".to_owned();
    labelled(Diagnostic::note(Code("N0150"), title), keys)
}

/// The refusal of a command that needs them (exit 2); none if there are none.
pub fn later_refusal(keys: &[LaterKey], command: &str) -> Option<Diagnostic> {
    let needed: Vec<LaterKey> = keys
        .iter()
        .filter(|key| !(key.of_site && command == REHEARSE))
        .cloned()
        .collect();
    let title = format!("`{command}` needs what comes in a later release");
    let refusal = labelled(Diagnostic::error(Code("E0151"), title), &needed)?;
    Some(refusal.help("remove the keys, or wait for that release"))
}

fn labelled(finding: Diagnostic, keys: &[LaterKey]) -> Option<Diagnostic> {
    if keys.is_empty() {
        return None;
    }
    let label =
        |finding: Diagnostic, key: &LaterKey| finding.at(Place::Key(key.path.clone()), key.what);
    Some(keys.iter().fold(finding, label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::human;
    use crate::spec::{Source, parse};
    use insta::assert_snapshot;

    #[test]
    fn every_row_names_a_key_that_exists() {
        for row in LATER {
            let mut steps = row.path.split('.');
            let found =
                steps.try_fold(crate::spec::shape::cluster(), |shape, step| shape.key(step));
            assert!(found.is_some(), "{}", row.path);
        }
    }

    #[test]
    fn one_note_names_all_of_them() {
        let yaml = "version: 1\nname: a\nlauncher: slurm\npools: { p: { nodes: 1, gpus: 8 } }\n\
                    models: { m: { model: m, node: p, engine: vllm } }\nhf: { token: { file: t } }\n";
        let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
        assert_eq!(parsed.diagnostics, []);
        let keys = later_keys(&parsed.document);
        let note = later_note(&keys).expect("there are three");
        assert_snapshot!(human(&[note], &parsed.document, false), @r"
        note[N0150]: keys whose behaviour comes in a later release
         --> a.yaml:6:16
          |
        6 | hf: { token: { file: t } }
          |                ^^^^ secrets from files

        note: 1 note in a.yaml
        ");
    }
}
