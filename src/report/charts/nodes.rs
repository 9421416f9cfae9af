//! How busy GPUs were over time.

use std::collections::BTreeMap;

use super::class::Classes;
use super::frame::Frame;
use crate::base::{GpuIndex, Millis, NodeName, Timestamp, UnitId, float};
use crate::facts::samples::{NodeLine, Samples};
use crate::plan::Plan;

/// The GPUs of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSeries {
    /// Its name.
    pub node: NodeName,
    /// Its GPUs, by index.
    pub gpus: Vec<GpuSeries>,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuSeries {
    /// Which.
    pub index: GpuIndex,
    /// The servers that the plan puts there.
    pub units: Vec<UnitId>,
    /// What they are, if that is one thing.
    pub class: Option<usize>,
    /// The share of time in which something ran on it, from 0 to 1, by pieces of a frame.
    pub busy: Vec<Option<f64>>,
    /// The same over all that was sampled.
    pub mean: Option<f64>,
    /// The most of its memory that was used, and all of it, in MiB.
    pub memory: Option<(u64, u64)>,
}

/// Of nodes whose GPUs were sampled, in the order of the plan. A machine that stands under several names is there once.
pub(super) fn nodes(
    samples: &Samples,
    plan: &Plan,
    classes: &Classes,
    frame: &Frame,
) -> Vec<NodeSeries> {
    let named = plan.nodes.iter().filter_map(|node| {
        let lines = samples.nodes.get(&node.name)?;
        let mut gpus: BTreeMap<GpuIndex, GpuSeries> = BTreeMap::new();
        for index in lines.iter().flat_map(|line| &line.gpus) {
            gpus.entry(index.index)
                .or_insert_with(|| gpu(index.index, &node.name, plan, classes));
        }
        for own in gpus.values_mut() {
            fill(own, lines, samples.every, frame);
        }
        let gpus: Vec<GpuSeries> = gpus.into_values().collect();
        let node = node.name.clone();
        (!gpus.is_empty()).then_some(NodeSeries { node, gpus })
    });
    named.collect()
}

fn gpu(index: GpuIndex, node: &NodeName, plan: &Plan, classes: &Classes) -> GpuSeries {
    let units = plan.servers();
    let units = units.filter(|unit| unit.node == *node && unit.gpus.contains(&index));
    let units: Vec<UnitId> = units.map(|unit| unit.id.clone()).collect();
    let mut own = units.iter().map(|unit| classes.of_unit(unit));
    let first = own.next().flatten();
    let same = own.all(|class| class == first);
    GpuSeries {
        index,
        class: first.filter(|_| same),
        units,
        busy: Vec::new(),
        mean: None,
        memory: None,
    }
}

fn fill(own: &mut GpuSeries, lines: &[NodeLine], every: Millis, frame: &Frame) {
    let mut sums = vec![(0.0, 0.0); frame.pieces()];
    let (mut total, mut looks) = (0.0, 0.0);
    let mut before: Option<Timestamp> = None;
    for line in lines {
        let since = before.replace(line.at);
        let mut load = line.gpus.iter();
        let Some(load) = load.find(|load| load.index == own.index) else {
            continue;
        };
        if let Some(used) = load.used.zip(load.total) {
            own.memory = Some(own.memory.map_or(used, |most| most.max(used)));
        }
        let Some(busy) = load.busy else { continue };
        let busy = f64::from(busy.min(100)) / 100.0;
        total += busy;
        looks += 1.0;
        let longest = Timestamp(line.at.0.saturating_sub(20 * every.0.max(1)));
        let from = since.unwrap_or(Timestamp(line.at.0.saturating_sub(every.0.max(1))));
        for (piece, length) in frame.touched(from.max(longest), line.at) {
            if let Some((sum, weight)) = sums.get_mut(piece) {
                *sum += busy * float(length);
                *weight += float(length);
            }
        }
    }
    own.mean = (looks > 0.0).then(|| total / looks);
    let means = sums.into_iter();
    own.busy = means
        .map(|(sum, weight)| (weight > 0.0).then(|| sum / weight))
        .collect();
}
