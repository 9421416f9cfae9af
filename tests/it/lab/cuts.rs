//! Links that are cut, and power that is, in the middle of an evaluation over ssh.

use std::time::{Duration, Instant};

use super::site::{ASKING, Site};
use super::{Link, Shape};
use crate::up::scene::until;

const STAYS: &str = "research-secure-05";
const UNPLUGGED: &str = "research-secure-11";
const SILENT: &str = "research-secure-12";
const DARK: &str = "research-secure-13";
const QUESTIONS: usize = 80;

const YAML: &str = "version: 1
name: cuts
launcher: tmux
nodes:
  research-secure-05: { gpus: 2 }
  research-secure-11: { gpus: 2 }
  research-secure-12: { gpus: 2, launcher: process }
  research-secure-13: { gpus: 2, launcher: process }
models:
  m:
    model: Qwen/Qwen3-8B
    engine: sim
    node: [research-secure-05, research-secure-11, research-secure-12, research-secure-13]
    replicas: 8
    port: 1800
    sim: { latency: 400ms }
    restart: { backoff: 1s }
";

#[test]
fn nodes_out_of_reach_for_half_a_minute_keep_their_servers_and_one_without_power_gets_them_again() {
    let nodes = [STAYS, UNPLUGGED, SILENT, DARK];
    let yaml = format!("{YAML}{ASKING}");
    let site = Site::new(&Shape::plain(&nodes), &yaml).with_questions(QUESTIONS);
    site.write("hold", "");
    let going = site.up();
    until("the evaluation", || (site.answered() >= 20).then_some(()));
    let before = nodes.map(|node| site.servers(node));

    let began = Instant::now();
    site.link(UNPLUGGED, Link::Down);
    site.link(SILENT, Link::Drop);
    site.crash(DARK);
    for unit in ["m-2", "m-3", "m-4", "m-5", "m-6", "m-7"] {
        Site::says(&going, 1, &format!("alarm {unit} out-of-reach"));
    }
    let answered = site.answered();
    until("an answer of the one that stays", || {
        (site.answered() > answered).then_some(())
    });
    let status = site.toolorch(0, "status");
    assert!(status.out.contains("out of reach"), "{}", status.out);
    // Longer than anybody waits for an answer.
    std::thread::sleep(Duration::from_secs(30).saturating_sub(began.elapsed()));
    site.link(UNPLUGGED, Link::Up);
    site.link(SILENT, Link::Carry);
    site.boot(DARK);

    for unit in ["m-6", "m-7"] {
        Site::says(&going, 2, &format!("{unit} ready after"));
    }
    std::fs::remove_file(site.home().join("c/hold")).unwrap();
    let said = going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    for words in ["stalled", "stop-failed", "m-2 stopped", "m-5 stopped"] {
        assert!(!said.err.contains(words), "{}", said.err);
    }
    site.assert_answered(QUESTIONS);
    let after = nodes.map(|node| site.servers(node));
    assert_eq!(after[..3], before[..3], "what lives is left alone");
    site.assert_units(DARK, 2);
    site.goes_down();
}
