//! SLURM's options, folders that nodes do not share, ports of the system, one machine under two names.

use insta::assert_snapshot;

use super::{fine, said, said_of, said_with};
use crate::base::Millis;
use crate::facts::{Known, PathKind};
use crate::plan::plan_tests::facts;

fn pool(slurm: &str) -> String {
    format!(
        "pools:\n  p: {{ nodes: 1, gpus: 8 }}\nslurm: {{ {slurm} }}\nmodels:\n  m: {{ model: Qwen/Qwen3-8B, node: p }}\n"
    )
}

#[test]
fn no_time_limit_is_none() {
    for none in ["UNLIMITED", "'0'", "'0-00:00:00'"] {
        let said = said(&pool(&format!("time: {none}")));
        let words = "that is no limit: nothing would say when its servers end";
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn time_limits() {
    assert_snapshot!(said(&pool("time: 4h")), @r#"
    note[N0324]: servers of a pool listen at every address of their node
     --> a.yaml:9:36
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |                                    ^ which node that is, SLURM decides
      |
      = help: they have no key: whoever reaches the port can use them

    error[E0340]: `4h` is no time limit of SLURM
     --> a.yaml:7:16
      |
    7 | slurm: { time: 4h }
      |                ^^ sbatch would refuse the job
      |
      = help: write `"HH:MM:SS"` or `"D-HH:MM:SS"`; a number alone is minutes, `"90:30"` minutes and seconds

    error: 1 error, 1 note in a.yaml
    "#);
    assert_snapshot!(said(&pool("time: \"20:00\"")), @r#"
    note[N0324]: servers of a pool listen at every address of their node
     --> a.yaml:9:36
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |                                    ^ which node that is, SLURM decides
      |
      = help: they have no key: whoever reaches the port can use them

    warning[W0344]: a job of 20m 00s may end before its servers are ready
     --> a.yaml:7:16
      |
    7 | slurm: { time: "20:00" }
      |                ^^^^^^^ the limit of the job
    8 | models:
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |   - `m-0` may take 30m 00s to become ready
      |
      = help: ask for more time, or give the servers less with `ready: { timeout: … }`

    warning: 1 warning, 1 note in a.yaml
    "#);
    fine(&pool("time: \"1-00:00:00\""));
    fine(&pool("time: \"20:00\"").replace("node: p }", "node: p, ready: { timeout: 10m } }"));
}

#[test]
fn resources_and_other_options() {
    assert_snapshot!(said(&pool("time: \"4:00:00\", gres: \"gpu:h100:16\"")), @r#"
    note[N0324]: servers of a pool listen at every address of their node
     --> a.yaml:9:36
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |                                    ^ which node that is, SLURM decides
      |
      = help: they have no key: whoever reaches the port can use them

    error[E0341]: `gpu:h100:16` is no resource of a GPU
     --> a.yaml:7:33
      |
    7 | slurm: { time: "4:00:00", gres: "gpu:h100:16" }
      |                                 ^^^^^^^^^^^^^ the number of GPUs is added to it
      |
      = help: each job asks for the GPUs that its servers use; what a node has is its `gpus`
    help: leave the number out
      |
    7 - slurm: { time: "4:00:00", gres: "gpu:h100:16" }
    7 + slurm: { time: "4:00:00", gres: gpu:h100 }
      |

    error: 1 error, 1 note in a.yaml
    "#);
    assert_snapshot!(said(&pool("time: \"4:00:00\", gres: \"gpu h100\"")), @r#"
    note[N0324]: servers of a pool listen at every address of their node
     --> a.yaml:9:36
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |                                    ^ which node that is, SLURM decides
      |
      = help: they have no key: whoever reaches the port can use them

    error[E0341]: `gpu h100` is no resource of a GPU
     --> a.yaml:7:33
      |
    7 | slurm: { time: "4:00:00", gres: "gpu h100" }
      |                                 ^^^^^^^^^^ SLURM would refuse the job
      |
      = help: write `gpu`, or `gpu:TYPE` where the site has types, such as `gpu:h100`

    error: 1 error, 1 note in a.yaml
    "#);
    fine(&pool(
        "time: \"4:00:00\", gres: \"gpu:h100\", extra: { mem: \"0\" }",
    ));
    // Servers without a GPU ask for none; somebody may want the whole node all the same.
    let sim = pool("time: \"4:00:00\", extra: { gres: \"gpu:8\" }");
    fine(&sim.replace("node: p }", "node: p, engine: sim }"));
    assert_snapshot!(said(&pool("time: \"4:00:00\", extra: { comment: \"a\\nb\", gpus-per-node: 4, signal: USR1 }")), @r#"
    note[N0324]: servers of a pool listen at every address of their node
     --> a.yaml:9:36
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |                                    ^ which node that is, SLURM decides
      |
      = help: they have no key: whoever reaches the port can use them

    error[E0342]: an option of SLURM is one line of plain text
     --> a.yaml:7:45
      |
    7 | slurm: { time: "4:00:00", extra: { comment: "a\nb", gpus-per-node: 4, signal: USR1 } }
      |                                             ^^^^^^ it has a line end or another control character
      |
      = help: SLURM would read another option, or none: write it as it stands after `sbatch --option=`

    warning[W0343]: `gpus-per-node` is an option that every job has already
     --> a.yaml:7:53
      |
    7 | slurm: { time: "4:00:00", extra: { comment: "a\nb", gpus-per-node: 4, signal: USR1 } }
      |                                                     ^^^^^^^^^^^^^ each job asks for the GPUs that its servers use
      |
      = help: remove it from `extra`

    error[E0343]: `signal` is an option that every job has already
     --> a.yaml:7:71
      |
    7 | slurm: { time: "4:00:00", extra: { comment: "a\nb", gpus-per-node: 4, signal: USR1 } }
      |                                                                       ^^^^^^ supervision depends on it
      |
      = help: remove it from `extra`

    error: 2 errors, 1 warning, 1 note in a.yaml
    "#);
}

#[test]
fn runs_that_nodes_do_not_see() {
    let with = |path: &str| {
        let mut facts = facts();
        facts.runs = Known::Known(path.to_owned());
        said_with(&pool("time: \"4:00:00\""), &facts)
    };
    assert_snapshot!(with("/tmp/x/.toolorch"), @r"
    note[N0324]: servers of a pool listen at every address of their node
     --> a.yaml:9:36
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |                                    ^ which node that is, SLURM decides
      |
      = help: they have no key: whoever reaches the port can use them

    note[N0346]: runs are kept in `/tmp/x/.toolorch`, which nodes of SLURM may not see
     --> a.yaml:9:3
      |
    9 |   m: { model: Qwen/Qwen3-8B, node: p }
      |   ^ its job reads and writes there; `/tmp` is a folder of each machine for itself
      |
      = help: call from a folder on the shared file system, or set `TOOLORCH_HOME` to one

    note: 2 notes in a.yaml
    ");
    // What else is said of a pool.
    assert_eq!(with("/shared/.toolorch").matches("note[").count(), 1);
    assert_eq!(with("/tmpfs/.toolorch").matches("note[").count(), 1);
}

#[test]
fn weights_for_each_node() {
    let two = "hf: { home: /tmp/hf }\nnodes: { a: { gpus: 8 }, b: { gpus: 8 } }\nmodels:\n  m: { model: Qwen/Qwen3-8B, node: [a, b], replicas: 2 }\n";
    let yaml = |text: &str| format!("version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\n{text}");
    assert_snapshot!(said_of(&yaml(two), &facts()), @r"
    note[N0609]: each of 2 nodes downloads its weights for itself
     --> a.yaml:4:13
      |
    4 | hf: { home: /tmp/hf }
      |             ^^^^^^^ `/tmp` is a folder of each machine for itself
      |
      = help: on a shared file system they are downloaded once, by `toolorch fetch`

    note: 1 note in a.yaml
    ");
    assert_eq!(
        said_of(&yaml(&two.replace("/tmp/hf", "/shared/hf")), &facts()),
        ""
    );
    assert_eq!(
        said_of(
            &yaml(&two.replace("Qwen/Qwen3-8B", "/ckpt/Qwen3-8B")),
            &facts()
        ),
        ""
    );
}

#[test]
fn ports_of_the_system() {
    let at = |port: u16| {
        format!("models:\n  m: {{ model: Qwen/Qwen3-8B, node: n, replicas: 2, port: {port} }}\n")
    };
    assert_snapshot!(said(&at(80)), @r"
    warning[W0304]: port 80 of `m-0` is one that only root may listen on
     --> a.yaml:6:58
      |
    6 |   m: { model: Qwen/Qwen3-8B, node: n, replicas: 2, port: 80 }
      |                                                          ^^ below 1024
      |
      = help: choose a higher one, or write `port: auto`

    warning: 1 warning in a.yaml
    ");
    let mut facts = facts();
    facts.ephemeral_ports = Known::Known((32768, 60999));
    assert_snapshot!(said_with(&at(32767), &facts), @r"
    note[N0305]: port 32768 of `m-1` is one that this machine gives to outgoing connections
     --> a.yaml:6:58
      |
    6 |   m: { model: Qwen/Qwen3-8B, node: n, replicas: 2, port: 32767 }
      |                                                          ^^^^^ one of 32768 to 60999
      |
      = help: any program may hold it when the server starts: choose one below, or write `port: auto`

    note: 1 note in a.yaml
    ");
    assert_eq!(said_with(&at(8000), &facts), "");
}

#[test]
fn one_machine_under_two_names() {
    let yaml = |models: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\nnodes:\n  gpu1: {{ gpus: 8 }}\n  10.0.0.1: {{ gpus: 8 }}\nmodels:\n{models}"
        )
    };
    let mut facts = facts();
    for node in ["gpu1", "10.0.0.1"] {
        let addresses = Known::Known(vec!["10.0.0.1".to_owned()]);
        facts.addresses.insert(node.into(), addresses);
    }
    let both = "  a: { model: Qwen/Qwen3-8B, node: gpu1, gpus: [0], port: 8000 }\n  b: { model: Qwen/Qwen3-4B, node: 10.0.0.1, gpus: [0], port: 8001 }\n";
    assert_snapshot!(said_of(&yaml(both), &facts), @r"
    warning[W0325]: `gpu1` and `10.0.0.1` are one machine, and its GPU 0 is used twice
     --> a.yaml:6:3
      |
    5 |   gpu1: { gpus: 8 }
      |   ---- and so is this
    6 |   10.0.0.1: { gpus: 8 }
      |   ^^^^^^^^ this is 10.0.0.1
      |
      = help: make one node of the two, or share its GPUs and ports between them: `gpus: [0, 1]`

    warning: 1 warning in a.yaml
    ");
    let apart = both.replace("10.0.0.1, gpus: [0]", "10.0.0.1, gpus: [1]");
    assert_eq!(said_of(&yaml(&apart), &facts), "");
    let port = apart.replace("8001", "8000");
    assert!(said_of(&yaml(&port), &facts).contains("its port 8000 is taken twice"));
}

#[test]
fn one_machine_behind_two_addresses() {
    let yaml = |gpus: &str, host: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\nnodes:\n  n1: {{ gpus: 8, address: 10.0.0.1, ssh: {{ host: gpu1 }} }}\n  \
             n2: {{ gpus: 8, address: 10.1.0.1, ssh: {{ host: {host} }} }}\nmodels:\n  a: {{ model: Qwen/Qwen3-8B, node: n1, gpus: [0], port: 8000 }}\n  \
             b: {{ model: Qwen/Qwen3-8B, node: n2, gpus: [{gpus}], port: 8000 }}\n"
        )
    };
    assert_snapshot!(said_of(&yaml("0", "gpu1"), &facts()), @r"
    warning[W0325]: `n1` and `n2` are one machine, and its GPU 0 is used twice
     --> a.yaml:6:3
      |
    5 |   n1: { gpus: 8, address: 10.0.0.1, ssh: { host: gpu1 } }
      |   -- and so is this
    6 |   n2: { gpus: 8, address: 10.1.0.1, ssh: { host: gpu1 } }
      |   ^^ this is gpu1
      |
      = help: make one node of the two, or share its GPUs and ports between them: `gpus: [0, 1]`

    warning: 1 warning in a.yaml
    ");
    assert_eq!(said_of(&yaml("1", "gpu1"), &facts()), "");
    assert_eq!(said_of(&yaml("0", "gpu2"), &facts()), "");
}

#[test]
fn a_job_that_excludes_its_own_node() {
    let yaml = |exclude: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\nnodes: {{ n: {{ gpus: 8, launcher: slurm, transport: local }} }}\n\
             slurm: {{ time: \"8:00:00\", exclude: \"{exclude}\" }}\nmodels:\n  m: {{ model: Qwen/Qwen3-8B, node: n, port: 8000 }}\n"
        )
    };
    assert_snapshot!(said_of(&yaml("bad07,n"), &facts()), @r#"
    error[E0345]: the job for `n` excludes `n`
     --> a.yaml:5:36
      |
    5 | slurm: { time: "8:00:00", exclude: "bad07,n" }
      |                                    ^^^^^^^^^ SLURM would refuse it, or let it wait for ever
      |
      = help: take the node out of `exclude`, or its servers to another node

    error: 1 error in a.yaml
    "#);
    assert_eq!(said_of(&yaml("bad07,n2"), &facts()), "");
}

#[test]
fn keys_and_fingerprints_of_ssh() {
    let yaml = |ssh: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\nnodes: {{ n: {{ gpus: 8, ssh: {{ {ssh} }} }} }}\n\
             models:\n  m: {{ model: Qwen/Qwen3-8B, node: n }}\n"
        )
    };
    let mut facts = facts();
    facts.paths.insert(
        "/home/user/.ssh/gpus".to_owned(),
        Known::Known(PathKind::Absent),
    );
    assert_snapshot!(said_of(&yaml("identity: ~/.ssh/gpus, host_key_sha256: \"SHA256:abc\""), &facts), @r#"
    error[E0334]: a pinned fingerprint is 43 letters and digits after `SHA256:`
     --> a.yaml:4:71
      |
    4 | nodes: { n: { gpus: 8, ssh: { identity: ~/.ssh/gpus, host_key_sha256: "SHA256:abc" } } }
      |                                                                       ^^^^^^^^^^^^ no host key has this fingerprint
      |
      = help: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on that machine prints it

    note[N0520]: not proved here: there is no key `/home/user/.ssh/gpus`
     --> a.yaml:4:41
      |
    4 | nodes: { n: { gpus: 8, ssh: { identity: ~/.ssh/gpus, host_key_sha256: "SHA256:abc" } } }
      |                                         ^^^^^^^^^^^ no such file
      |
      = help: `up` here could not log in with it: write it there, or name the one that is meant

    error: 1 error, 1 note in a.yaml
    "#);
    let md5 = "host_key_sha256: \"MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48\"";
    assert!(said_of(&yaml(md5), &facts).contains("that is the fingerprint by MD5"));
    let right = "identity: ~/.ssh/other, host_key_sha256: \"SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDJg6x6xi7XnZZ5UoQ\"";
    assert_eq!(said_of(&yaml(right), &facts), "");
}

#[test]
fn a_job_shorter_than_its_evaluations() {
    let yaml = |slurm: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\nnodes: {{ n: {{ gpus: 8, launcher: slurm, transport: local }} }}\n\
             slurm: {{ {slurm} }}\nmodels:\n  m: {{ model: Qwen/Qwen3-8B, node: n, port: 8000 }}\n\
             evals:\n  e: {{ command: [python, run.py], results: out, dataset: questions.jsonl, requires: [m] }}\n"
        )
    };
    let mut facts = facts();
    let hours = |hours: u64| Millis::from_secs(hours * 3600);
    facts.predicted = Some((hours(5), hours(9)));
    assert_snapshot!(said_of(&yaml("time: \"4:00:00\""), &facts), @r#"
    warning[W0347]: a job of 4h 00m ends before the evaluations do
     --> a.yaml:5:16
      |
    5 | slurm: { time: "4:00:00" }
      |                ^^^^^^^^^ the latest rehearsal predicts 5h 00m to 9h 00m after its start
      |
      = help: ask for more time, or let a successor be submitted before it ends: `slurm: { renew: true }`

    warning: 1 warning in a.yaml
    "#);
    assert!(said_of(&yaml("time: \"8:00:00\""), &facts).contains("a job of 8h 00m may end before"));
    for enough in ["time: \"9:00:00\"", "time: \"4:00:00\", renew: true"] {
        let said = said_of(&yaml(enough), &facts);
        assert!(!said.contains("W0347"), "{said}");
    }
}
