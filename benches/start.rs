//! From `up` to ready: 24 simulated servers whose own starts take 1 to 3 s.
//!
//! When a server answers is seen by a prober of this bench that asks each one every 50 ms, not by our own journal.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a bench that cannot run has failed; it shares its measures with others"
)]

mod measure;
mod scene;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use measure::judged;
use scene::{Scene, wall_ms};
use toolorch::run::Event;

const MODELS: [(&str, u16); 4] = [
    ("Qwen/Qwen3-32B-FP8", 21_000),
    ("Qwen/Qwen2.5-Coder-14B-Instruct", 21_010),
    ("openai/gpt-oss-20b", 21_020),
    ("meta-llama/Llama-3.1-8B-Instruct", 21_030),
];
const REPLICAS: u16 = 6;
const HOST: [u8; 4] = [127, 0, 0, 1];
const ROUNDS: usize = 5;

fn yaml(launcher: &str, hf: &Path) -> String {
    let mut text = format!(
        "version: 1\nname: start\nvllm: {{ version: \"0.12.0\" }}\nlauncher: {launcher}\nwhen_done: keep\n\
         hf: {{ home: {} }}\n\
         nodes: {{ here: {{ gpus: 24, transport: local, address: 127.0.0.1 }} }}\nmodels:\n",
        hf.display()
    );
    for (place, (model, port)) in MODELS.iter().enumerate() {
        let startup = 1_000 + place * 600;
        let _ = writeln!(
            text,
            "  m{place}: {{ model: {model}, node: here, replicas: {REPLICAS}, port: {port}, tools: true, \
             env: {{ set: {{ TOOLORCH_SIM_STARTUP_MS: {startup}, TOOLORCH_SIM_LATENCY_MS: 5 }} }} }}"
        );
    }
    text
}

/// `vllm` on PATH: writes down when it was started, then is the simulator.
fn put_vllm(scene: &Scene) {
    let script = format!(
        "#!/bin/bash\nwhile [[ $1 != --port && $# -gt 0 ]]; do all+=(\"$1\"); shift; done\n\
         echo \"$EPOCHREALTIME\" >'{}/'$2\nexec '{}' \"${{all[@]}}\" \"$@\"\n",
        scene.path("started").display(),
        scene.path("vllm").display()
    );
    fs::create_dir(scene.path("started")).unwrap();
    fs::write(scene.path("bin/vllm"), script).unwrap();
    fs::set_permissions(scene.path("bin/vllm"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A cache that has all: `up` looks, and asks no hub.
fn put_weights(hf: &Path) {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for (model, _) in MODELS {
        let repo = hf
            .join("hub")
            .join(format!("models--{}", model.replace('/', "--")));
        let snapshot = repo.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(repo.join("refs")).unwrap();
        fs::write(repo.join("refs/main"), commit).unwrap();
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            fs::write(snapshot.join(file), "{}").unwrap();
        }
    }
}

/// When the server at this port first completes something; asked every 50 ms.
fn first_completion(model: &str, port: u16) -> f64 {
    let body = format!(
        "{{\"model\":\"{model}\",\"max_tokens\":1,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    loop {
        let asked = || {
            let mut stream = TcpStream::connect(SocketAddr::from((HOST, port))).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.starts_with("HTTP/1.1 200").then(wall_ms)
        };
        if let Some(at) = asked() {
            return at;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// What one `up` took, in milliseconds.
#[derive(Debug)]
struct Round {
    first_exec: f64,
    /// From each server's first completion to our `ready`.
    noticed: Vec<f64>,
    /// All ready, over the own start of the slowest server.
    over_slowest: f64,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit in 52 bits"
)]
fn round(launcher: &str) -> Round {
    let scene = Scene::new("");
    let hf = scene.path("hf");
    fs::write(scene.path("cluster.yaml"), yaml(launcher, &hf)).unwrap();
    put_weights(&hf);
    put_vllm(&scene);
    let ports: BTreeMap<u16, &str> = MODELS
        .iter()
        .flat_map(|(model, first)| (*first..first + REPLICAS).map(move |port| (port, *model)))
        .collect();
    let probers: BTreeMap<u16, _> = ports
        .iter()
        .map(|(port, model)| {
            let (port, model) = (*port, (*model).to_owned());
            (port, thread::spawn(move || first_completion(&model, port)))
        })
        .collect();
    let began = wall_ms();
    scene.run(&["up", "cluster.yaml"]);
    let answered: BTreeMap<u16, f64> = probers
        .into_iter()
        .map(|(port, prober)| (port, prober.join().unwrap()))
        .collect();
    let started: BTreeMap<u16, f64> = ports
        .keys()
        .map(|port| {
            let text = fs::read_to_string(scene.path(&format!("started/{port}"))).unwrap();
            (*port, text.trim().parse::<f64>().unwrap() * 1000.0)
        })
        .collect();
    let ready: BTreeMap<String, f64> = scene
        .journal("start")
        .iter()
        .filter_map(|record| match &record.event {
            Event::Ready { unit, .. } => Some((unit.to_string(), record.at.0 as f64)),
            _ => None,
        })
        .collect();
    scene.run(&["down", "cluster.yaml"]);
    let unit_of = |port: u16| {
        let place = MODELS
            .iter()
            .position(|(_, first)| (*first..first + REPLICAS).contains(&port));
        let place = place.unwrap();
        format!("m{place}-{}", port - MODELS[place].1)
    };
    let noticed = answered
        .iter()
        .map(|(port, at)| ready[&unit_of(*port)] - at);
    let slowest = answered.iter().map(|(port, at)| at - started[port]);
    let last = ready.values().copied().fold(0.0, f64::max);
    Round {
        first_exec: started.values().copied().fold(f64::MAX, f64::min) - began,
        noticed: noticed.collect(),
        over_slowest: last - began - slowest.fold(0.0, f64::max),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn say(what: &str, values: Vec<f64>, bound: f64) {
    let low = values.iter().copied().fold(f64::MAX, f64::min);
    let high = values.iter().copied().fold(f64::MIN, f64::max);
    let count = values.len();
    let middle = median(values);
    println!(
        "  {what:<34} min {low:.0}, median {middle:.0}, max {high:.0} ms ({count}); {}",
        judged(middle <= bound, &format!("{bound} ms"))
    );
}

fn main() {
    for launcher in ["process", "tmux"] {
        let rounds: Vec<Round> = (0..ROUNDS).map(|_| round(launcher)).collect();
        println!("{launcher}, 24 servers, {ROUNDS} times:");
        let of = |pick: fn(&Round) -> f64| rounds.iter().map(pick).collect::<Vec<f64>>();
        say(
            "`up` to the first exec",
            of(|round| round.first_exec),
            100.0,
        );
        let noticed = rounds.iter().flat_map(|round| round.noticed.clone());
        say("first completion to ready", noticed.collect(), 250.0);
        say(
            "all ready, over the slowest's own",
            of(|round| round.over_slowest),
            1000.0,
        );
    }
}
