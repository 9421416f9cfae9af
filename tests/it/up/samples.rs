//! What a run keeps of its servers, machines and evaluations, held against the servers' own counters.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;
use toolorch::base::{Generation, Timestamp, UnitId};
use toolorch::facts::exposition::total;
use toolorch::facts::samples::{Point, Samples, ServerSeries};
use toolorch::knowledge::series::{Counter, Distribution, Gauge};
use toolorch::run::store::read_samples;

use super::Scene;
use super::scene::{Going, kill, until};
use super::small;

/// Twenty seconds of toolorch pass in one: a sample every 750 ms.
const SCALE: &str = "20";

const RUN: &str = "home/runs/quickstart/1";
const UNIT: &str = "orchestrator-0";

fn up(scene: &Scene, yaml: &str) -> Going {
    let mut command = scene.toolorch(&["up", yaml]);
    command.env("TOOLORCH_TIME_SCALE", SCALE);
    scene.go(command)
}

/// A server's own page.
fn page(scene: &Scene) -> String {
    let address = format!("{}0.1:18100", scene.network());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

fn tokens(page: &str) -> f64 {
    total(page, "vllm:generation_tokens_total")
}

fn sum(samples: &Samples, unit: &str, generation: u64, counter: Counter) -> f64 {
    let series = samples.servers.get(&UnitId::new(unit));
    let points = series.into_iter().flat_map(ServerSeries::points);
    let of_start = points.filter(|point| point.generation() == Generation(generation));
    of_start.filter_map(|point| point.count(counter)).sum()
}

fn events(scene: &Scene, kind: &str) -> Vec<Value> {
    let records = scene.journal("quickstart").into_iter();
    let events = records.map(|record| record["event"].clone());
    events.filter(|event| event["kind"] == kind).collect()
}

/// What samples of one start of a server hold of requests that it answered.
fn answered(samples: &Samples, unit: &str, generation: u64) -> f64 {
    let kinds = Counter::FINISHED.iter();
    let kinds = kinds.filter(|kind| **kind != Counter::Aborted);
    kinds
        .map(|kind| sum(samples, unit, generation, *kind))
        .sum()
}

#[test]
fn samples_add_up_to_what_servers_counted_across_a_restart_and_a_new_owner() {
    let scene = Scene::quickstart(150);
    let yaml = scene.read("quickstart.yaml");
    // Slow enough that there is something to be killed in the middle of.
    let yaml = yaml.replacen(
        "port: 18100",
        "port: 18100\n    env: { set: { TOOLORCH_SIM_LATENCY_MS: \"300\" } }\n    restart: { attempts: 9, backoff: 1s }",
        1,
    );
    scene.write("quickstart.yaml", &yaml);
    let read = || read_samples(&scene.path(RUN), Timestamp(u64::MAX / 2)).unwrap();
    let first = up(&scene, "quickstart.yaml");
    until("results", || {
        (scene.results("quickstart/out/results") > 10).then_some(())
    });

    let before = tokens(&page(&scene));
    assert!(before > 0.0);
    let of_first = |samples: &Samples| sum(samples, UNIT, 1, Counter::GenerationTokens);
    until("a later sample", || {
        (of_first(&read()) >= before).then_some(())
    });
    let mut started = events(&scene, "started").into_iter();
    let pid = started.rfind(|event| event["unit"] == UNIT).unwrap()["pid"].clone();
    let last = tokens(&page(&scene));
    kill(u32::try_from(pid.as_u64().unwrap()).unwrap(), Signal::KILL);
    until("the second start in samples", || {
        (sum(&read(), UNIT, 2, Counter::GenerationTokens) > 0.0).then_some(())
    });
    let kept = of_first(&read());
    assert!(
        before <= kept && kept <= last + 200.0,
        "{before} <= {kept} <= {last}"
    );

    // What is torn below must not be what was read above.
    let written = scene.path(&format!("{RUN}/samples.1.jsonl.gz"));
    let length = || std::fs::metadata(&written).unwrap().len();
    let before = length();
    until("another piece", || (length() > before).then_some(()));
    first.signal(Signal::KILL);
    first.end();
    assert!(scene.results("quickstart/out/results") < 150, "too fast");
    let bytes = std::fs::read(&written).unwrap();
    std::fs::write(&written, &bytes[..bytes.len() - 5]).unwrap();
    let said = up(&scene, "quickstart.yaml").end();
    assert_eq!(said.code, 0, "{}", said.err);

    let samples = read();
    assert_eq!(samples.torn.len(), 1, "{:?}", samples.torn);
    assert!((of_first(&samples) - kept).abs() < 0.5, "{kept}");
    let books = events(&scene, "books-closed").pop().unwrap();
    let servers = books["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 4, "{books}");
    for served in servers {
        let unit = served["unit"].as_str().unwrap();
        let generation = served["generation"].as_u64().unwrap();
        let kept = answered(&samples, unit, generation);
        let counted = served["finished"].as_f64().unwrap();
        assert!(
            (kept - counted).abs() < 0.5,
            "{unit} {generation}: {kept} of {counted}"
        );
        assert_eq!(generation, if unit == UNIT { 2 } else { 1 });
    }
    look_at_all(&samples);
    scene.assert_nothing_left();
}

/// What is there beside counters.
fn look_at_all(samples: &Samples) {
    let series = &samples.servers[&UnitId::new(UNIT)];
    let begins = series.points().filter(|point| point.begins()).count();
    assert_eq!(begins, 2);
    let work = series.all();
    let (latency, queue) = (Distribution::Latency, Distribution::Queue);
    let mean = work.distribution(latency).unwrap().mean().unwrap();
    assert!((0.2..5.0).contains(&mean), "{mean} s");
    assert!(work.distribution(queue).unwrap().count > 0.0);
    assert!(work.most(Gauge::Running).unwrap() >= 1.0);
    let usage = work.mean(Gauge::KvCache).unwrap();
    assert!(0.0 < usage && usage < 1.0, "{usage}");
    let spans = series.points().skip(1).map(Point::span);
    assert!(spans.min().unwrap().0 > 0);

    let eval = samples.evals.values().next().unwrap();
    assert!(eval.windows(2).all(|pair| pair[0].at < pair[1].at));
    let last = eval.last().unwrap();
    assert_eq!((last.done, last.total), (150, 150));
    let files = eval.iter().filter_map(|line| line.files);
    assert!(files.clone().all(|(open, limit)| 0 < open && open < limit));
    assert!(files.count() > 0);
    let node = samples.nodes.get("laptop").unwrap();
    assert!(
        node.iter()
            .all(|line| line.load.is_some() && line.gpus.is_empty())
    );
}

#[test]
fn one_look_at_a_server_s_counters_serves_liveness_books_and_samples() {
    let scene = small::scene("slow", 24);
    small::change(&scene, "first_result: 2s", "first_result: 5m");
    let said = up(&scene, small::YAML).end();
    assert_eq!(said.code, 0, "{}", said.err);
    let records = scene.journal("small");
    let at = |record: Option<&Value>| record.unwrap()["at"].as_u64().unwrap();
    let ready = (records.iter()).find(|record| record["event"]["kind"] == "ready");
    // One every five seconds, one when the books are opened and one when they are closed.
    let most = (at(records.last()) - at(ready)) / 5_000 + 3;
    let log = scene.read("home/runs/small/1/logs/chat-0.log");
    let asked = log.matches("GET /metrics").count() as u64;
    assert!(2 < asked && asked <= most, "{asked} of {most}");
    scene.assert_nothing_left();
}

const NVIDIA_SMI: &str = r"#!/bin/bash
[[ $2 == --format=csv,noheader,nounits && $# == 2 ]] || exit 2
case $1 in
  --query-gpu=index,utilization.gpu,memory.used,memory.total) printf '0, 97, 70123, 81559\n1, [N/A], 4, 81559\n' ;;
  *) exit 2 ;;
esac
";

#[test]
fn gpus_are_sampled_where_servers_have_some() {
    let scene = small::scene("slow", 60);
    small::change(&scene, "gpus: 0", "gpus: 2");
    small::change(
        &scene,
        "node: box, port: 8000",
        "node: box, gpus: [0], port: 8000",
    );
    scene.write("bin/nvidia-smi", NVIDIA_SMI);
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scene.path("bin/nvidia-smi"), executable).unwrap();
    let going = up(&scene, small::YAML);
    let lines = until("GPUs", || {
        let samples =
            read_samples(&scene.path("home/runs/small/1"), Timestamp(u64::MAX / 2)).ok()?;
        let node = samples.nodes.get("box")?.clone();
        (!node.is_empty()).then_some(node)
    });
    let gpus = serde_json::to_string(&lines[0].gpus).unwrap();
    insta::assert_snapshot!(gpus, @r#"[{"index":0,"busy":97,"used":70123,"total":81559},{"index":1,"used":4,"total":81559}]"#);
    scene.expect(0, &["down", small::YAML]);
    going.end();
    scene.assert_nothing_left();
}
