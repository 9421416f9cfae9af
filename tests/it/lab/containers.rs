//! Pyxis: a server is a step of its own in its job. There is no Pyxis here, so its options are taken off; the rest is SLURM's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Shape;
use super::site::Site;

const NODE: &str = "gpu-31-10";

const YAML: &str = "version: 1
name: s
launcher: slurm
slurm: { partition: main, time: '01:00:00' }
nodes: { gpu-31-10: { gpus: 8 } }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: gpu-31-10, gpus: [2, 5], replicas: 2, port: 1800, restart: { backoff: 1s } }
env:
  container: { runtime: pyxis, image: 'vllm/vllm-openai:v0.11.0', mounts: ['/data:/data'] }
  setup: ['PATH=$HOME/bin:$PATH']
evals:
  wait: { launcher: process, command: [sleep, '600'], results: out, finished: { count: 1 }, requires: [m], env: { venv: none } }
";

const SRUN: &str = r#"#!/bin/bash
words=()
for word; do [[ $word == --container-* ]] && echo "$word" >>"$HOME/options" || words+=("$word"); done
PATH=/usr/bin:/bin exec srun "${words[@]}"
"#;

#[test]
fn a_server_in_a_container_is_a_step_of_its_job() {
    let shape = Shape {
        slurm: vec![NODE.to_owned()],
        ..Shape::slurm()
    };
    let site = Site::new(&shape, YAML);
    let bin = site.home().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("srun"), SRUN).unwrap();
    fs::set_permissions(bin.join("srun"), fs::Permissions::from_mode(0o755)).unwrap();
    let activate = site.home().join("c/none/bin");
    fs::create_dir_all(&activate).unwrap();
    fs::write(activate.join("activate"), "").unwrap();

    let going = site.up();
    Site::says(&going, 1, "m-0 ready after");
    Site::says(&going, 1, "m-1 ready after");
    let servers = site.servers(NODE);
    let [pid] = servers["m-1"][..] else {
        panic!("{servers:?}")
    };
    let steps = site.exec(["squeue", "-h", "-s", "-o", "%i %j"]);
    assert_eq!(steps.matches(" env").count(), 2, "{steps}");
    let variables = format!("tr '\\0' '\\n' </proc/{pid}/environ | grep ^CUDA_V");
    let gpus = site.on(NODE, ["bash", "-c", &variables]);
    assert_eq!(gpus, "CUDA_VISIBLE_DEVICES=1", "its own of the two");

    site.on(NODE, ["kill", "-KILL", &pid.to_string()]);
    Site::says(&going, 1, "m-1 ended with code 137");
    Site::says(&going, 2, "m-1 ready after");
    site.goes_down();
    going.end();
    let options = fs::read_to_string(site.home().join("options")).unwrap();
    assert!(options.contains("--container-image=vllm/vllm-openai:v0.11.0\n"));
    assert!(
        options.contains(":/data,/data:/data\n") || options.contains(",/data:/data\n"),
        "{options}"
    );
}
