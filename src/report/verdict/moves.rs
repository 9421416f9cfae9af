//! GPUs that go from one class to another, and why some cannot.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{Class, Evidence};
use super::patch;

/// What GPUs that no class has are called.
pub(super) const UNUSED: &str = "unused";

/// GPUs that go from one class to another: `2 coder:orchestrator`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// How many.
    pub gpus: usize,
    /// The class that gives them; `unused` stands for GPUs that no class has.
    pub from: String,
    /// The class that gets them.
    pub to: String,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.gpus, self.from, self.to)
    }
}

/// Why a text is no move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`"
)]
pub struct InvalidMove {
    /// The text as given.
    pub text: String,
}

impl FromStr for Move {
    type Err = InvalidMove;

    fn from_str(text: &str) -> Result<Self, InvalidMove> {
        let read = || {
            let text = text.trim();
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            let (gpus, rest) = text.split_at(digits);
            // `2 a:b`, `2x a:b`, `2xa:b`: without a space an `x` has to tell the number from the name.
            let rest = rest
                .strip_prefix(['x', '×'])
                .or_else(|| rest.strip_prefix(char::is_whitespace))?;
            let (from, to) = rest.trim().split_once(':')?;
            let (from, to) = (from.trim(), to.trim());
            let named = !from.is_empty() && !to.is_empty() && !to.contains(':');
            let gpus = gpus.parse().ok().filter(|gpus| *gpus > 0 && named)?;
            Some(Self {
                gpus,
                from: from.to_owned(),
                to: to.to_owned(),
            })
        };
        read().ok_or_else(|| InvalidMove {
            text: text.to_owned(),
        })
    }
}

/// The replicas of each class after these moves, or why one of them cannot be.
pub(super) fn moved(evidence: &Evidence, moves: &[Move]) -> Result<Vec<usize>, String> {
    let mut replicas: Vec<usize> = evidence
        .classes
        .iter()
        .map(|class| class.replicas)
        .collect();
    if evidence.classes.iter().all(|one| one.gpus_per_replica == 0) {
        return Err("none of its models has GPUs, so that there is nothing to move: ask of a run on GPUs, or of a rehearsal of a cluster that has them (toolorch rehearse CLUSTER.yaml)".to_owned());
    }
    let mut unused = patch::unused(evidence);
    for step in moves {
        let (to, receiver) = found(evidence, &step.to)?;
        if step.from == step.to {
            return Err(format!(
                "`{}` cannot give GPUs to itself: name two models",
                step.to
            ));
        }
        let more = divided(receiver, step.gpus)?;
        match found(evidence, &step.from) {
            Ok((from, donor)) => {
                let less = divided(donor, step.gpus)?;
                if less >= replicas[from] {
                    return Err(format!(
                        "`{}` has {}: without {} GPU{} none is left, and questions that need it fail; its GPUs above that are {}",
                        donor.name,
                        counted(replicas[from], "replica"),
                        step.gpus,
                        plural(step.gpus),
                        replicas[from].saturating_sub(1) * donor.gpus_per_replica,
                    ));
                }
                replicas[from] -= less;
            }
            Err(_) if step.from == UNUSED => {
                if step.gpus > unused {
                    return Err(format!(
                        "{} of the cluster {} unused, fewer than {}",
                        counted(unused, "GPU"),
                        if unused == 1 { "is" } else { "are" },
                        step.gpus
                    ));
                }
                unused -= step.gpus;
            }
            Err(why) => return Err(why),
        }
        replicas[to] += more;
    }
    Ok(replicas)
}

/// A class that has GPUs of its own.
fn found<'a>(evidence: &'a Evidence, name: &str) -> Result<(usize, &'a Class), String> {
    let mut classes = evidence.classes.iter().enumerate();
    match classes.find(|(_, class)| class.name == name) {
        Some((_, class)) if class.gpus_per_replica == 0 => {
            Err(format!("`{name}` has no GPUs of its own"))
        }
        Some((_, class)) if class.fixed => Err(format!(
            "`{name}` is not made of independent replicas, of which there could be more or fewer"
        )),
        Some(found) => Ok(found),
        None => {
            let with = evidence
                .classes
                .iter()
                .filter(|class| class.gpus_per_replica > 0 && !class.fixed);
            let names: Vec<&str> = with.map(|class| class.name.as_str()).collect();
            Err(format!(
                "`{name}` is not known: {}",
                if names.is_empty() {
                    "no model has GPUs that could be moved".to_owned()
                } else {
                    format!("GPUs are with {}", names.join(", "))
                }
            ))
        }
    }
}

/// So many GPUs as replicas of this class.
fn divided(class: &Class, gpus: usize) -> Result<usize, String> {
    let each = class.gpus_per_replica;
    if gpus.is_multiple_of(each) {
        Ok(gpus / each)
    } else {
        Err(format!(
            "a replica of `{}` takes {each} GPUs, and {gpus} {} no multiple of that: a replica is moved whole, or `tensor_parallel` changed first",
            class.name,
            if gpus == 1 { "is" } else { "are" },
        ))
    }
}

/// `1 replica`, `2 replicas`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", plural(count))
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
