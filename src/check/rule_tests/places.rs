//! Ports, GPUs, addresses, what runs here.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use super::super::{Ctx, Ours, check_all, preflight};
use super::{BASE, fine, said, said_of, said_with};
use crate::base::UnitId;
use crate::diag::human;
use crate::facts::{Known, Listener, PathKind};
use crate::plan::plan_tests::facts;
use crate::spec::{Source, parse};

#[test]
fn ports_collide() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 4, port: 1800 }\n  b: { model: Qwen/Qwen3-4B, node: n, replicas: 2, port: 1802 }\n"), @r"
    error[E0301]: port 1802 of `n` is wanted by `a-2` and `b-0`
     --> a.yaml:7:58
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, replicas: 4, port: 1800 }
      |                                                          ---- `a` begins here, +1 for each replica
    7 |   b: { model: Qwen/Qwen3-4B, node: n, replicas: 2, port: 1802 }
      |                                                          ^^^^ `b` begins here
      |
      = help: leave room for all replicas, or write `port: auto`

    error: 1 error in a.yaml
    ");
    fine(
        "models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 4, port: 1800 }\n  b: { model: Qwen/Qwen3-4B, node: n, replicas: 2, port: 1804 }\n",
    );
}

#[test]
fn containers_that_cannot_be_entered() {
    let with = |container: &str| {
        format!(
            "models:\n  a: {{ model: Qwen/Qwen3-8B, node: n, port: 1800, env: {{ container: {container} }} }}\n"
        )
    };
    fine(&with(
        "{ runtime: apptainer, image: 'docker://vllm/vllm-openai:v0.11.0', mounts: ['/data:/data:ro'] }",
    ));
    assert_snapshot!(said(&with("{ runtime: pyxis, image: -x, mounts: ['data:/data', '/a:/a,/b:/b'] }")), @r"
    error[E0603]: Pyxis is a part of SLURM
     --> a.yaml:6:80
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, port: 1800, env: { container: { runtime: pyxis, image: -x, mounts: ['data:/data', '/a:/a,/b:/b'...
      |                                                                                ^^^^^ `a-0` is in no SLURM job
      |
      = help: write `launcher: slurm`, or `runtime: apptainer`

    error[E0603]: an image that no runtime understands
     --> a.yaml:6:94
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, port: 1800, env: { container: { runtime: pyxis, image: -x, mounts: ['data:/data', '/a:/a,/b:/b'...
      |                                                                                              ^^ a path or an address is needed
      |
      = help: write a path (`/shared/images/vllm.sif`) or an address (`docker://vllm/vllm-openai:v0.11.0`)

    error[E0603]: a mount that no runtime understands
     --> a.yaml:6:107
      |
    6 | ...ntainer: { runtime: pyxis, image: -x, mounts: ['data:/data', '/a:/a,/b:/b'] } } }
      |                                                   ^^^^^^^^^^^^ `HOST:INSIDE` is needed
      |
      = help: write `/data:/data`, or `/data:/data:ro`; without commas

    error[E0603]: a mount that no runtime understands
     --> a.yaml:6:121
      |
    6 | ...ime: pyxis, image: -x, mounts: ['data:/data', '/a:/a,/b:/b'] } } }
      |                                                  ^^^^^^^^^^^^^ `HOST:INSIDE` is needed
      |
      = help: write `/data:/data`, or `/data:/data:ro`; without commas

    error: 4 errors in a.yaml
    ");
}

#[test]
fn ports_end() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 4, port: 65533 }\n"), @r"
    error[E0302]: the ports of `a` would go past 65535
     --> a.yaml:6:58
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, replicas: 4, port: 65533 }
      |                                                          ^^^^^ the first port is 65533, +1 for each replica
      |
      = help: begin lower, or write `port: auto`

    error: 1 error in a.yaml
    ");
    fine("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 3, port: 65533 }\n");
}

#[test]
fn gpus_that_are_not_there() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, gpus: [7, 8] }\n"), @r"
    error[E0310]: `a-1` wants GPU 8, which `n` does not have
     --> a.yaml:6:58
      |
    4 | nodes: { n: { gpus: 8, transport: local } }
      |                     - it has 0, 1, 2, 3, 4, 5, 6, 7
    5 | models:
    6 |   a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, gpus: [7, 8] }
      |                                                          ^^^^^^ GPUs count from 0

    error: 1 error in a.yaml
    ");
    fine("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, gpus: [6, 7] }\n");
}

