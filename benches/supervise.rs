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

mod measure;
mod scene;

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use measure::judged;
use scene::Scene;
use toolorch::base::{Clock as _, ClusterName, Generation, LaunchId, Port, UnitId};
use toolorch::run::store::{Durability, Journal, Owner, RunDir, boot_id, host_name};
use toolorch::run::{Event, Handle};
use toolorch::spec::model::LauncherKind;
use toolorch::world::SystemClock;

const HOSTS: u16 = 4;
const EACH: u16 = 250;
const FIRST_PORT: u16 = 22_000;
const MODEL: &str = "Qwen/Qwen3-32B-FP8";
/// Long enough for three looks at each endpoint.
const WATCHED: Duration = Duration::from_secs(30);

fn yaml() -> String {
    format!(
        "version: 1\nname: wide\nvllm: {{ version: \"0.12.0\" }}\nlauncher: process\nwhen_done: keep\n\
         nodes: {{ here: {{ gpus: 1000, transport: local, address: 127.0.0.1 }} }}\n\
         models: {{ expert: {{ engine: sim, model: {MODEL}, node: here, replicas: {}, port: {FIRST_PORT} }} }}\n\
         evals: {{ long: {{ command: [sleep, '600'], dataset: ids.jsonl, id_fields: [id], results: out, \
         limits: {{ first_result: 60m, stall: 60m }} }} }}\n",
        HOSTS * EACH
    )
}

/// Processes that end with the bench, however it ends.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn host_servers(scene: &Scene, run: &RunDir) -> Children {
    let hosts = (0..HOSTS).map(|host| {
        let first = (FIRST_PORT + host * EACH).to_string();
        let count = EACH.to_string();
        let mut command = scene.toolorch(&["sim", "host", &count, "vllm", "serve", MODEL]);
        command
            .args(["--port", &first, "--host", "127.0.0.1"])
            .env("TOOLORCH_SIM_LATENCY_MS", "5")
            .env(
                "TOOLORCH_UNIT",
                format!("{}/expert-{}/1/bench", run.id(), host * EACH),
            )
            .stdout(Stdio::null());
        command.spawn().unwrap()
    });
    Children(hosts.collect())
}

fn start_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    field(&stat, 19)
}

/// A field of `/proc/PID/stat`, counted from the state.
fn field(stat: &str, place: usize) -> u64 {
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(place).unwrap().parse().unwrap()
}

/// What a controller that was killed has left: journal and state directories.
fn write_past(scene: &Scene, run: &RunDir, hosts: &Children) {
    let scripts = run.scripts();
    scene.run(&[
        "render",
        "cluster.yaml",
        "--out",
        &scripts.to_string_lossy(),
    ]);
    let now = SystemClock.now();
    let owner = Owner::take(run.path(), now).unwrap();
    let (mut journal, _) = Journal::open(owner).unwrap();
    let mut note = |event| journal.append(now, event, Durability::Buffered).unwrap();
    note(Event::RunStarted {
        run: run.id().clone(),
        cluster: ClusterName::new("wide"),
        plan_sha256: String::new(),
        version: String::new(),
    });
    for (place, host) in hosts.0.iter().enumerate() {
        let (pid, start) = (host.id(), start_time(host.id()));
        for replica in 0..EACH {
            let number = u16::try_from(place).unwrap() * EACH + replica;
            let unit = UnitId::new(format!("expert-{number}"));
            let log = run.logs().join(format!("{unit}.1.log"));
            let log = log.to_string_lossy().into_owned();
            let port = Port(FIRST_PORT + number);
            write_state(scene, run, &unit, port, (pid, start), &log);
            note(Event::LaunchIntended {
                unit: unit.clone(),
                generation: Generation(1),
                launch: LaunchId::new("bench"),
            });
            note(Event::Launched {
                unit,
                generation: Generation(1),
                handle: Handle {
                    launcher: LauncherKind::Process,
                    native: pid.to_string(),
                    port: Some(port),
                    log,
                },
            });
        }
    }
    journal.leave(now).unwrap();
}

fn write_state(
    scene: &Scene,
    run: &RunDir,
    unit: &UnitId,
    port: Port,
    (pid, start): (u32, u64),
    log: &str,
) {
    use std::os::unix::fs::PermissionsExt as _;
    let root = scene.path("state").join(run.id().as_str());
    let dir = root.join(unit.as_str());
    fs::create_dir_all(&dir).unwrap();
    for dir in [&root, &dir] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let text = format!(
        "format=1\nunit={unit}\nrun={}\ngeneration=1\nepoch=1\nlaunch=bench\nhost={}\nboot={}\nsuper={pid}\n\
         super_start={start}\npid={pid}\nstart={start}\nport={port}\nlog={log}\nphase=running\n",
        run.id(),
        host_name(),
        boot_id()
    );
    fs::write(dir.join("state"), text).unwrap();
}

/// Ticks of processor time that a process has used.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    field(&stat, 11) + field(&stat, 12)
}

fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
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
    let hosts = host_servers(&scene, &run);
    thread::sleep(Duration::from_secs(1));
    write_past(&scene, &run, &hosts);

    let began = Instant::now();
    let mut up = Children(vec![
        scene.toolorch(&["up", "cluster.yaml"]).spawn().unwrap(),
    ]);
    let count = usize::from(HOSTS * EACH);
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
