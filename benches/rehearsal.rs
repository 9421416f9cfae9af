//! An evaluation on 1,000 simulated replicas with 2,000 chat completions in flight: what two cores can do, and what the
//! controller itself costs.
//!
//! The replicas are hosted by few processes and adopted, as in `supervise`; the client is this program again. An
//! argument is the speed of virtual time: `cargo bench --bench rehearsal -- 2`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a bench that cannot run has failed; it shares its measures with others"
)]

mod adopted;
mod load;
mod measure;
mod processes;
mod scene;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use adopted::{Children, Fleet};
use load::{ANSWER_TOKENS, BEGUN, DECODE_RATE, IN_FLIGHT, Loaded, OVER, PREFILL_RATE, REPORT};
use measure::judged;
use processes::{children_ticks, memory_kib, open_files, ticks};
use scene::Scene;
use toolorch::run::Event;

const CLUSTER: &str = "scale";
const FLEET: Fleet = Fleet {
    model: "Qwen/Qwen3-32B-FP8",
    hosts: 2,
    each: 500,
    first_port: 23_000,
};
/// Virtual seconds in a second, unless the argument says otherwise.
const SPEED: f64 = 4.0;
/// How long the loaded phase lasts where the machine keeps up.
const SECONDS: f64 = 60.0;
/// The controller's bound: a share of one core.
const BOUND: f64 = 10.0;

fn yaml() -> String {
    let Fleet {
        model, first_port, ..
    } = FLEET;
    let exe = std::env::current_exe().unwrap();
    format!(
        "version: 1\nname: {CLUSTER}\nvllm: {{ version: \"0.12.0\" }}\nlauncher: process\nwhen_done: keep\n\
         nodes: {{ here: {{ gpus: 1000, transport: local, address: 127.0.0.1 }} }}\n\
         models: {{ expert: {{ engine: sim, model: {model}, node: here, replicas: {}, port: {first_port} }} }}\n\
         client_config: {{ format: toolorchestra, path: model_config.json }}\n\
         evals: {{ load: {{ command: ['{}', load, '{{config}}', '{{dataset}}', '{{results}}'], dataset: ids.jsonl, \
         results: out, marker: '\\[LOAD_COMPLETE\\] id=(?P<id>\\S+)', concurrency: {IN_FLIGHT}, \
         limits: {{ open_files: 16384, stall: 60m }} }} }}\n",
        FLEET.count(),
        exe.display()
    )
}

/// As many questions as fill the loaded phase, and those that are under way before and after it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a positive number of questions"
)]
fn questions(speed: f64) -> usize {
    let rate = IN_FLIGHT as f64 * speed / (ANSWER_TOKENS / DECODE_RATE);
    let rounds = load::ROUNDS as f64;
    (rate * SECONDS / rounds) as usize + IN_FLIGHT / load::ROUNDS + IN_FLIGHT / 2
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("load", rest)) = args.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        return load::main(rest);
    }
    let speed = args.iter().find_map(|arg| arg.parse().ok());
    bench(speed.unwrap_or(SPEED));
}

fn bench(speed: f64) {
    let scene = Scene::new(&yaml());
    let count = questions(speed);
    let mut lines = String::new();
    for number in 0..count {
        writeln!(lines, "{{\"id\": \"q-{number}\"}}").unwrap();
    }
    fs::write(scene.path("ids.jsonl"), lines).unwrap();
    let run = scene.run_dir(CLUSTER);
    let settings = [
        ("TOOLORCH_SIM_PREFILL_RATE", PREFILL_RATE),
        ("TOOLORCH_SIM_DECODE_RATE", DECODE_RATE),
        ("TOOLORCH_SIM_ANSWER_TOKENS", ANSWER_TOKENS),
        ("TOOLORCH_SIM_SPEED", speed),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_string()));
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let mut hosts = FLEET.start(&scene, &run, &settings);
    thread::sleep(Duration::from_secs(1));
    FLEET.write_past(&scene, &run, CLUSTER, &hosts);
    println!(
        "{count} questions at speed {speed}; load average {}",
        load_average()
    );

    let began = Instant::now();
    let mut up = Children(vec![
        scene.toolorch(&["up", "cluster.yaml"]).spawn().unwrap(),
    ]);
    let up = &mut up.0[0];
    scene.await_ready(CLUSTER, usize::from(FLEET.count()), up);
    println!("all ready after {:.1} s", began.elapsed().as_secs_f64());
    let watched = watch(&scene, up, &hosts);
    let status = up.wait().unwrap();
    assert!(status.success(), "{status}\n{}", scene.said());
    report(&scene, &watched, speed);
    progress(&scene, count);
    down(&scene, &mut hosts);
}

/// A process over the loaded phase.
struct Cost {
    ticks: u64,
    peak_kib: u64,
    files: usize,
}

/// What was seen of the loaded phase.
struct Watched {
    hosts: Vec<Cost>,
    client: Cost,
    controller: Cost,
    /// Ticks of programs that the controller ran.
    programs: u64,
    /// Requests in the engines at its end, by their own gauges.
    gauges: f64,
    /// Virtual seconds of a request in its engine, on average.
    engine: f64,
}

fn await_file(path: &Path, scene: &Scene, up: &mut Child) -> String {
    loop {
        if let Ok(text) = fs::read_to_string(path) {
            return text;
        }
        let ended = up.try_wait().unwrap();
        assert!(ended.is_none(), "it ended: {ended:?}\n{}", scene.said());
        thread::sleep(Duration::from_millis(20));
    }
}

