//! `doctor` over real sshd, and with a real SLURM.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Shape;
use super::site::Site;

const NODE: &str = "research-secure-05";
const QUEUED: &str = "gpu-31-10";

const YAML: &str = "version: 1
name: seen
vllm: { version: '0.12.0', env: { venv: ~/venv } }
nodes:
  research-secure-05: { gpus: 1, launcher: process }
  gpu-31-10: { gpus: 8, launcher: slurm }
slurm: { partition: main, time: '01:00:00' }
models:
  m: { model: /ckpt/none, node: research-secure-05, port: 1800, args: { swap-space: 4 } }
  q: { model: Qwen/Qwen3-14B, node: gpu-31-10, gpus: [0], port: 1800 }
";

/// What vLLM's own program says here.
const VLLM: &str = "#!/bin/bash\necho asked >>~/asked\necho '--host --port --max-model-len'\n";

#[test]
fn a_node_over_ssh_and_a_queue_are_looked_at_in_one_call_each() {
    let shape = Shape {
        plain: vec![NODE.to_owned()],
        slurm: vec![QUEUED.to_owned()],
        ..Shape::slurm()
    };
    let site = Site::new(&shape, YAML);
    let home = site.home();
    let info = home.join("venv/lib/python3.12/site-packages/vllm-0.12.0.dist-info");
    fs::create_dir_all(&info).unwrap();
    fs::create_dir_all(home.join("venv/bin")).unwrap();
    fs::write(info.join("METADATA"), "Name: vllm\nVersion: 0.12.0\n").unwrap();
    fs::write(home.join("venv/bin/activate"), "").unwrap();
    let vllm = home.join("venv/bin/vllm");
    fs::write(&vllm, VLLM).unwrap();
    fs::set_permissions(&vllm, fs::Permissions::from_mode(0o755)).unwrap();

    let said = site.toolorch(3, "doctor");
    for words in [
        "research-secure-05 (research-secure-05 as tester, ",
        "vLLM 0.12.0 with 3 flags",
        "SLURM here (login01 as tester, ",
        "gpu-31-10: ",
        "State=IDLE",
        "Gres=gpu:h100:8",
        "main* up ",
    ] {
        assert!(said.out.contains(words), "no `{words}` in\n{}", said.out);
    }
    for words in [
        "error[E0710]: vLLM 0.12.0 on `research-secure-05` has no flag `--swap-space`",
        "error[E0712]: `/ckpt/none` is not there on `research-secure-05`",
        "note[N0720]",
    ] {
        assert!(said.err.contains(words), "no `{words}` in\n{}", said.err);
    }
    assert!(
        !said.err.contains("E0701") && !said.err.contains("W0716"),
        "{}",
        said.err
    );
    // What is known is not asked again, and nothing else is left anywhere.
    site.toolorch(3, "check --nodes");
    let asked = fs::read_to_string(home.join("asked")).unwrap();
    assert_eq!(asked, "asked\n");
    assert!(!home.join("c/.toolorch").exists());
    assert_eq!(
        site.on(
            NODE,
            ["bash", "-c", "ls -d /tmp/toolorch* 2>/dev/null || true"]
        ),
        ""
    );

    site.write("cluster.yaml", &YAML.replace("gpu-31-10", "gpu-99-99"));
    let said = site.toolorch(3, "doctor");
    assert!(
        said.err
            .contains("error[E0717]: SLURM knows no node `gpu-99-99`"),
        "{}",
        said.err
    );
    site.link(NODE, super::Link::Down);
    let said = site.toolorch(3, "doctor");
    assert!(
        said.err
            .contains("error[E0701]: `research-secure-05` could not be looked at"),
        "{}",
        said.err
    );
    site.link(NODE, super::Link::Up);
}
