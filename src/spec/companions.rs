//! Keys that go together: one that needs another, one that another makes pointless.

use super::tree::{Entry, Kind, Node};
use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};

/// In each mapping at `at` (`*` is any key), what goes with `key: word`.
struct Companions {
    at: &'static str,
    key: &'static str,
    word: &'static str,
    /// Needed with the word, pointless without it.
    needed: &'static [&'static str],
    /// Pointless with the word.
    pointless: &'static [&'static str],
}

const COMPANIONS: &[Companions] = &[
    Companions {
        at: "models.*",
        key: "engine",
        word: "command",
        needed: &["command"],
        pointless: &[
            "args",
            "tool_parser",
            "reasoning_parser",
            "chat_template",
            "layout",
        ],
    },
    Companions {
        at: "client_config",
        key: "format",
        word: "template",
        needed: &["template"],
        pointless: &[],
    },
    Companions {
        at: "client_configs.*",
        key: "format",
        word: "template",
        needed: &["template"],
        pointless: &[],
    },
];

/// Everything in `root` that misses its companion, or stands beside one that makes it pointless.
pub(super) fn check(root: &Node) -> Report {
    let mut findings = Report::new();
    for row in COMPANIONS {
        let steps: Vec<&str> = row.at.split('.').collect();
        each(root, &steps, &FieldPath::root(), &mut |node, path| {
            row.check(node, path, &mut findings);
        });
    }
    each(
        root,
        &["pools", "*"],
        &FieldPath::root(),
        &mut |pool, path| {
            if pool
                .get("launcher")
                .is_some_and(|launcher| !is(launcher, "slurm"))
            {
                let title = format!("`{path}` is a pool, which only SLURM can start");
                let place = Place::Value(path.key("launcher"));
                let finding = Diagnostic::error(Code("E0132"), title);
                findings.push(finding.at(place, "remove it, or write `slurm`"));
            }
        },
    );
    findings
}

impl Companions {
    fn check(&self, node: &Node, path: &FieldPath, findings: &mut Report) {
        let chosen = node.get(self.key).filter(|entry| is(entry, self.word));
        let choice = format!("{}: {}", self.key, self.word);
        for key in self.needed {
            match (chosen, node.get(key)) {
                (Some(_), None) => {
                    let title = format!("`{path}` has `{choice}` and no `{key}`");
                    let place = Place::Value(path.key(self.key));
                    let finding = Diagnostic::error(Code("E0121"), title)
                        .at(place, format!("this needs `{key}`"));
                    findings.push(finding);
                }
                (None, Some(_)) => {
                    let title = format!("`{}` has no effect without `{choice}`", path.key(*key));
                    findings.push(pointless(title, path, key));
                }
                _ => {}
            }
        }
        let beside = self.pointless.iter().filter(|key| node.get(key).is_some());
        for key in beside.filter(|_| chosen.is_some()) {
            let title = format!("`{}` has no effect with `{choice}`", path.key(*key));
            let finding = pointless(title, path, key).see(
                Place::Value(path.key(self.key)),
                "this starts a program of your own",
            );
            findings.push(finding);
        }
    }
}

fn pointless(title: String, path: &FieldPath, key: &str) -> Diagnostic {
    Diagnostic::error(Code("E0132"), title).at(Place::Key(path.key(key)), "nothing would read this")
}

fn is(entry: &Entry, word: &str) -> bool {
    matches!(&entry.value.kind, Kind::Scalar(scalar) if scalar.text == word)
}

/// Visits every mapping that `steps` lead to.
fn each(node: &Node, steps: &[&str], path: &FieldPath, visit: &mut impl FnMut(&Node, &FieldPath)) {
    let Kind::Map(entries) = &node.kind else {
        return;
    };
    let Some((step, rest)) = steps.split_first() else {
        return visit(node, path);
    };
    for entry in entries
        .iter()
        .filter(|entry| *step == "*" || entry.key == *step)
    {
        each(&entry.value, rest, &path.key(&entry.key), visit);
    }
}
