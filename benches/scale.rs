//! Plan and render of many replicas: 10,000 on 1,250 nodes within 1 s, at a cost linear in replicas.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a bench that cannot run has failed; it shares its measures with another"
)]

mod measure;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use measure::{Times, judged};
use toolorch::check::check_all;
use toolorch::diag::Severity;
use toolorch::facts::Facts;
use toolorch::plan::{Plan, plan};
use toolorch::render::{Renderer, render_plan};
use toolorch::spec::{ClusterSpec, Source, parse};

/// A cluster with so many nodes of eight GPUs, and a replica on each GPU.
fn yaml(nodes: usize, launcher: &str) -> String {
    let mut text = format!(
        "version: 1\nname: scale\nvllm: {{ version: \"0.12.0\" }}\nlauncher: {launcher}\n\
         slurm: {{ time: \"04:00:00\" }}\nnodes:\n"
    );
    for node in 0..nodes {
        let (high, low) = (node / 250, node % 250 + 1);
        let _ = writeln!(
            text,
            "  n{node}: {{ gpus: 8, gpu: H100-80GB, address: 10.0.{high}.{low}, transport: local }}"
        );
    }
    let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
    let _ = writeln!(
        text,
        "models:\n  expert: {{ model: Qwen/Qwen3-32B-FP8, node: [{}], replicas: {}, port: 20000, max_model_len: 32768 }}",
        names.join(", "),
        nodes * 8
    );
    text
}

fn read(text: &str) -> ClusterSpec {
    let parsed = parse(Source::new("scale.yaml", text.as_bytes()), &[]);
    parsed
        .spec
        .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics))
}

fn planned(spec: &ClusterSpec) -> Plan {
    let (plan, diagnostics) = plan(spec, &Facts::default());
    let error = diagnostics
        .iter()
        .find(|found| found.severity == Severity::Error);
    assert!(error.is_none(), "{error:#?}");
    plan
}

/// Bytes of all files that are rendered.
fn rendered(plan: &Plan, renderer: &Renderer) -> (usize, usize) {
    let files = render_plan(plan, renderer).unwrap();
    let bytes = files.iter().map(|(_, file)| file.bytes.len()).sum();
    (files.len(), black_box(bytes))
}

fn main() {
    let renderer = Renderer::new(&BTreeMap::new()).unwrap();
    for launcher in ["process", "tmux", "slurm"] {
        let medians = [(125, 0.1), (1250, 1.0)].map(|(nodes, bound)| {
            let text = yaml(nodes, launcher);
            let spec = read(&text);
            let plan = planned(&spec);
            let (files, bytes) = rendered(&plan, &renderer);
            println!(
                "{launcher}, {} replicas: {files} files, {} KiB",
                plan.units.len(),
                bytes / 1024
            );
            let say = |what, times: &Times| println!("  {what:<16} {}", times.words());
            say("read", &Times::of(5, || drop(black_box(read(&text)))));
            let facts = Facts::default();
            say(
                "plan and check",
                &Times::of(5, || drop(check_all(&spec, &facts))),
            );
            say("plan", &Times::of(5, || drop(planned(&spec))));
            let both = Times::of(5, || {
                rendered(&planned(&spec), &renderer);
            });
            let within = both.median() <= Duration::from_secs_f64(bound);
            say("plan and render", &both);
            println!("  {}", judged(within, &format!("{bound} s")));
            both.median().as_secs_f64()
        });
        let ratio = medians[1] / medians[0];
        println!(
            "{launcher}: ten times the replicas cost {ratio:.1} times the time; {}",
            judged(ratio <= 15.0, "15")
        );
    }
}
