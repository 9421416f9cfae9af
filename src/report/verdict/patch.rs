//! What a change of replicas means in the YAML.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{Class, Evidence};
use crate::base::FieldPath;
use crate::spec::Edit;

/// The key that says how many.
const REPLICAS: &str = "replicas";

/// One value of the YAML that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Where: `models.orchestrator.replicas`.
    pub path: FieldPath,
    /// What stands there.
    pub from: String,
    /// What stands there then.
    pub to: String,
}

/// The changes of the YAML that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// The values that change; `toolorch check` has the last word on them.
    pub changes: Vec<Change>,
    /// What a person has to do beside that, in a sentence.
    pub by_hand: Option<String>,
}

impl Patch {
    /// The same for the text of a YAML.
    pub fn edits(&self) -> Vec<Edit> {
        let items = |text: &str| {
            let list = text.trim_start_matches('[').trim_end_matches(']');
            list.split(", ").map(str::to_owned).collect()
        };
        let edit = |change: &Change| Edit {
            path: change.path.clone(),
            from: items(&change.from),
            to: change.to.clone(),
            // One replica is what a model has of which nothing else is said.
            has_default: change.path.last() == REPLICAS && change.from == "1",
        };
        self.changes.iter().map(edit).collect()
    }
}

/// GPUs of the cluster that no class has.
pub(super) fn unused(evidence: &Evidence) -> usize {
    let all: usize = evidence.nodes.iter().map(|node| node.gpus).sum();
    let used: usize = evidence.classes.iter().map(Class::gpus).sum();
    all.saturating_sub(used)
}

/// The patch that brings these numbers of replicas.
pub(super) fn patch(evidence: &Evidence, replicas: &[usize]) -> Patch {
    let mut nodes: Vec<Vec<String>> = evidence
        .classes
        .iter()
        .map(|class| class.nodes.clone())
        .collect();
    let mut patch = Patch::default();
    let mut by_hand = Vec::new();
    for (index, class) in evidence.classes.iter().enumerate() {
        if replicas[index] == class.replicas {
            continue;
        }
        patch.changes.push(change(
            class,
            REPLICAS,
            class.replicas.to_string(),
            replicas[index].to_string(),
        ));
        if class.pinned {
            match groups(evidence, replicas, index) {
                Some(groups) => {
                    let (from, to) = (numbered(&class.groups), numbered(&groups));
                    patch.changes.push(change(class, "gpus", from, to));
                }
                None => by_hand.push(format!(
                    "write into `gpus` of {} those of {} servers ({} now), which no other model or service may name",
                    class.name, replicas[index], class.replicas
                )),
            }
        }
        if replicas[index] > class.replicas && !class.pinned && !evidence.nodes.is_empty() {
            match placed(evidence, replicas, &nodes, index) {
                Some(found) => {
                    if found != class.nodes {
                        patch.changes.push(change(
                            class,
                            "node",
                            written(&class.nodes),
                            written(&found),
                        ));
                    }
                    nodes[index] = found;
                }
                None => by_hand.push(uneven(evidence, replicas, &nodes, index)),
            }
        }
    }
    for (index, class) in evidence.classes.iter().enumerate() {
        if let Some(port) = class.port.filter(|_| replicas[index] > class.replicas)
            && meets_others(evidence, replicas, &nodes, index)
        {
            let auto = "auto".to_owned();
            let change = change(class, "port", port.to_string(), auto);
            patch.changes.push(change);
        }
    }
    patch.by_hand = (!by_hand.is_empty()).then(|| by_hand.join("; "));
    patch
}

/// The GPUs of each server of a class whose YAML writes them out, where they are all on one node: those that it has, and the
/// first ones that nobody else has.
fn groups(evidence: &Evidence, replicas: &[usize], index: usize) -> Option<Vec<Vec<u16>>> {
    let class = &evidence.classes[index];
    let [name] = class.nodes.as_slice() else {
        return None;
    };
    let own = class.groups.get(..class.replicas.min(replicas[index]))?;
    let mut groups = own.to_vec();
    let nodes: Vec<Vec<String>> = evidence
        .classes
        .iter()
        .map(|one| one.nodes.clone())
        .collect();
    if !fits(evidence, replicas, &nodes) {
        return None;
    }
    let written = evidence
        .classes
        .iter()
        .zip(replicas)
        .filter(|(one, _)| one.nodes.contains(name));
    let taken: BTreeSet<u16> = written
        .flat_map(|(one, count)| one.groups.iter().take(*count).flatten())
        .copied()
        .collect();
    let node = evidence.nodes.iter().find(|node| node.name == *name)?;
    let mut free = node.numbers.iter().filter(|number| !taken.contains(number));
    while groups.len() < replicas[index] {
        let group: Vec<u16> = free
            .by_ref()
            .take(class.gpus_per_replica)
            .copied()
            .collect();
        (group.len() == class.gpus_per_replica).then_some(())?;
        groups.push(group);
    }
    Some(groups)
}

