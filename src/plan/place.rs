//! Which replica runs on which node with which GPUs.
//!
//! Explicit GPUs are taken as they stand (two owners of one are a matter for `check`); everything
//! else is packed onto GPUs that nobody named, in the order of the YAML.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::base::{FieldPath, GpuIndex, Name};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, Layout, ModelGpus, ModelSpec};

use super::argv;
use super::sites::{Site, Sites};

/// Where one unit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The index of its site.
    pub site: usize,
    /// Which of the model's units on this site it is, from 0.
    pub position: usize,
    /// Its GPUs.
    pub gpus: Vec<GpuIndex>,
}

/// Where everything goes, in the order of the YAML.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The units of each model; fewer than wanted only where its nodes do not exist.
    pub models: Vec<Vec<Slot>>,
    /// Each service; none where its node does not exist.
    pub services: Vec<Option<Slot>>,
}

/// The servers that a model is made of, and the GPUs that each takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many servers.
    pub units: usize,
    /// GPUs of each.
    pub gpus: usize,
}

/// The size of a model: independent replicas, or one server with data parallelism inside.
pub(crate) fn size(model: &ModelSpec) -> Size {
    let whole = |number: Option<u32>| number.unwrap_or(1) as usize;
    let one = whole(model.tensor_parallel).saturating_mul(whole(model.pipeline_parallel));
    // Of one that spans several nodes the part on each of them.
    let one = one.div_ceil(whole(model.span).max(1));
    let replicas = whole(model.replicas);
    match model.layout.unwrap_or_default() {
        Layout::Replicas => Size {
            units: replicas,
            gpus: one,
        },
        Layout::VllmDp => Size {
            units: 1,
            gpus: one.saturating_mul(replicas),
        },
    }
}

/// Places all models and services.
pub(crate) fn place(spec: &ClusterSpec, sites: &Sites<'_>, report: &mut Report) -> Placement {
    let mut placement = Placement {
        models: Vec::with_capacity(spec.models.len()),
        services: Vec::with_capacity(spec.services.len()),
    };
    let mut packed = Vec::new();
    for (index, (name, model)) in spec.models.iter().enumerate() {
        let origin = origin_of(name);
        let chosen = sites.chosen(&model.node, &origin, report);
        let size = size(model);
        let mut slots = blocks(&chosen, size.units);
        match &model.gpus {
            Some(gpus) => explicit(model, gpus, size, &mut slots, &origin, report),
            None if needs_gpus(model) => packed.push((index, name, size)),
            None => {}
        }
        placement.models.push(slots);
    }
    for (name, service) in &spec.services {
        let origin = FieldPath::root().key("services").key(name.as_str());
        let chosen = sites.chosen(&service.node, &origin, report);
        if service.node.0.len() > 1 {
            report.push(
                Diagnostic::error(Code("E0315"), format!("service `{name}` is one server"))
                    .at(Place::Value(origin.key("node")), "more than one node")
                    .help("name one node here, and write a service of its own for each other node"),
            );
        }
        placement.services.push(chosen.first().map(|&site| Slot {
            site,
            position: 0,
            gpus: service.gpus.clone(),
        }));
    }
    pack(&packed, sites, &mut placement, report);
    placement
}

fn origin_of(name: &Name) -> FieldPath {
    FieldPath::root().key("models").key(name.as_str())
}

/// Whether a model takes GPUs that nobody wrote down: `sim` and `command` need none by default.
pub(super) fn needs_gpus(model: &ModelSpec) -> bool {
    matches!(argv::engine(model), Engine::Vllm | Engine::Sglang)
}

/// `units` over `sites` in contiguous blocks, the first ones one longer where it does not divide.
fn blocks(sites: &[usize], units: usize) -> Vec<Slot> {
    let mut slots = Vec::with_capacity(units);
    for (order, &site) in sites.iter().enumerate() {
        let length = units / sites.len() + usize::from(order < units % sites.len());
        slots.extend((0..length).map(|position| Slot {
            site,
            position,
            gpus: Vec::new(),
        }));
    }
    slots
}

/// Gives each slot the GPUs that the YAML names for it.
fn explicit(
    model: &ModelSpec,
    gpus: &ModelGpus,
    size: Size,
    slots: &mut [Slot],
    origin: &FieldPath,
    report: &mut Report,
) {
    let place = Place::Value(origin.key("gpus"));
    let groups: Vec<Vec<GpuIndex>> = match gpus {
        ModelGpus::Flat(list) if list.is_empty() => {
            if argv::engine(model) == Engine::Vllm && size.gpus > 1 {
                report.push(wrong_group_size(size, 0, place, origin));
            }
            return;
        }
        ModelGpus::Flat(list) if size.gpus > 1 => {
            report.push(wrong_group_size(size, 1, place.clone(), origin).fix(Fix {
                title: "write a group for each replica".to_owned(),
                place,
                replacement: grouped(list, size.gpus),
                applicability: Applicability::Guess,
            }));
            list.chunks(size.gpus).map(<[_]>::to_vec).collect()
        }
        ModelGpus::Flat(list) => list.iter().map(|gpu| vec![*gpu]).collect(),
        ModelGpus::Groups(groups) => {
            let wrong = groups.iter().position(|group| group.len() != size.gpus);
            if let Some(index) = wrong
                && argv::engine(model) != Engine::Command
            {
                let place = Place::Value(origin.key("gpus").index(index));
                report.push(wrong_group_size(size, groups[index].len(), place, origin));
            }
            groups.clone()
        }
    };
    let on_first = slots.iter().filter(|slot| slot.position == 0).count();
    let longest = slots.len().div_ceil(on_first.max(1));
    let by_block = groups.len() != slots.len() && groups.len() == longest;
    if groups.len() != slots.len() && !by_block && !slots.is_empty() {
        report.push(wrong_group_count(model, groups.len(), slots.len(), origin));
    }
    for (index, slot) in slots.iter_mut().enumerate() {
        let index = if by_block { slot.position } else { index };
        if let Some(group) = groups.get(index) {
            slot.gpus.clone_from(group);
        }
    }
}

