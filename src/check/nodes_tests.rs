//! What a look at machines shows, with the whole text that people see.

use insta::assert_snapshot;

use super::{Ctx, nodes};
use crate::diag::human;
use crate::facts::{Known, NodeLook};
use crate::plan::inspect::{Inspected, inspections};
use crate::plan::plan_tests;
use crate::plan::weights::wanted;
use crate::spec::{Source, parse};

const YAML: &str = "version: 1
name: a
vllm: { version: \"0.12.0\", env: { conda: vllm1 } }
nodes:
  n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
models:
  m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
services:
  s: { node: n, gpus: [1], port: 1810, command: [python, s.py], cwd: /srv/s, env: { setup: [source ~/env.sh] } }
";

/// An answer to which nothing can be objected.
const FINE: &str = "host\tgpu05\tann\t/home/ann\t96
nofile\t1024\t1048576
gpu\t0, GPU-a, NVIDIA H100 80GB HBM3, 81559, 0, 580.1
gpu\t1, GPU-b, NVIDIA H100 80GB HBM3, 81559, 0, 580.1
path\t/ckpt/Qwen3-8B\tdirectory
path\t/srv/s\tdirectory
path\t~/env.sh\tfile
disk\t/tmp\t/\t90000000\t200000000
port\t1800
port\t1810
env\tconda\tvllm1\t/opt/vllm1
vllm\tconda\tvllm1\t0.12.0\t/opt/vllm1/bin/vllm|7
flags\tconda\tvllm1\t--max-model-len --host --port --gpu-memory-utilization --no-such-flag
";

/// What is said where the machine answers so, between seconds 1 and 2.
fn said(yaml: &str, look: Known<NodeLook>) -> String {
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, [], "the YAML itself must be in order");
    let (spec, facts) = (parsed.spec.unwrap(), plan_tests::facts());
    let (plan, _) = crate::plan::plan(&spec, &facts);
    let (none, no_units) = Default::default();
    let weights = wanted(&spec, &plan, Some("/home/user"), &none, &no_units);
    let inspection = inspections(&spec, &plan, &weights, None).remove(0);
    let looked = [Inspected {
        inspection,
        look,
        between: (1000, 2000),
    }];
    let ctx = Ctx {
        spec: &spec,
        plan: &plan,
        facts: &facts,
    };
    human(&nodes(&ctx, &weights, &looked), &parsed.document, false)
}

fn answered(text: &str) -> Known<NodeLook> {
    Known::Known(NodeLook::read(&format!("begin\t1100\n{text}end\t1900\n")))
}

/// The answer with this in the place of that.
fn with(changes: &[(&str, &str)]) -> String {
    let change = |text: String, (from, to): &(&str, &str)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    said(
        YAML,
        answered(&changes.iter().fold(FINE.to_owned(), change)),
    )
}

#[test]
fn a_machine_on_which_all_is_well_gives_no_word() {
    assert_eq!(with(&[]), "");
}