/// As YAML has it: one GPU for each server, or a group.
fn numbered(groups: &[Vec<u16>]) -> String {
    let list = |all: &[u16]| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        all.join(", ")
    };
    let is_flat = groups.iter().all(|group| group.len() == 1);
    let all = groups.iter().map(|group| {
        if is_flat {
            list(group)
        } else {
            format!("[{}]", list(group))
        }
    });
    format!("[{}]", all.collect::<Vec<_>>().join(", "))
}

/// Why so many replicas cannot be written down, and how many can.
fn uneven(evidence: &Evidence, replicas: &[usize], nodes: &[Vec<String>], index: usize) -> String {
    let class = &evidence.classes[index];
    let (now, wanted) = (class.replicas, replicas[index]);
    let written = |count: usize| {
        let mut replicas = replicas.to_vec();
        replicas[index] = count;
        let nodes = placed(evidence, &replicas, nodes, index)?;
        Some(format!(
            "`replicas: {count}` with `node: {}`",
            written(&nodes)
        ))
    };
    let fewer = (now + 1..wanted).rev().find_map(written);
    let most: usize = evidence.nodes.iter().map(|node| node.gpus).sum();
    let more = (wanted + 1..=most.max(wanted) / class.gpus_per_replica.max(1)).find_map(written);
    let others: Vec<String> = [fewer, more].into_iter().flatten().collect();
    let others = if others.is_empty() {
        "no other number does either".to_owned()
    } else {
        format!("write {}", others.join(", or "))
    };
    format!(
        "{wanted} replicas of {} do not fit where they are spread evenly over nodes: {others}",
        class.name
    )
}

fn change(class: &Class, key: &str, from: String, to: String) -> Change {
    let path = FieldPath::root()
        .key("models")
        .key(class.name.as_str())
        .key(key);
    Change { path, from, to }
}

/// Whether ports of a class that grew are another's on one of its nodes.
fn meets_others(
    evidence: &Evidence,
    replicas: &[usize],
    nodes: &[Vec<String>],
    index: usize,
) -> bool {
    let range = |index: usize| {
        let first = usize::from(evidence.classes[index].port?);
        Some(first..first + replicas[index])
    };
    let Some(own) = range(index) else {
        return false;
    };
    let shared = |name: &String| nodes[index].contains(name);
    let others = (0..replicas.len()).filter(|other| *other != index);
    let by_classes = others
        .filter(|other| nodes[*other].iter().any(shared))
        .filter_map(range)
        .any(|other| own.start < other.end && other.start < own.end);
    let mut others = evidence.nodes.iter().filter(|node| shared(&node.name));
    by_classes
        || others.any(|node| {
            node.ports
                .iter()
                .any(|port| own.contains(&usize::from(*port)))
        })
}

/// As YAML has it: one name, or a list.
fn written(nodes: &[String]) -> String {
    match nodes {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// Nodes on which this class has room: its own, or as few more as do.
fn placed(
    evidence: &Evidence,
    replicas: &[usize],
    nodes: &[Vec<String>],
    index: usize,
) -> Option<Vec<String>> {
    let own = &nodes[index];
    let mut tries = vec![own.clone()];
    let others = evidence.nodes.iter().map(|node| &node.name);
    let mut all = own.clone();
    for other in others.filter(|name| !own.contains(name)) {
        let mut one = own.clone();
        one.push(other.clone());
        tries.push(one);
        all.push(other.clone());
        tries.push(all.clone());
    }
    tries.sort_by_key(Vec::len);
    tries.into_iter().find(|chosen| {
        let mut nodes = nodes.to_vec();
        nodes[index].clone_from(chosen);
        fits(evidence, replicas, &nodes)
    })
}

/// Whether every node has the GPUs for its part: replicas are spread in even blocks, the first ones one longer. A pool is as
/// many nodes as it has.
fn fits(evidence: &Evidence, replicas: &[usize], nodes: &[Vec<String>]) -> bool {
    let size = |name: &str| {
        let mut nodes = evidence.nodes.iter();
        let node = nodes.find(|node| node.name == name);
        node.map_or(1, |node| node.pool.max(1))
    };
    let mut taken: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for ((class, &count), chosen) in evidence.classes.iter().zip(replicas).zip(nodes) {
        let sites = chosen.iter();
        let sites = sites.flat_map(|name| (0..size(name)).map(move |site| (name.as_str(), site)));
        let sites: Vec<(&str, usize)> = sites.collect();
        for (order, site) in sites.iter().enumerate() {
            let block = count / sites.len() + usize::from(order < count % sites.len());
            *taken.entry(*site).or_default() += block * class.gpus_per_replica;
        }
    }
    evidence.nodes.iter().all(|node| {
        let sites = node.pool.max(1);
        (0..sites).all(|site| {
            let used = taken.get(&(node.name.as_str(), site));
            used.copied().unwrap_or(0) <= node.gpus / sites
        })
    })
}
