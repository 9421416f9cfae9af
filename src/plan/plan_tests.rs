//! Whole plans.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::check_all;
use crate::facts::{Facts, Known};
use crate::spec::ClusterSpec;
use crate::spec::model::Finished;

use super::{Plan, UnitKind, plan};

/// A spec from YAML; places of findings are then paths alone.
pub(crate) fn spec(yaml: &str) -> ClusterSpec {
    serde_yaml::from_str(yaml).unwrap()
}

/// What a machine without anything knows.
pub(crate) fn facts() -> Facts {
    Facts {
        exe: "/usr/bin/toolorch".to_owned(),
        yaml_dir: "/site/clusters".to_owned(),
        home: Known::Known("/home/user".to_owned()),
        own_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        addresses: BTreeMap::new(),
        ..Facts::default()
    }
}

/// A plan that must have nothing to complain about.
pub(crate) fn clean(yaml: &str) -> Plan {
    let (plan, report) = plan(&spec(yaml), &facts());
    assert_eq!(report, []);
    plan
}

fn argv(plan: &Plan, unit: &str) -> String {
    plan.unit(&unit.into()).unwrap().argv.join(" ")
}

const HLE: &str = include_str!("../../clusters/hle-oss.yaml");
const QUICKSTART: &str = include_str!("../../clusters/quickstart.yaml");

#[test]
fn the_log_s_cluster_becomes_the_log_s_commands() {
    let plan = clean(HLE);
    assert_eq!(plan.servers().count(), 26);
    insta::assert_snapshot!(argv(&plan, "orchestrator-3"), @"vllm serve /ckpt/nvidia/Nemotron-Orchestrator-8B/ --host research-secure-05 --port 1803 --gpu-memory-utilization 0.85 --enable-auto-tool-choice --tool-call-parser hermes");
    insta::assert_snapshot!(argv(&plan, "answer-7"), @"vllm serve Qwen/Qwen3-32B-FP8 --host research-secure-12 --port 1827 --gpu-memory-utilization 0.9 --max-model-len 32768");
    insta::assert_snapshot!(argv(&plan, "search-0"), @"vllm serve openai/gpt-oss-20b --host 172.27.31.10 --port 1840 --gpu-memory-utilization 0.9 --enable-auto-tool-choice --tool-call-parser openai");
    insta::assert_snapshot!(argv(&plan, "retrieval"), @"python retrieval_hle.py --port 8765");
    insta::assert_snapshot!(argv(&plan, "eval-hle"), @"python eval_hle_oss.py --model_name /ckpt/nvidia/Nemotron-Orchestrator-8B/ --output_dir /home/user/ToolOrchestra/evaluation/outputs_oss_hle_full_new --model_config /home/user/ToolOrchestra/evaluation/model_config_oss_new.json --example_path /home/user/ToolOrchestra/evaluation/hle.jsonl --concurrency 64 --max_rounds 50");
    insta::assert_snapshot!(argv(&plan, "eval-frames"), @"python eval_frames_oss.py --model_name /ckpt/nvidia/Nemotron-Orchestrator-8B/ --output_dir /home/user/ToolOrchestra/evaluation/outputs_oss_frames_full_new --model_config /home/user/ToolOrchestra/evaluation/model_config_oss_new.json --example_file_path /home/user/ToolOrchestra/evaluation/frames.jsonl --concurrency 64 --max_rounds 50");
}

#[test]
fn the_fifth_node_is_one_job() {
    let plan = clean(HLE);
    let [job] = plan.jobs.as_slice() else {
        panic!("{:?}", plan.jobs)
    };
    assert_eq!(
        (job.nodelist.as_deref(), job.units.len(), job.gpus.len()),
        (Some("gpu-31-10"), 4, 4)
    );
}

#[test]
fn the_quickstart_runs_this_program_as_its_servers() {
    let plan = clean(QUICKSTART);
    insta::assert_snapshot!(argv(&plan, "orchestrator-1"), @"/usr/bin/toolorch sim vllm serve nvidia/Nemotron-Orchestrator-8B --host 127.0.0.1 --port 18101 --enable-auto-tool-choice --tool-call-parser hermes");
    insta::assert_snapshot!(argv(&plan, "eval-arithmetic"), @"python3 client.py --model-config /site/clusters/quickstart/out/model_config.json --dataset /site/clusters/quickstart/questions.jsonl --output /site/clusters/quickstart/out/results --concurrency 32 --max-rounds 6 --orchestrator nvidia/Nemotron-Orchestrator-8B --expert Qwen/Qwen3-32B-FP8");
    let replica = plan.unit(&"expert-0".into()).unwrap();
    assert_eq!(replica.env.set["TOOLORCH_SIM_RELEASE"], "0.12.0");
    assert!(matches!(replica.kind, UnitKind::Replica { index: 0, .. }));
    assert_eq!(replica.cwd.as_deref(), Some("/site/clusters"));
}

#[test]
fn the_file_that_ends_an_evaluation_is_its_own() {
    let yaml = QUICKSTART.replace(
        "    results: out/results",
        "    results: out/results\n    finished: { file: out/end }",
    );
    let end = "/site/clusters/quickstart/out/end".to_owned();
    assert_eq!(clean(&yaml).evals[0].finished, Finished::File(end));
}

#[test]
fn ten_thousand_replicas_cost_linear_time() {
    let cluster = |nodes: usize| {
        let mut yaml = String::from("version: 1\nname: big\nnodes:\n");
        for node in 0..nodes {
            let _ = writeln!(yaml, "  n{node}: {{ gpus: 8 }}");
        }
        let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
        let _ = write!(
            yaml,
            "models:\n  m: {{ model: Qwen/Qwen3-8B, node: [{}], replicas: {}, tools: true }}\n",
            names.join(", "),
            nodes * 8
        );
        spec(&yaml)
    };
    let spec = cluster(1250);
    let started = std::time::Instant::now();
    let (plan, report) = check_all(&spec, &facts());
    let took = started.elapsed();
    // One note on the release that is not written, one on the nodes that are not here.
    assert_eq!((report.len(), plan.units.len()), (1, 10_000));
    // Ten times what a slow machine needs for a debug build; a quadratic step takes minutes.
    assert!(took.as_secs() < 10, "{took:?}");
}
