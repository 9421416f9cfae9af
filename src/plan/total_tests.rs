//! Whatever a cluster looks like, there is a plan, and its promises hold.

use std::collections::HashSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::plan_tests::{facts, spec};
use super::{Plan, UnitKind, plan, select, table};
use crate::check::check_all;
use crate::diag::Severity;

/// A model of a random cluster, as its YAML has it.
fn model() -> impl Strategy<Value = String> {
    let node = prop_oneof![
        "a",
        "b",
        "p",
        "nowhere",
        Just("[a, b]".to_owned()),
        Just("[b, p]".to_owned())
    ];
    let port = prop_oneof![
        Just("auto".to_owned()),
        (1u32..65536).prop_map(|port| port.to_string())
    ];
    let gpus = prop_oneof![
        3 => Just(String::new()),
        1 => Just(", gpus: []".to_owned()),
        1 => prop::collection::vec(0u16..10, 1..5).prop_map(|list| format!(", gpus: {list:?}")),
        1 => prop::collection::vec(prop::collection::vec(0u16..10, 1..4), 1..4).prop_map(|list| format!(", gpus: {list:?}")),
    ];
    let engine = prop_oneof!["vllm", "sim", "sglang", "command"];
    let more = prop_oneof![
        Just(""),
        Just(", cache: warm-first, stagger: 3s"),
        Just(", layout: vllm-dp"),
        Just(", tools: true, thinking: false"),
        Just(", args: { x: ~, y: false, z: [1, a], port: 3 }"),
        Just(", env: { set: { A: \"{port}{nope}\" } }"),
    ];
    (node, 1u32..12, port, gpus, engine, 1u32..4, more).prop_map(
        |(node, replicas, port, gpus, engine, parallel, more)| {
            format!("{{ model: Qwen/Qwen3-8B, node: {node}, replicas: {replicas}, port: {port}{gpus}, engine: {engine}, tensor_parallel: {parallel}{more} }}")
        },
    )
}

fn cluster() -> impl Strategy<Value = String> {
    (prop::collection::vec(model(), 0..5), 0u16..6, prop::collection::vec(0u16..9, 0..6), 1u32..4, 0usize..4).prop_map(
        |(models, count, list, pool, evals)| {
            let mut yaml = format!(
                "version: 1\nname: c\nvllm: {{ version: \"0.12.0\" }}\nnodes:\n  a: {{ gpus: {count}, transport: local }}\n  b: {{ gpus: {list:?}, address: 127.0.5.1, transport: local }}\npools: {{ p: {{ nodes: {pool}, gpus: 4 }} }}\nmodels:\n"
            );
            for (index, model) in models.iter().enumerate() {
                let _ = writeln!(yaml, "  m{index}: {model}");
            }
            if models.is_empty() {
                yaml += "  {}\n";
            }
            yaml += "services:\n  s: { node: a, gpus: [1], command: [x, \"{port}\", \"{dataset}\"] }\n";
            if evals > 0 {
                yaml += "evals:\n";
                for index in 0..evals {
                    let _ = writeln!(yaml, "  e{index}: {{ command: [x], dataset: d, results: r{index}, after: {{ e{}: ended }} }}", (index + 1) % 3);
                }
            }
            yaml
        },
    )
}

/// GPUs that nobody named have one owner.
fn packing_shares_nothing(plan: &Plan, named: &HashSet<String>) {
    let mut taken = HashSet::new();
    for unit in &plan.units {
        let packed = match &unit.kind {
            UnitKind::Tunnel { .. } => continue,
            UnitKind::Replica { model, .. } => !named.contains(model.as_str()),
            UnitKind::Service { .. } | UnitKind::Eval { .. } => false,
        };
        for gpu in unit.gpus.iter().filter(|_| packed) {
            assert!(taken.insert((unit.node.clone(), *gpu)), "{}", unit.id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_cluster_has_a_plan(yaml in cluster()) {
        let spec = spec(&yaml);
        let (first, report) = plan(&spec, &facts());
        prop_assert_eq!(&plan(&spec, &facts()).0, &first, "the same every time");
        let ids: HashSet<_> = first.units.iter().map(|unit| &unit.id).collect();
        prop_assert_eq!(ids.len(), first.units.len());
        let auto = first.units.iter().filter(|unit| unit.port_auto);
        let ports: HashSet<_> = auto.clone().map(|unit| (&unit.address, unit.port)).collect();
        prop_assert_eq!(ports.len(), auto.count(), "`auto` collides with nothing");
        let named = spec.models.iter().filter(|(_, model)| model.gpus.is_some());
        packing_shares_nothing(&first, &named.map(|(name, _)| name.to_string()).collect());
        prop_assert_eq!(first.evals.len(), spec.evals.len());
        // Whoever gets fewer servers than asked for is told why.
        let wanted: usize = spec.models.values().map(|model| super::place::size(model).units).sum();
        let replicas = first.units.iter().filter(|unit| matches!(unit.kind, UnitKind::Replica { .. }));
        if replicas.count() < wanted {
            prop_assert!(report.iter().any(|finding| finding.severity == Severity::Error));
        }
        let _ = table(&first);
        let _ = check_all(&spec, &facts());
        for name in spec.models.keys() {
            let part = select(&first, &[name.to_string()]).unwrap();
            prop_assert!(part.units.len() <= first.units.len());
        }
        let json = serde_json::to_string(&first).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), first);
    }
}