#[test]
fn gpus_of_a_node_are_listed_once() {
    let yaml = "version: 1\nname: a\nnodes: { n: { gpus: [4, 5, 4], transport: local } }\n";
    assert_snapshot!(said_of(yaml, &facts()), @r"
    error[E0317]: GPU 4 of `n` is named twice
     --> a.yaml:3:28
      |
    3 | nodes: { n: { gpus: [4, 5, 4], transport: local } }
      |                            ^ again

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said_of(&yaml.replace(", 4]", "]"), &facts()), @"");
}

#[test]
fn gpus_that_two_want() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, gpus: [0], gpu_memory_utilization: 0.6 }\n  b: { model: Qwen/Qwen3-4B, node: n, gpus: [0] }\n"), @r"
    error[E0311]: GPU 0 of `n` is used by `a-0` and `b-0`, 150 % of its memory in all
     --> a.yaml:7:45
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, gpus: [0], gpu_memory_utilization: 0.6 }
      |                                             --- `a-0` takes 60 % of its memory
    7 |   b: { model: Qwen/Qwen3-4B, node: n, gpus: [0] }
      |                                             ^^^ `b-0` takes 90 % of its memory
      |
      = help: give each its own GPU, or set `gpu_memory_utilization` so that they add up to at most 1

    error: 1 error in a.yaml
    ");
    fine(
        "models:\n  a: { model: Qwen/Qwen3-8B, node: n, gpus: [0], gpu_memory_utilization: 0.6 }\n  b: { model: Qwen/Qwen3-4B, node: n, gpus: [0], gpu_memory_utilization: 0.4 }\n",
    );
}

#[test]
fn too_few_gpus() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 3, tensor_parallel: 4 }\n"), @r"
    error[E0312]: no GPUs are left on `n` for 1 server of `a`
     --> a.yaml:6:3
      |
    4 | nodes: { n: { gpus: 8, transport: local } }
      |                     - 8 GPUs, shared with nobody by default
    5 | models:
    6 |   a: { model: Qwen/Qwen3-8B, node: n, replicas: 3, tensor_parallel: 4 }
      |   ^ 3 servers with 4 GPUs each
      |
      = help: lower `replicas`, spread with `node: [A, B]`, or share GPUs on purpose: name them in `gpus` with utilizations that add up to at most 1

    error: 1 error in a.yaml
    ");
    fine("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, tensor_parallel: 4 }\n");
}

#[test]
fn gpus_of_a_server_that_spans_several() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, tensor_parallel: 2, gpus: [0, 1, 2, 3] }\n  b: { model: Qwen/Qwen3-4B, node: n, replicas: 3, gpus: [[4], [5]] }\n"), @r"
    error[E0313]: each server needs 2 GPUs, and gets 1
     --> a.yaml:6:78
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, tensor_parallel: 2, gpus: [0, 1, 2, 3] }
      |                                                                     -        ^^^^^^^^^^^^ one GPU for each replica
      |                                                                     |
      |                                                                     tensor_parallel × pipeline_parallel GPUs work as one server
      |
    help: write a group for each replica
      |
    6 -   a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, tensor_parallel: 2, gpus: [0, 1, 2, 3] }
    6 +   a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, tensor_parallel: 2, gpus: [[0, 1], [2, 3]] }
      |

    error[E0314]: 3 servers, but 2 groups of GPUs are named
     --> a.yaml:7:58
      |
    7 |   b: { model: Qwen/Qwen3-4B, node: n, replicas: 3, gpus: [[4], [5]] }
      |                                                 -        ^^^^^^^^^^ 2 groups of GPUs
      |                                                 |
      |                                                 3 servers
      |
      = help: name GPUs for each server, or leave `gpus` out: free ones are then chosen; with several nodes, one list may serve the block of each node

    error: 2 errors in a.yaml
    ");
    fine(
        "models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2, tensor_parallel: 2, gpus: [[0, 1], [2, 3]] }\n",
    );
}

