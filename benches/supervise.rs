//! What it costs to watch 1,000 endpoints: less than 5 % of a core and 80 MB.
//!
//! Four processes host 250 simulated servers each. The journal and the state directories say that an earlier controller
//! had started them, so `up` adopts them, proves each one, starts a client, and watches. The unit scripts of
//! real servers are processes of their own and are not in these figures.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a bench that cannot run has failed; it shares its measures with others"
)]

mod adopted;
mod measure;
mod processes;
mod scene;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use adopted::{Children, Fleet};
use measure::judged;
use processes::{memory_kib, ticks};
use scene::Scene;

const FLEET: Fleet = Fleet {
    model: "Qwen/Qwen3-32B-FP8",
    hosts: 4,
    each: 250,
    first_port: 22_000,
};
/// Long enough for three looks at each endpoint.
const WATCHED: Duration = Duration::from_secs(30);

fn yaml() -> String {
    let Fleet {
        model, first_port, ..
    } = FLEET;
    format!(
        "version: 1\nname: wide\nvllm: {{ version: \"0.12.0\" }}\nlauncher: process\nwhen_done: keep\n\
         nodes: {{ here: {{ gpus: 1000, transport: local, address: 127.0.0.1 }} }}\n\
         models: {{ expert: {{ engine: sim, model: {model}, node: here, replicas: {}, port: {first_port} }} }}\n\
         evals: {{ long: {{ command: [sleep, '600'], dataset: ids.jsonl, id_fields: [id], results: out, \
         limits: {{ first_result: 60m, stall: 60m }} }} }}\n",
        FLEET.count()
    )
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand ticks")]
fn main() {
    let scene = Scene::new(&yaml());
    fs::write(
        scene.path("ids.jsonl"),
        "{\"id\": \"a\", \"question\": \"?\"}\n",
    )
    .unwrap();
    let run = scene.run_dir("wide");
    let hosts = FLEET.start(&scene, &run, &[("TOOLORCH_SIM_LATENCY_MS", "5")]);
    thread::sleep(Duration::from_secs(1));
    FLEET.write_past(&scene, &run, "wide", &hosts);

    let began = Instant::now();
    let mut up = Children(vec![
        scene.toolorch(&["up", "cluster.yaml"]).spawn().unwrap(),
    ]);
    let count = usize::from(FLEET.count());
    scene.await_ready("wide", count, &mut up.0[0]);
    let proving = began.elapsed();
    let pid = up.0[0].id();
    println!(
        "{count} endpoints proved after {:.1} s, {:.1} s of processor time",
        proving.as_secs_f64(),
        ticks(pid) as f64 / 100.0
    );
    thread::sleep(Duration::from_secs(5));
    let before = ticks(pid);
    thread::sleep(WATCHED);
    let share = (ticks(pid) - before) as f64 / WATCHED.as_secs_f64();
    println!(
        "watching: {share:.1} % of a core; {}",
        judged(share < 5.0, "5 %")
    );
    let peak = memory_kib(pid, "VmHWM:");
    let now = memory_kib(pid, "VmRSS:");
    println!(
        "memory: peak {peak} KiB, now {now} KiB; {}",
        judged(peak <= 80_000_000 / 1024, "80 MB")
    );
    drop(up);
    scene.run(&["down", "cluster.yaml"]);
}