fn watch(scene: &Scene, up: &mut Child, hosts: &Children) -> Watched {
    let client = await_file(&scene.path(BEGUN), scene, up).parse().unwrap();
    let hosts: Vec<u32> = hosts.0.iter().map(Child::id).collect();
    let before = Scraped::of_all();
    let all = hosts.iter().copied().chain([client, up.id()]);
    let began: Vec<(u32, u64)> = all.map(|pid| (pid, ticks(pid))).collect();
    let programs = children_ticks(up.id());
    await_file(&scene.path(OVER), scene, up);
    let costs = began.iter().map(|&(pid, ticks_before)| Cost {
        ticks: ticks(pid) - ticks_before,
        peak_kib: memory_kib(pid, "VmHWM:"),
        files: open_files(pid),
    });
    let mut costs: Vec<Cost> = costs.collect();
    let programs = children_ticks(up.id()) - programs;
    let after = Scraped::of_all();
    let (controller, client) = (costs.pop().unwrap(), costs.pop().unwrap());
    Watched {
        hosts: costs,
        client,
        controller,
        programs,
        gauges: after.running,
        engine: (after.seconds - before.seconds) / (after.requests - before.requests),
    }
}

/// Sums over the metrics of all servers.
#[derive(Default)]
struct Scraped {
    running: f64,
    seconds: f64,
    requests: f64,
}

impl Scraped {
    fn of_all() -> Self {
        let mut all = Self::default();
        for port in FLEET.ports() {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let request = "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            let value = |name: &str| -> f64 {
                let line = text.lines().find(|line| line.starts_with(name)).unwrap();
                line.rsplit_once(' ').unwrap().1.parse().unwrap()
            };
            all.running += value("vllm:num_requests_running{");
            all.seconds += value("vllm:e2e_request_latency_seconds_sum{");
            all.requests += value("vllm:e2e_request_latency_seconds_count{");
        }
        all
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn report(scene: &Scene, watched: &Watched, speed: f64) {
    let text = fs::read_to_string(scene.path(REPORT)).unwrap();
    let loaded: Loaded = serde_json::from_str(&text).unwrap();
    assert_eq!(loaded.failed, 0, "completions failed");
    println!(
        "loaded for {:.1} s: {:.0} in flight on average ({:.0} in the engines at its end), {:.0} completions a second; \
         load average {}",
        loaded.seconds,
        loaded.in_flight,
        watched.gauges,
        loaded.answered as f64 / loaded.seconds,
        load_average()
    );
    for (place, name) in ["mean", "P50", "P99"].into_iter().enumerate() {
        let (took, alone) = (loaded.took[place], loaded.alone[place] / speed);
        println!(
            "latency {name}: {took:.3} s; an engine that is alone takes {alone:.3} s: {:+.1} %",
            (took / alone - 1.0) * 100.0
        );
    }
    let engine = watched.engine / speed;
    println!(
        "mean by the engines' own histograms: {engine:.3} s; the machine and HTTP add {:.1} ms",
        (loaded.took[0] - engine) * 1000.0
    );
    let say = |name: &str, cost: &Cost| {
        let seconds = cost.ticks as f64 / 100.0;
        let share = seconds / loaded.seconds * 100.0;
        println!(
            "{name}: {share:.1} % of a core ({seconds:.1} s), peak {} MiB, {} files",
            cost.peak_kib / 1024,
            cost.files
        );
        share
    };
    for host in &watched.hosts {
        say(&format!("host of {}", FLEET.each), host);
    }
    say("client", &watched.client);
    let share = say("controller", &watched.controller);
    println!(
        "controller: {}; programs that it ran: {:.1} s",
        judged(share < BOUND, "10 % of a core"),
        watched.programs as f64 / 100.0
    );
}

/// What the controller has counted in the end.
fn progress(scene: &Scene, count: usize) {
    let entries = fs::read_dir(scene.path("out")).unwrap().flatten();
    // The controller's own lock lies there too.
    let results = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "json"));
    let files = results.count();
    let journal = scene.journal(CLUSTER);
    let counted = journal.iter().rev().find_map(|record| match record.event {
        Event::EvalProgress {
            done,
            errors,
            torn,
            total,
            ..
        } => Some([done, errors, torn, total]),
        _ => None,
    });
    println!("results: {files} written; done, errors, torn, total by the controller: {counted:?}");
    assert_eq!(files, count);
    assert_eq!(counted, Some([count, 0, 0, count]));
}

/// Stops everything, and looks for what is left.
fn down(scene: &Scene, hosts: &mut Children) {
    let began = Instant::now();
    scene.run(&["down", "cluster.yaml"]);
    let took = began.elapsed().as_secs_f64();
    let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
    let all_ended = hosts.0.iter_mut().all(ended);
    let listening = FLEET
        .ports()
        .filter(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok());
    let left = (listening.count(), processes(scene));
    println!("down after {took:.1} s; listeners and processes left: {left:?}");
    assert!(all_ended && left == (0, Vec::new()), "{left:?}");
}

/// Processes with the scene's folder in their environment.
fn processes(scene: &Scene) -> Vec<String> {
    let own = scene.path("home").display().to_string();
    let found = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environ).contains(&own)
    });
    found
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
