//! The controller is killed again and again, and each time another one goes on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use super::site::{ASKING, Site};
use super::{Lab, Shape};

const QUESTIONS: usize = 150;
const KILLS: usize = 20;

const YAML: &str = "version: 1
name: kills
launcher: tmux
slurm: { partition: main, time: '01:00:00' }
nodes:
  research-secure-05: { gpus: 4 }
  research-secure-11: { gpus: 4, launcher: process }
  gpu-31-10: { gpus: 4, launcher: slurm }
models:
  m:
    model: Qwen/Qwen3-8B
    engine: sim
    node: [research-secure-05, research-secure-11, gpu-31-10]
    replicas: 6
    port: 1800
    sim: { latency: 400ms }
    restart: { backoff: 1s }
";

/// Moments of up to 2.5 s.
fn moments(mut seed: u64) -> impl Iterator<Item = Duration> {
    std::iter::from_fn(move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(Duration::from_millis((seed >> 33) % 2_500))
    })
}

#[test]
fn twenty_kills_start_nothing_twice_and_ask_nothing_again() {
    let shape = Shape {
        slurm: vec!["gpu-31-10".to_owned()],
        ..Shape::plain(&["research-secure-05", "research-secure-11"])
    };
    let site = Site::new(&shape, &format!("{YAML}{ASKING}")).with_questions(QUESTIONS);
    site.write("hold", "");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = u64::from(now.subsec_nanos());
    for (kill, moment) in moments(seed).take(KILLS).enumerate() {
        let going = site.up();
        std::thread::sleep(moment);
        Lab::signal(&going, Signal::KILL);
        let said = going.end();
        assert_eq!(said.code, 137, "seed {seed}, kill {kill}\n{}", said.err);
        site.assert_none_twice(&format!("seed {seed}, kill {kill}\n{}", said.err));
    }
    let last = site.up();
    std::fs::remove_file(site.home().join("c/hold")).unwrap();
    let said = last.end();
    assert_eq!(said.code, 0, "seed {seed}\n{}", said.err);
    site.assert_answered(QUESTIONS);
    for node in ["research-secure-05", "research-secure-11", "gpu-31-10"] {
        site.assert_units(node, 2);
    }
    site.goes_down();
}
