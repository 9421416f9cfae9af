//! A job that an administrator suspends: its servers do not answer, and are left alone until it goes on.

use super::Shape;
use super::site::Site;

const NODE: &str = "gpu-31-10";

const YAML: &str = "version: 1
name: s
launcher: slurm
slurm: { partition: main, time: '01:00:00', extra: { comment: mine, hold: 'false' } }
nodes: { gpu-31-10: { gpus: 8 } }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: gpu-31-10, gpus: [0], port: 1800, restart: { backoff: 1s } }
evals:
  wait: { launcher: process, command: [sleep, '600'], results: out, finished: { count: 1 }, requires: [m] }
";

#[test]
fn a_suspended_job_keeps_its_servers() {
    let shape = Shape {
        slurm: vec![NODE.to_owned()],
        ..Shape::slurm()
    };
    let site = Site::new(&shape, YAML);
    let going = site.up();
    Site::says(&going, 1, "m-0 ready after");
    let before = site.servers(NODE);
    let job = site.exec(["squeue", "-h", "-o", "%i"]);
    site.root(["scontrol", "suspend", &job]);
    let words = format!("`m-0` does not answer: its SLURM job {job} is suspended");
    Site::says(&going, 1, &words);
    site.root(["scontrol", "resume", &job]);
    Site::says(&going, 1, "it is within reach again");
    assert_eq!(site.servers(NODE), before);
    assert!(!going.err().contains("m-0 stopped"), "{}", going.err());
    site.goes_down();
    going.end();
}
