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
use toolorch::diag::Severity;
use toolorch::facts::Facts;
use toolorch::plan::plan;
use toolorch::render::{Renderer, render_plan};
use toolorch::spec::{ClusterSpec, Source, parse};

/// A cluster with so many nodes of eight GPUs, and a replica on each GPU.
fn yaml(nodes: usize) -> String {
    let mut text =
        "version: 1\nname: scale\nvllm: { version: \"0.12.0\" }\nlauncher: process\nnodes:\n"
            .to_owned();
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

fn spec(nodes: usize) -> ClusterSpec {
    let parsed = parse(Source::new("scale.yaml", yaml(nodes).as_bytes()), &[]);
    parsed
        .spec
        .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics))
}

/// Plans and renders; returns how many units and files came out.
fn work(spec: &ClusterSpec, renderer: &Renderer) -> (usize, usize) {
    let (plan, diagnostics) = plan(spec, &Facts::default());
    let error = diagnostics
        .iter()
        .find(|found| found.severity == Severity::Error);
    assert!(error.is_none(), "{error:#?}");
    let files = render_plan(&plan, renderer).unwrap();
    (plan.units.len(), black_box(files).len())
}

fn main() {
    let renderer = Renderer::new(&BTreeMap::new()).unwrap();
    let mut medians = Vec::new();
    for (nodes, bound) in [(125, 0.1), (1250, 1.0)] {
        let text = yaml(nodes);
        let read = Times::of(5, || {
            black_box(parse(Source::new("scale.yaml", text.as_bytes()), &[]));
        });
        let spec = spec(nodes);
        let (units, files) = work(&spec, &renderer);
        let times = Times::of(5, || {
            work(&spec, &renderer);
        });
        let within = times.median() <= Duration::from_secs_f64(bound);
        println!("{units} replicas: read             {}", read.words());
        println!(
            "{units} replicas: plan and render  {}; {files} files; {}",
            times.words(),
            judged(within, &format!("{bound} s"))
        );
        medians.push(times.median().as_secs_f64());
    }
    let ratio = medians[1] / medians[0];
    println!(
        "ten times the replicas cost {ratio:.1} times the time; {}",
        judged(ratio <= 15.0, "15")
    );
}