#[test]
fn a_service_is_one_server_and_a_job_has_a_time() {
    assert_snapshot!(said("pools: { p: { nodes: 1, gpus: 8 } }\nservices:\n  s: { node: [p, n], port: 8765, command: [x] }\n"), @r#"
    error[E0315]: service `s` is one server
     --> a.yaml:7:14
      |
    7 |   s: { node: [p, n], port: 8765, command: [x] }
      |              ^^^^^^ more than one node
      |
      = help: name one node here, and write a service of its own for each other node

    error[E0316]: SLURM jobs need a time limit
     --> a.yaml:5:10
      |
    5 | pools: { p: { nodes: 1, gpus: 8 } }
      |          ^ units here are started by SLURM
      |
      = help: write it at the top: `slurm: { time: "04:00:00" }`

    error: 2 errors in a.yaml
    "#);
    fine(
        "slurm: { time: \"1:00:00\" }\npools: { p: { nodes: 1, gpus: 8 } }\nservices:\n  s: { node: p, port: 8765, command: [x] }\n",
    );
}

#[test]
fn addresses_lead_to_the_node() {
    let mut facts = facts();
    facts
        .addresses
        .insert("r".into(), Known::Known(vec!["127.0.1.1".to_owned()]));
    facts.addresses.insert("s".into(), Known::Known(Vec::new()));
    let yaml = "version: 1\nname: a\nvllm: { version: \"0.12.0\" }\nnodes:\n  r: { gpus: 8 }\n  s: { gpus: 8 }\n  t: { gpus: 8, address: \"fd00::1\", transport: local }\nclient_config: { format: toolorchestra, path: c.json }\nmodels:\n  a: { model: Qwen/Qwen3-8B, node: [r, s, t], replicas: 3 }\n";
    assert_snapshot!(said_of(yaml, &facts), @r#"
    error[E0320]: `r` is another machine, but its address leads back to this one
     --> a.yaml:5:3
      |
    5 |   r: { gpus: 8 }
      |   ^ this is 127.0.1.1
      |
      = help: Debian writes a host's own name to 127.0.1.1: give the node an `address` that others can reach; for a node that is this machine say `transport: local`

    error[E0322]: ToolOrchestra's clients cannot reach the IPv6 address of `t`
     --> a.yaml:7:26
      |
    7 |   t: { gpus: 8, address: "fd00::1", transport: local }
      |                          ^^^^^^^^^ they write it into a URL without brackets
      |
      = help: give the node a host name or an IPv4 address

    note[N0321]: `s` has no address here
     --> a.yaml:6:3
      |
    6 |   s: { gpus: 8 }
      |   ^ not found by this machine's resolver
      |
      = help: where clients run these names must lead to the nodes; there it is looked up again

    error: 2 errors, 1 note in a.yaml
    "#);
}

#[test]
fn what_is_not_here_is_said_once() {
    let mut facts = facts();
    facts
        .paths
        .insert("/nowhere".to_owned(), Known::Known(PathKind::Absent));
    assert_snapshot!(said_with("services:\n  s: { node: n, port: 8765, command: [x], cwd: /nowhere }\nevals:\n  e: { command: [x], dataset: d.jsonl, results: r, cwd: /nowhere }\n", &facts), @r"
    note[N0519]: not proved here: `/nowhere` does not exist on this machine
     --> a.yaml:6:48
      |
    6 |   s: { node: n, port: 8765, command: [x], cwd: /nowhere }
      |                                                ^^^^^^^^ absent here
    7 | evals:
    8 |   e: { command: [x], dataset: d.jsonl, results: r, cwd: /nowhere }
      |                                                         ^^^^^^^^ absent here
      |
      = help: `up` here would refuse; if it is to run on another machine, call `check` there: files, environments and datasets of these units are checked where they are

    note: 1 note in a.yaml
    ");
}

#[test]
fn a_program_that_is_not_here() {
    let mut facts = facts();
    facts.programs.insert("serve".to_owned(), None);
    let of = |env: &str| {
        said_with(
            &format!("services:\n  s: {{ node: n, port: 8765, command: [serve]{env} }}\n"),
            &facts,
        )
    };
    assert_snapshot!(of(""), @r"
    note[N0520]: not proved here: PATH has no `serve`
     --> a.yaml:6:3
      |
    6 |   s: { node: n, port: 8765, command: [serve] }
      |   ^ runs `serve`
      |
      = help: `up` here would refuse: install it, or name the environment that holds it: `env: { conda: … }`

    note: 1 note in a.yaml
    ");
    assert_eq!(of(", env: { conda: tools }"), "");
    let activate = "/nowhere/bin/activate".to_owned();
    facts.paths.insert(activate, Known::Known(PathKind::Absent));
    let venv =
        "services:\n  s: { node: n, port: 8765, command: [serve], env: { venv: /nowhere } }\n";
    assert_snapshot!(said_with(venv, &facts), @r"
    note[N0520]: not proved here: there is no environment `/nowhere`
     --> a.yaml:6:3
      |
    6 |   s: { node: n, port: 8765, command: [serve], env: { venv: /nowhere } }
      |   ^ `/nowhere` has no bin/activate
      |
      = help: `up` here would refuse: make it, or name the one that is meant

    note: 1 note in a.yaml
    ");
}

#[test]
fn a_command_of_notify_that_is_not_here() {
    let mut facts = facts();
    let yaml = "notify: { command: [./nosuch.sh] }\n";
    let program = format!("{}/nosuch.sh", facts.yaml_dir);
    facts.programs.insert(program, None);
    assert_snapshot!(said_with(yaml, &facts), @r"
    note[N0520]: not proved here: there is no program `/site/clusters/nosuch.sh`
     --> a.yaml:5:1
      |
    5 | notify: { command: [./nosuch.sh] }
      | ^^^^^^ nobody would hear of alarms
      |
      = help: `up` here would refuse: write it there and make it executable, or name another

    note: 1 note in a.yaml
    ");
}

#[test]
fn before_anything_starts() {
    let yaml = format!(
        "{BASE}launcher: tmux\nservices:\n  s: {{ node: n, port: 8080, command: [serve], cwd: /nowhere }}\n"
    );
    let mut facts = facts();
    facts
        .paths
        .insert("/nowhere".to_owned(), Known::Known(PathKind::Absent));
    facts.programs.insert("tmux".to_owned(), None);
    facts
        .programs
        .insert("serve".to_owned(), Some("/bin/serve".to_owned()));
    let listener = Listener {
        port: crate::base::Port(8080),
        address: "0.0.0.0".to_owned(),
        pid: Some(71),
        command: Some("nginx -g daemon".to_owned()),
        user: Some("root".to_owned()),
    };
    facts.listeners = Known::Known(vec![listener.clone()]);
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    let spec = parsed.spec.unwrap();
    let (plan, report) = check_all(&spec, &facts);
    assert!(
        report.iter().all(|finding| finding.code.0.starts_with('N')),
        "{report:?}"
    );
    let ctx = Ctx {
        spec: &spec,
        plan: &plan,
        facts: &facts,
    };
    let refused = preflight(&ctx, &Ours::default());
    assert_snapshot!(human(&refused, &parsed.document, false), @r"
    error[E0303]: port 8080 for `s` is in use by pid 71 of root: `nginx -g daemon`
     --> a.yaml:7:23
      |
    7 |   s: { node: n, port: 8080, command: [serve], cwd: /nowhere }
      |                       ^^^^ `s` listens there on n
      |
      = help: stop that process, choose another port, or write `port: auto`

    error[E0604]: `tmux` is not on PATH
     --> a.yaml:7:3
      |
    7 |   s: { node: n, port: 8080, command: [serve], cwd: /nowhere }
      |   ^ is started in tmux
      |
      = help: install it, or name the environment that holds it: `env: { conda: … }`

    error[E0605]: `s` has no directory to run in
     --> a.yaml:7:52
      |
    7 |   s: { node: n, port: 8080, command: [serve], cwd: /nowhere }
      |                                                    ^^^^^^^^ there is no `/nowhere`

    error: 3 errors in a.yaml
    ");
    let unit = Ours {
        units: BTreeSet::from([UnitId::new("s")]),
        ..Ours::default()
    };
    let process = Ours {
        pids: BTreeSet::from([71]),
        ..Ours::default()
    };
    let busy = |ours: &Ours| preflight(&ctx, ours).iter().any(|f| f.code.0 == "E0303");
    assert!(!busy(&process));
    assert!(
        busy(&unit),
        "somebody else took the port of a unit that lives"
    );

    // A process on its way out shows neither its mark nor its files, and listens still.
    let mut facts = facts.clone();
    facts.listeners = Known::Known(vec![Listener {
        pid: None,
        ..listener
    }]);
    let ctx = Ctx {
        facts: &facts,
        ..ctx
    };
    let busy = |ours: &Ours| preflight(&ctx, ours).iter().any(|f| f.code.0 == "E0303");
    assert!(!busy(&unit));
    assert!(busy(&Ours::default()));
}

#[test]
fn files_and_environments_of_setup() {
    let yaml = "services:\n  s: { node: n, port: 8765, command: [serve], env: { conda: gone, setup: [source ~/env.sh, . ./more.sh, export A=1, source ~/late.sh] }, cwd: /site }\n";
    let mut facts = facts();
    for absent in ["/home/user/env.sh", "/home/user/late.sh", "/site/more.sh"] {
        facts
            .paths
            .insert(absent.to_owned(), Known::Known(PathKind::Absent));
    }
    facts.conda_envs = Known::Known(["base".to_owned(), "there".to_owned()].into());
    assert_snapshot!(said_with(yaml, &facts), @r"
    note[N0520]: not proved here: there is no `/home/user/env.sh`, `/site/more.sh` for `setup` to read
     --> a.yaml:6:3
      |
    6 |   s: { node: n, port: 8765, command: [serve], env: { conda: gone, setup: [source ~/env.sh, . ./more.sh, export A=1, source ~/late.sh]...
      |   ^
      |   |
      |   reads `/home/user/env.sh`
      |   reads `/site/more.sh`
      |
      = help: `up` here would refuse: write it there, or name the one that is meant

    note[N0520]: not proved here: no conda environment is called `gone`
     --> a.yaml:6:3
      |
    6 |   s: { node: n, port: 8765, command: [serve], env: { conda: gone, setup: [source ~/env.sh, . ./more.sh, export A=1, source ~/late.sh]...
      |   ^ activates `gone`
      |
      = help: conda is looked for where CONDA_EXE leads and in the usual places: make the environment, or name the one that is meant

    note: 2 notes in a.yaml
    ");
    let parsed = parse(
        Source::new("a.yaml", format!("{BASE}{yaml}").as_bytes()),
        &[],
    );
    let spec = parsed.spec.unwrap();
    let (plan, _) = check_all(&spec, &facts);
    let ctx = Ctx {
        spec: &spec,
        plan: &plan,
        facts: &facts,
    };
    assert_snapshot!(human(&preflight(&ctx, &Ours::default()), &parsed.document, false), @r"
    error[E0615]: there is no file `/home/user/env.sh`
     --> a.yaml:6:3
      |
    6 |   s: { node: n, port: 8765, command: [serve], env: { conda: gone, setup: [source ~/env.sh, . ./more.sh, export A=1, source ~/late.sh]...
      |   ^ a line of its `setup` reads it
      |
      = help: write it there, or name the one that is meant: without it the program would start in another environment

    error[E0615]: there is no file `/site/more.sh`
     --> a.yaml:6:3
      |
    6 |   s: { node: n, port: 8765, command: [serve], env: { conda: gone, setup: [source ~/env.sh, . ./more.sh, export A=1, source ~/late.sh]...
      |   ^ a line of its `setup` reads it
      |
      = help: write it there, or name the one that is meant: without it the program would start in another environment

    error: 2 errors in a.yaml
    ");
    // Where its directory is missing one note says so for all.
    facts
        .paths
        .insert("/site".to_owned(), Known::Known(PathKind::Absent));
    assert_eq!(said_with(yaml, &facts).matches("note[").count(), 1);
    let fine = yaml
        .replace("conda: gone", "conda: there")
        .replace("source ~/env.sh, . ./more.sh, ", "");
    facts.paths.remove("/site");
    assert_eq!(said_with(&fine, &facts), "");
}

#[test]
fn a_server_larger_than_its_node() {
    let said = said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, tensor_parallel: 16 }\n");
    assert_snapshot!(said, @r"
    error[E0312]: each server of `a` works on 16 GPUs, and `n` has 8
     --> a.yaml:6:3
      |
    4 | nodes: { n: { gpus: 8, transport: local } }
      |                     - 8 GPUs
    5 | models:
    6 |   a: { model: Qwen/Qwen3-8B, node: n, tensor_parallel: 16 }
      |   ^ tensor_parallel × pipeline_parallel GPUs of one node
      |
      = help: lower `tensor_parallel`, name a larger node, or let one server work on several: `span: N`

    error: 1 error in a.yaml
    ");
}

#[test]
fn images_of_the_other_runtime() {
    let yaml = |runtime: &str, image: &str| {
        format!(
            "models:\n  a: {{ model: Qwen/Qwen3-8B, node: n, port: 1800, env: {{ container: {{ runtime: {runtime}, image: '{image}' }} }} }}\n"
        )
    };
    assert_snapshot!(said(&yaml("apptainer", "vllm/vllm-openai:v0.12.0")), @r"
    error[E0603]: an image of the other runtime
     --> a.yaml:6:98
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, port: 1800, env: { container: { runtime: apptainer, image: 'vllm/vllm-openai:v0.12.0' } } }
      |                                                                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^ it would be looked for as a file
      |
      = help: write `docker://` before an address, or the whole path of a file

    error: 1 error in a.yaml
    ");
    let enroot = said(&yaml("singularity", "docker://nvcr.io#nvidia/vllm:25.09"));
    assert!(enroot.contains("is enroot's way"), "{enroot}");
    let sif = said(&yaml("pyxis", "/images/vllm.sif"));
    assert!(sif.contains("enroot reads no SIF image"), "{sif}");
    for image in [
        "/images/vllm.sif",
        "docker://vllm/vllm-openai:v0.12.0",
        "./vllm.sif",
        "$IMAGES/vllm.sif",
    ] {
        fine(&yaml("apptainer", image));
    }
}
