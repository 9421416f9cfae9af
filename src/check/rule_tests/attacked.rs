//! What passed without a word although the YAML alone shows that it cannot work.

use insta::assert_snapshot;

use super::{fine, said, said_of, said_with};
use crate::plan::plan_tests::facts;

#[test]
fn a_variable_that_takes_gpus_away() {
    let yaml = "models:\n  m: { model: Qwen/Qwen3-8B, node: n, replicas: 2, env: { set: { CUDA_VISIBLE_DEVICES: \"0\" } } }\n";
    assert_snapshot!(said(yaml), @r#"
    error[E0448]: `CUDA_VISIBLE_DEVICES` would take the GPUs of `m-0` from it
     --> a.yaml:6:88
      |
    6 |   m: { model: Qwen/Qwen3-8B, node: n, replicas: 2, env: { set: { CUDA_VISIBLE_DEVICES: "0" } } }
      |                                                                                        ^^^ each server is given its own GPUs
      |
      = help: remove it: which GPUs a server uses is said by `gpus` of its model or service

    error: 1 error in a.yaml
    "#);
    fine(&yaml.replace("CUDA_VISIBLE_DEVICES: \"0\"", "OTHER: \"0\""));
}

#[test]
fn a_release_that_is_none() {
    let yaml = |release: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"{release}\" }}\nnodes: {{ n: {{ gpus: 8, transport: local }} }}\n\
             models:\n  m: {{ model: Qwen/Qwen3-8B, node: n }}\n  o: {{ model: Qwen/Qwen3-8B, node: n }}\n"
        )
    };
    assert_snapshot!(said_of(&yaml("latest"), &facts()), @r#"
    error[E0449]: `latest` is not a vLLM release such as 0.12.0
     --> a.yaml:3:18
      |
    3 | vllm: { version: "latest" }
      |                  ^^^^^^^^ flags and parsers cannot be checked against it
      |
      = help: `vllm --version` in the servers' environment prints it; leave it out where it is not known

    error: 1 error in a.yaml
    "#);
    for none in ["0.12.x", "O.12.0", "0,12,0", ">=0.12", ""] {
        assert!(
            said_of(&yaml(none), &facts()).contains("error[E0449]"),
            "{none}"
        );
    }
    for release in ["v0.12.0", "0.32.0+cpu", "0.11.1rc1"] {
        assert!(
            !said_of(&yaml(release), &facts()).contains("E0449"),
            "{release}"
        );
    }
}

const MODEL: &str = "models:\n  m: { model: Qwen/Qwen3-8B, node: n }\n";
const EVAL: &str =
    "evals:\n  e: { command: [run, '{config}'], results: out, dataset: q.jsonl, requires: [m] }\n";