#[test]
fn a_machine_that_does_not_answer_is_named() {
    let why = "node `n` cannot be reached: no route to host".to_owned();
    assert_snapshot!(said(YAML, Known::Unknown(why)), @r"
    error[E0701]: `n` could not be looked at
     --> a.yaml:5:3
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |   ^ nothing is known of it
      |
      = help: node `n` cannot be reached: no route to host

    error: 1 error in a.yaml
    ");
    let cut = NodeLook::read("begin\t1100\nhost\tgpu05\tann\t/home/ann\t96\n");
    assert_snapshot!(said(YAML, Known::Known(cut)), @r"
    error[E0701]: `n` could not be looked at
     --> a.yaml:5:3
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |   ^ nothing is known of it
      |
      = help: its answer was cut short

    error: 1 error in a.yaml
    ");
}

#[test]
fn gpus_that_are_absent_or_others_are_named() {
    let other = "gpu\t1, GPU-b, NVIDIA H100 80GB HBM3, 81559, 0, 580.1\n";
    assert_snapshot!(with(&[(other, "")]), @r"
    error[E0702]: `n` has no GPU 1
     --> a.yaml:5:14
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |              ^ `nvidia-smi` lists 1
      |
      = help: write those that are there, or have the machine looked after

    error: 1 error in a.yaml
    ");
    assert_snapshot!(with(&[("GPU-b, NVIDIA H100 80GB HBM3, 81559", "GPU-b, NVIDIA A100-SXM4-40GB, 40960")]), @r"
    warning[W0704]: GPU 1 of `n` is no H100-80GB
     --> a.yaml:5:22
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |                      ^^^^^^^^^ it is a NVIDIA A100-SXM4-40GB with 40.0 GiB
      |
      = help: memory is reckoned with what is written here

    warning: 1 warning in a.yaml
    ");
    let gpus = FINE
        .lines()
        .filter(|line| line.starts_with("gpu\t"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_snapshot!(with(&[(&gpus, "no-gpus\tthere is no nvidia-smi")]), @r"
    warning[W0703]: the GPUs of `n` could not be looked at
     --> a.yaml:5:14
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |              ^ there is no nvidia-smi
      |
      = help: `nvidia-smi` in a shell there should list them

    warning: 1 warning in a.yaml
    ");
}

#[test]
fn memory_that_is_not_told_is_named() {
    let untold = [
        (
            "GPU-a, NVIDIA H100 80GB HBM3, 81559, 0",
            "GPU-a, NVIDIA H100 80GB HBM3, [N/A], [N/A]",
        ),
        (
            "GPU-b, NVIDIA H100 80GB HBM3, 81559, 0",
            "GPU-b, NVIDIA H100 80GB HBM3, 81559, [Insufficient Permissions]",
        ),
    ];
    assert_snapshot!(with(&untold[..1]), @r"
    warning[W0703]: the free memory of GPU 0 of `n` is not known
     --> a.yaml:5:14
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |              ^ `nvidia-smi` does not say how much it has, or how much is in use
      |
      = help: of a GPU in parts (MIG), and of one that shares the memory of its machine, it says `[N/A]`: whether there is enough only the start of the servers will show

    warning: 1 warning in a.yaml
    ");
    assert_snapshot!(with(&untold), @r"
    warning[W0703]: the free memory of GPU 0, 1 of `n` is not known
     --> a.yaml:5:14
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |              ^ `nvidia-smi` does not say how much it has, or how much is in use
      |
      = help: of a GPU in parts (MIG), and of one that shares the memory of its machine, it says `[N/A]`: whether there is enough only the start of the servers will show

    warning: 1 warning in a.yaml
    ");
    // Nobody uses it.
    let yaml = YAML.replace("gpus: [1], port: 1810", "port: 1810");
    let text = FINE.replace(untold[1].0, untold[1].1);
    assert_eq!(said(&yaml, answered(&text)), "");
}

#[test]
fn who_holds_memory_that_a_server_needs_is_named() {
    let used = (
        "GPU-a, NVIDIA H100 80GB HBM3, 81559, 0",
        "GPU-a, NVIDIA H100 80GB HBM3, 81559, 61440",
    );
    let app = |mark: &str| {
        format!("app\tGPU-a\t688\t61000\tbob\t{mark}\t/usr/bin/python3 train.py\npath\t/srv/s")
    };
    assert_snapshot!(with(&[used, ("path\t/srv/s", &app(""))]), @r"
    error[E0705]: GPUs of `n` have too little memory left for `m`
     --> a.yaml:7:3
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |   ^ vLLM would refuse to start
      |
      = help: GPU 0: 19.6 GiB of 79.6 GiB free, and 71.6 GiB is asked for; in use: pid 688 (bob) python3 59.5 GiB
      = help: have these processes ended, take other GPUs, or lower `gpu_memory_utilization`

    error: 1 error in a.yaml
    ");
    assert_eq!(
        with(&[used, ("path\t/srv/s", &app("a-3-ab12/m-0/1/x"))]),
        ""
    );
    // Of whom nobody can tell.
    let hidden = (
        "path\t/srv/s",
        "no-apps\tnvidia-smi ended with 9: no permission\npath\t/srv/s",
    );
    assert_snapshot!(with(&[used, hidden]), @r"
    error[E0705]: GPUs of `n` have too little memory left for `m`
     --> a.yaml:7:3
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |   ^ vLLM would refuse to start
      |
      = help: GPU 0: 19.6 GiB of 79.6 GiB free, and 71.6 GiB is asked for; in use: nobody can say by whom (nvidia-smi ended with 9: no permission)
      = help: have these processes ended, take other GPUs, or lower `gpu_memory_utilization`

    error: 1 error in a.yaml
    ");
    let little = (
        "GPU-b, NVIDIA H100 80GB HBM3, 81559, 0",
        "GPU-b, NVIDIA H100 80GB HBM3, 81559, 2048",
    );
    assert_snapshot!(with(&[little]), @r"
    note[N0706]: others use GPUs of `n` that `s` will use
     --> a.yaml:9:3
      |
    9 |   s: { node: n, gpus: [1], port: 1810, command: [python, s.py], cwd: /srv/s, env: { setup: [source ~/env.sh] } }
      |   ^ both would share their time
      |
      = help: GPU 1: 77.6 GiB of 79.6 GiB free; in use: by no process that can be seen

    note: 1 note in a.yaml
    ");
}

#[test]
fn environments_releases_and_flags_are_those_of_the_machine() {
    let env = FINE
        .lines()
        .filter(|line| line.contains("\tconda\t"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_snapshot!(with(&[(&env, "no-env\tconda\tvllm1\tthere is none of this name under /opt/conda/envs")]), @r"
    error[E0707]: conda `vllm1` is not there on `n`
     --> a.yaml:7:3
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |   ^ there is none of this name under /opt/conda/envs
      |
      = help: make it there, or name the one that is meant

    error: 1 error in a.yaml
    ");
    let none =
        "env\tconda\tvllm1\t/opt/vllm1\nno-vllm\tconda\tvllm1\tthere is no /opt/vllm1/bin/vllm";
    assert_snapshot!(with(&[(&env, none)]), @r"
    error[E0708]: conda `vllm1` of `n` has no vLLM
     --> a.yaml:7:3
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |   ^ there is no /opt/vllm1/bin/vllm
      |
      = help: install it there, or name the environment that holds it

    error: 1 error in a.yaml
    ");
    assert_snapshot!(with(&[("0.12.0", "0.14.1+cu129"), (" --no-such-flag", "")]), @r#"
    error[E0709]: conda `vllm1` of `n` has vLLM 0.14.1+cu129, not 0.12.0
     --> a.yaml:3:18
      |
    3 | vllm: { version: "0.12.0", env: { conda: vllm1 } }
      |                  ^^^^^^^^ flags and parsers are checked against this one
    ...
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |   - is served from there
      |
      = help: write the release that is installed, or install the one that is written; a server of another release is refused when it is up

    error[E0710]: vLLM 0.14.1+cu129 on `n` has no flag `--no-such-flag`
     --> a.yaml:7:100
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |                                                                                                    ^^^^^^^^^^^^ its help does not name it
      |
      = help: `vllm serve --help=all` lists those that it has

    error: 2 errors in a.yaml
    "#);
    assert_eq!(with(&[("0.12.0", "0.12.0+cu129")]), "");
    let failed = "no-flags\tconda\tvllm1\tits help failed: ModuleNotFoundError: torch";
    let flags = FINE.lines().find(|line| line.starts_with("flags")).unwrap();
    assert_snapshot!(with(&[(flags, failed)]), @r"
    note[N0715]: not proved on `n`: which vLLM serves, and its flags
     --> a.yaml:7:3
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |   ^
      |
      = help: flags: its help failed: ModuleNotFoundError: torch

    note: 1 note in a.yaml
    ");
}

#[test]
fn programs_that_start_units_must_be_there() {
    let answer = format!("{FINE}no-program\ttmux\nno-program\tflock\n");
    let yaml = YAML.replace("name: a\n", "name: a\nlauncher: tmux\n");
    assert_snapshot!(said(&yaml, answered(&answer)), @r"
    error[E0721]: `flock` is not on the PATH of `n`
     --> a.yaml:6:3
      |
    6 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |   ^ each unit is started and watched with it
      |
      = help: have it installed there: it is of util-linux, coreutils, findutils or grep

    error[E0721]: `tmux` is not on the PATH of `n`
     --> a.yaml:6:3
      |
    6 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |   ^ units start in its sessions
      |
      = help: have tmux installed there, or write `launcher: process` for this node

    error: 2 errors in a.yaml
    ");
}

#[test]
fn paths_disks_ports_limits_and_the_clock_are_looked_at() {
    assert_snapshot!(with(&[("/ckpt/Qwen3-8B\tdirectory", "/ckpt/Qwen3-8B\tabsent"), ("/srv/s\tdirectory", "/srv/s\tfile"), ("env.sh\tfile", "env.sh\tabsent")]), @r"
    error[E0712]: `/ckpt/Qwen3-8B` is not there on `n`
     --> a.yaml:7:15
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |               ^^^^^^^^^^^^^^ it is read from there
      |
      = help: bring it there, or name the one that is meant

    error[E0712]: `/srv/s` is no folder on `n`
     --> a.yaml:9:70
      |
    9 |   s: { node: n, gpus: [1], port: 1810, command: [python, s.py], cwd: /srv/s, env: { setup: [source ~/env.sh] } }
      |                                                                      ^^^^^^ it is to run there
      |
      = help: bring it there, or name the one that is meant

    error[E0712]: `~/env.sh` is not there on `n`
     --> a.yaml:9:3
      |
    9 |   s: { node: n, gpus: [1], port: 1810, command: [python, s.py], cwd: /srv/s, env: { setup: [source ~/env.sh] } }
      |   ^ a line of its `setup` reads it
      |
      = help: bring it there, or name the one that is meant

    error: 3 errors in a.yaml
    ");
    assert_snapshot!(with(&[("90000000", "1000"), ("1024\t1048576", "1024\t2048")]), @r"
    warning[W0711]: `s` asks for 65536 open files, and `n` allows 2048
     --> a.yaml:9:3
      |
    9 |   s: { node: n, gpus: [1], port: 1810, command: [python, s.py], cwd: /srv/s, env: { setup: [source ~/env.sh] } }
      |   ^ it will get what is allowed
      |
      = help: have the hard limit of that machine raised (`ulimit -Hn`, /etc/security/limits.conf)

    warning[W0713]: `/tmp` of `n` has 1.0 MB left
     --> a.yaml:5:3
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |   ^ units keep their state there, and logs if the run's folder is not shared
      |
      = help: make room on `/`

    warning: 2 warnings in a.yaml
    ");
    let taken = |address: &str| {
        format!("listens\t1800\t{address}\t7\tbob\t\tpython3 -m http.server\nport\t1800")
    };
    assert_snapshot!(with(&[("port\t1800", &taken("00000000"))]), @r"
    error[E0714]: port 1800 of `n`, which `m-0` wants, is taken
     --> a.yaml:7:57
      |
    7 |   m: { model: /ckpt/Qwen3-8B, node: n, gpus: [0], port: 1800, gpu_memory_utilization: 0.9, args: { no-such-flag: 1 } }
      |                                                         ^^^^ somebody listens there
      |
      = help: pid 7 (bob) python3 at 0.0.0.0
      = help: end it, or write another port or `auto`

    error: 1 error in a.yaml
    ");
    assert_eq!(with(&[("port\t1800", &taken("0100007F"))]), "");
    let late = Known::Known(NodeLook::read(&format!("begin\t91000\n{FINE}end\t92000\n")));
    assert_snapshot!(said(YAML, late), @r"
    warning[W0716]: the clock of `n` is 90 s ahead of that of this machine
     --> a.yaml:5:3
      |
    5 |   n: { gpus: 2, gpu: H100-80GB, transport: ssh2, address: 10.0.0.1 }
      |   ^ times of logs, results and leases would not fit together
      |
      = help: have both keep time (`chronyc tracking`, `timedatectl`)

    warning: 1 warning in a.yaml
    ");
}

#[test]
fn what_may_be_hidden_is_no_fault() {
    assert_eq!(
        with(&[("/ckpt/Qwen3-8B\tdirectory", "/ckpt/Qwen3-8B\thidden")]),
        ""
    );
    let allowed = format!("{YAML}allow: [{{ code: W0711, reason: few calls }}]\n");
    let text = FINE.replace("1024\t1048576", "1024\t2048");
    assert_eq!(said(&allowed, answered(&text)), "");
}

const WEIGHTS: &str = "version: 1
name: a
nodes: { n: { gpus: 1, transport: ssh2, address: 10.0.0.1 } }
models:
  m: { model: Qwen/Qwen3-32B, node: n, port: 1800 }
";

#[test]
fn weights_that_do_not_fit_are_told_before_they_come() {
    let hub = "/home/user/.cache/huggingface/hub";
    let text = format!(
        "gpu\t0, GPU-a, NVIDIA H100 80GB HBM3, 81559, 0, 580.1\npath\t{hub}/models--Qwen--Qwen3-32B\tabsent\ndisk\t{hub}\t/home\t20000000\t90000000\n"
    );
    assert_snapshot!(said(WEIGHTS, answered(&text)), @r"
    warning[W0713]: the weights of `m` take 60.8 GB, and `/home` of `n` has 20.4 GB left
     --> a.yaml:5:15
      |
    5 |   m: { model: Qwen/Qwen3-32B, node: n, port: 1800 }
      |               ^^^^^^^^^^^^^^ not in the cache there
      |
      = help: make room, or have the cache `/home/user/.cache/huggingface/hub` elsewhere: `hf: { home: … }`

    warning: 1 warning in a.yaml
    ");
    let there = text.replace("absent", "directory");
    assert_eq!(said(WEIGHTS, answered(&there)), "");
}

#[test]
fn a_stage_and_results_without_room_are_told() {
    let hub = "/home/user/.cache/huggingface/hub";
    let yaml = format!(
        "{WEIGHTS}hf: {{ stage: /scratch/weights }}\nevals:\n  e: {{ command: [a], results: /data/out, finished: {{ count: 1 }}, node: n, requires: [m] }}\n"
    );
    let text = format!(
        "gpu\t0, GPU-a, NVIDIA H100 80GB HBM3, 81559, 0, 580.1\npath\t{hub}/models--Qwen--Qwen3-32B\tdirectory\n\
         path\t/scratch/weights\tabsent\ndisk\t/scratch/weights\t/scratch\t20000000\t90000000\ndisk\t/data/out\t/data\t20000\t90000000\n"
    );
    assert_snapshot!(said(&yaml, answered(&text)), @r"
    warning[W0713]: `/data/out` of `n` has 20.4 MB left
     --> a.yaml:8:31
      |
    8 |   e: { command: [a], results: /data/out, finished: { count: 1 }, node: n, requires: [m] }
      |                               ^^^^^^^^^ results are written there
      |
      = help: make room on `/data`

    warning[W0713]: the weights of `m` take 60.8 GB, and `/scratch` of `n` has 20.4 GB left
     --> a.yaml:6:14
      |
    6 | hf: { stage: /scratch/weights }
      |              ^^^^^^^^^^^^^^^^ `/scratch/weights` is on that disk
      |
      = help: make room, stage elsewhere, or let servers load from the cache: without `hf.stage`

    warning: 2 warnings in a.yaml
    ");
    let there = text.replace("weights\tabsent", "weights\tdirectory");
    assert!(!said(&yaml, answered(&there)).contains("/scratch"));
}

const JOBS: &str = "version: 1
name: a
launcher: slurm
slurm: { partition: main, time: '01:00:00' }
nodes: { gpu-1: { gpus: 8 } }
models:
  m: { model: Qwen/Qwen3-8B, node: gpu-1, port: 1800 }
";

/// What SLURM says of these jobs' node and partition.
const QUEUE: &str = "slurm\tgpu-1\tNodeName=gpu-1 Gres=gpu:h100:8(S:0-1) State=IDLE\npartition\tmain\tmain*|up|1-00:00:00|4|idle|gpu:8\n";

#[test]
fn more_time_than_a_partition_allows_is_told_at_time() {
    let short = said(JOBS, answered(&QUEUE.replace("1-00:00:00", "30:00")));
    let short: Vec<&str> = short.lines().take(5).collect();
    assert_snapshot!(short.join("\n"), @r"
    error[E0722]: partition `main` allows 30:00 at most, less than `time`
     --> a.yaml:4:33
      |
    4 | slurm: { partition: main, time: '01:00:00' }
      |                                 ^^^^^^^^^^ its jobs would never begin
    ");
}

#[test]
fn slurm_is_asked_about_what_it_gives_out() {
    let fine = QUEUE;
    assert_snapshot!(said(JOBS, answered(fine)), @r"
    note[N0720]: what only the job will show: vLLM and its flags, memory in use, limits, paths and clock of nodes that SLURM gives out
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^
      |
      = help: `srun -p PARTITION -w NODE --pty bash`, then the rendered script by hand, shows it before

    note: 1 note in a.yaml
    ");
    let few = fine.replace("h100:8", "h100:4");
    let down = fine
        .replace(
            "State=IDLE",
            "State=IDLE+DRAIN Reason=fan broken [root@2026-11-01]",
        )
        .replace("|up|", "|down|");
    let unknown =
        "no-slurm\tgpu-1\tslurm_load_node error: Node gpu-1 not found\npartition\tmain\t\n";
    let silent = "no-slurm\tgpu-1\tUnable to contact slurm controller (connect failure)\n";
    let all: String = [&few, &down, unknown, silent]
        .map(|text| said(JOBS, answered(text)))
        .join("---\n");
    assert_snapshot!(all, @r"
    error[E0719]: `gpu-1` has 4 GPUs in SLURM, fewer than the 8 that are written
     --> a.yaml:5:25
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |                         ^ sbatch would refuse the job

    note[N0720]: what only the job will show: vLLM and its flags, memory in use, limits, paths and clock of nodes that SLURM gives out
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^
      |
      = help: `srun -p PARTITION -w NODE --pty bash`, then the rendered script by hand, shows it before

    error: 1 error, 1 note in a.yaml
    ---
    warning[W0718]: SLURM gives no jobs to `gpu-1`: it is IDLE+DRAIN
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^ its job would wait while it is DRAIN
      |
      = help: reason: fan broken [root@2026-11-01]

    warning[W0718]: partition `main` takes no jobs now
     --> a.yaml:4:21
      |
    4 | slurm: { partition: main, time: '01:00:00' }
      |                     ^^^^ its jobs would wait

    note[N0720]: what only the job will show: vLLM and its flags, memory in use, limits, paths and clock of nodes that SLURM gives out
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^
      |
      = help: `srun -p PARTITION -w NODE --pty bash`, then the rendered script by hand, shows it before

    warning: 2 warnings, 1 note in a.yaml
    ---
    error[E0717]: SLURM knows no node `gpu-1`
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^ slurm_load_node error: Node gpu-1 not found
      |
      = help: `sinfo -N` lists them; `slurm_name` says what SLURM calls a node

    error[E0717]: SLURM has no partition `main`
     --> a.yaml:4:21
      |
    4 | slurm: { partition: main, time: '01:00:00' }
      |                     ^^^^ sbatch would refuse the job
      |
      = help: `sinfo -s` lists them

    note[N0720]: what only the job will show: vLLM and its flags, memory in use, limits, paths and clock of nodes that SLURM gives out
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^
      |
      = help: `srun -p PARTITION -w NODE --pty bash`, then the rendered script by hand, shows it before

    error: 2 errors, 1 note in a.yaml
    ---
    error[E0701]: SLURM could not be asked for node `gpu-1`
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^ nothing is known of it
      |
      = help: Unable to contact slurm controller (connect failure)

    note[N0720]: what only the job will show: vLLM and its flags, memory in use, limits, paths and clock of nodes that SLURM gives out
     --> a.yaml:5:10
      |
    5 | nodes: { gpu-1: { gpus: 8 } }
      |          ^^^^^
      |
      = help: `srun -p PARTITION -w NODE --pty bash`, then the rendered script by hand, shows it before

    error: 1 error, 1 note in a.yaml
    ");
}