fn wrong_group_size(size: Size, given: usize, place: Place, origin: &FieldPath) -> Diagnostic {
    let path = if given == 1 && size.gpus > 1 {
        "one GPU for each replica".to_owned()
    } else {
        format!("{given} GPUs for one server")
    };
    Diagnostic::error(
        Code("E0313"),
        format!("each server needs {} GPUs, and gets {given}", size.gpus),
    )
    .at(place, path)
    .see(
        Place::Value(origin.key("tensor_parallel")),
        "tensor_parallel × pipeline_parallel GPUs work as one server",
    )
}

fn grouped(list: &[GpuIndex], size: usize) -> String {
    let group = |chunk: &[GpuIndex]| {
        let items: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        format!("[{}]", items.join(", "))
    };
    let groups: Vec<String> = list.chunks(size).map(group).collect();
    format!("[{}]", groups.join(", "))
}

fn wrong_group_count(
    model: &ModelSpec,
    groups: usize,
    units: usize,
    origin: &FieldPath,
) -> Diagnostic {
    let what = match model.gpus {
        Some(ModelGpus::Groups(_)) => "groups of GPUs",
        _ => "GPUs",
    };
    Diagnostic::error(
        Code("E0314"),
        format!("{units} servers, but {groups} {what} are named"),
    )
    .at(Place::Value(origin.key("gpus")), format!("{groups} {what}"))
    .see(
        Place::Value(origin.key("replicas")),
        format!("{units} servers"),
    )
    .help(
        "name GPUs for each server, or leave `gpus` out: free ones are then chosen; \
         with several nodes, one list may serve the block of each node",
    )
}

/// Gives the models without explicit GPUs what is left, in order.
fn pack(
    packed: &[(usize, &Name, Size)],
    sites: &Sites<'_>,
    placement: &mut Placement,
    report: &mut Report,
) {
    let taken: HashSet<(usize, GpuIndex)> = placement
        .models
        .iter()
        .flatten()
        .chain(placement.services.iter().flatten())
        .flat_map(|slot| slot.gpus.iter().map(|gpu| (slot.site, *gpu)))
        .collect();
    let mut free: HashMap<usize, VecDeque<GpuIndex>> = HashMap::new();
    for &(index, name, size) in packed {
        let mut short: Vec<(usize, usize)> = Vec::new();
        for slot in &mut placement.models[index] {
            let free = free.entry(slot.site).or_insert_with(|| {
                let gpus = sites.at(slot.site).gpus.iter().copied();
                gpus.filter(|gpu| !taken.contains(&(slot.site, *gpu)))
                    .collect()
            });
            if free.len() >= size.gpus {
                slot.gpus.extend(free.drain(..size.gpus));
            } else if let Some((_, missing)) = short.iter_mut().find(|(site, _)| *site == slot.site)
            {
                *missing += 1;
            } else {
                short.push((slot.site, 1));
            }
        }
        for (site, missing) in short {
            report.push(too_few(name, size, missing, sites.at(site)));
        }
    }
}

fn larger_than_the_node(name: &Name, size: Size, on: &Site<'_>) -> Diagnostic {
    let has = on.gpus.len();
    Diagnostic::error(
        Code("E0312"),
        format!(
            "each server of `{name}` works on {} GPUs, and `{}` has {has}",
            size.gpus, on.name
        ),
    )
    .at(
        Place::Key(origin_of(name)),
        "tensor_parallel × pipeline_parallel GPUs of one node",
    )
    .see(Place::Value(on.origin.key("gpus")), format!("{has} GPUs"))
    .help(
        "lower `tensor_parallel`, name a larger node, or let one server work on several: `span: N`",
    )
}

fn too_few(name: &Name, size: Size, missing: usize, on: &Site<'_>) -> Diagnostic {
    let origin = origin_of(name);
    if size.gpus > on.gpus.len() {
        return larger_than_the_node(name, size, on);
    }
    let servers = if missing == 1 { "server" } else { "servers" };
    Diagnostic::error(
        Code("E0312"),
        format!(
            "no GPUs are left on `{}` for {missing} {servers} of `{name}`",
            on.name
        ),
    )
    .at(
        Place::Key(origin.clone()),
        format!("{} servers with {} GPUs each", size.units, size.gpus),
    )
    .see(
        Place::Value(on.origin.key("gpus")),
        format!("{} GPUs, shared with nobody by default", on.gpus.len()),
    )
    .help(
        "lower `replicas`, spread with `node: [A, B]`, or share GPUs on purpose: name them in `gpus` \
         with utilizations that add up to at most 1",
    )
}