#[test]
fn a_configuration_that_would_replace_something_else() {
    let yaml = |path: &str| {
        format!("{MODEL}{EVAL}client_config: {{ format: openai-env, path: {path} }}\n")
    };
    assert_snapshot!(said(&yaml("q.jsonl")), @r"
    error[E0542]: the client's configuration needs a file of its own
     --> a.yaml:9:44
      |
    8 |   e: { command: [run, '{config}'], results: out, dataset: q.jsonl, requires: [m] }
      |                                                           ------- the same file
    9 | client_config: { format: openai-env, path: q.jsonl }
      |                                            ^^^^^^^ the questions of `e` are there
      |
      = help: name a file that nothing else uses, such as `model_config.json`

    error: 1 error in a.yaml
    ");
    assert!(said(&yaml("./out")).contains("the results of `e` go there"));
    let mut facts = facts();
    facts.yaml_file = format!("{}/a.yaml", facts.yaml_dir);
    assert!(said_with(&yaml("a.yaml"), &facts).contains("this is the cluster's own YAML"));
    let two = format!(
        "{MODEL}client_configs:\n  one: {{ format: openai-env, path: c }}\n  two: {{ format: toolorchestra, path: ./c }}\n"
    );
    assert!(said(&two).contains("another client configuration is written there"));
    fine(&yaml("c.env"));
}

#[test]
fn names_that_make_one_variable() {
    let yaml = "models:\n  b-c: { model: Qwen/Qwen3-8B, node: n }\n  b_c: { model: Qwen/Qwen3-4B, node: n }\n\
                client_config: { format: openai-env, path: c.env }\n";
    assert_snapshot!(said(yaml), @r"
    error[E0543]: `b-c` and `b_c` would both be `B_C_BASE_URL`
     --> a.yaml:7:3
      |
    6 |   b-c: { model: Qwen/Qwen3-8B, node: n }
      |   --- the first of the two
    7 |   b_c: { model: Qwen/Qwen3-4B, node: n }
      |   ^^^ the same but for `-` and `_`
    8 | client_config: { format: openai-env, path: c.env }
      |                          ---------- names become variables
      |
      = help: rename one of the two

    error: 1 error in a.yaml
    ");
    fine(&yaml.replace("openai-env", "toolorchestra"));
}

#[test]
fn addresses_and_passwords_of_externals() {
    let yaml =
        |url: &str| format!("{MODEL}externals:\n  judge: {{ url: \"{url}\", models: [gpt-5] }}\n");
    assert_snapshot!(said(&yaml("api.openai.com/v1")), @r#"
    error[E0541]: `judge` has an address at which nothing can be asked
     --> a.yaml:8:17
      |
    8 |   judge: { url: "api.openai.com/v1", models: [gpt-5] }
      |                 ^^^^^^^^^^^^^^^^^^^ it begins with neither `https://` nor `http://`
      |
      = help: write the base URL that clients are given, such as `https://api.openai.com/v1`

    error: 1 error in a.yaml
    "#);
    assert_snapshot!(said(&yaml("https://bob:hunter2@api.example.com/v1")), @r"
    error[E0601]: `externals.judge.url` holds what looks like a password in a URL
     --> a.yaml:8:17
      |
    8 |   judge: { url: ****************************************, models: [gpt-5] }
      |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the secret itself, not shown here
      |
      = help: put it into a variable and name that: `pass: [NAME]`, or `api_key: { env: NAME }`
      = help: a key that was committed or shared must be revoked

    error: 1 error in a.yaml
    ");
    fine(&yaml("https://api.openai.com/v1"));
}

#[test]
fn options_of_jobs_that_sbatch_would_refuse_or_take_from_us() {
    let yaml = |slurm: &str| {
        format!(
            "version: 1\nname: a\nvllm: {{ version: \"0.12.0\" }}\nnodes: {{ gpu-10: {{ gpus: 8, launcher: slurm, transport: local }} }}\n\
             slurm: {{ time: \"8:00:00\", {slurm} }}\nmodels:\n  m: {{ model: Qwen/Qwen3-8B, node: gpu-10, port: 8000 }}\n"
        )
    };
    for (slurm, code) in [
        ("extra: { nodelist: other }", "E0343"),
        ("extra: { w: other }", "E0342"),
        ("extra: { \"--mem\": 2G }", "E0342"),
        ("extra: { \"mem \": 2G }", "E0342"),
        ("exclude: \"gpu-[09-11]\"", "E0345"),
        ("exclude: \"login,gpu-[01,10],x\"", "E0345"),
    ] {
        let said = said_of(&yaml(slurm), &facts());
        assert!(said.contains(code), "{slurm}: {said}");
    }
    for fine in [
        "extra: { mem: 2G, cpus-per-task: '8' }",
        "exclude: \"gpu-[01-09],gpu-1\"",
        "exclude: \"gpu-[a\"",
    ] {
        assert_eq!(said_of(&yaml(fine), &facts()), "", "{fine}");
    }
}

#[test]
fn pools_have_an_end() {
    let parsed = crate::spec::parse(
        crate::spec::Source::new(
            "a.yaml",
            b"version: 1\nname: a\npools: { p: { nodes: 1000000000, gpus: 8 } }\n",
        ),
        &[],
    );
    let found: Vec<&str> = parsed
        .diagnostics
        .iter()
        .map(|found| found.code.0)
        .collect();
    assert_eq!(found, ["E0124"]);
}

#[test]
fn a_port_that_nobody_is_told() {
    assert_snapshot!(said("services:\n  s: { node: n, command: [python, s.py, --port, '9000'] }\n"), @r"
    error[E0306]: nothing tells `s` its port
     --> a.yaml:6:26
      |
    6 |   s: { node: n, command: [python, s.py, --port, '9000'] }
      |   -                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ has no `{port}`
      |   |
      |   its port is chosen when it starts: `port: auto`
      |
      = help: put `{port}` into `command`, or write the port at which it listens: `port: 8765`

    error: 1 error in a.yaml
    ");
    for told in [
        "port: 9000, command: [python, s.py]",
        "command: [python, s.py, '--port={port}']",
        "env: { set: { PORT: '{port}' } }, command: [python, s.py]",
    ] {
        fine(&format!("services:\n  s: {{ node: n, {told} }}\n"));
    }
}
