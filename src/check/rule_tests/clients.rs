//! What a client is told, and how long it may hang.

use insta::assert_snapshot;

use super::{codes, said};
use crate::plan::plan_tests::facts;

/// A cluster with ToolOrchestra's client, whose evaluation says this.
fn oss(eval: &str) -> String {
    format!(
        "models:\n  o: {{ model: /ckpt/o/, node: n, tools: true, tool_parser: hermes }}\n  c: {{ model: Qwen/Qwen2.5-Coder-14B-Instruct, node: n }}\n  s: {{ model: openai/gpt-oss-20b, node: n }}\n  q: {{ model: Qwen/Qwen3-32B-FP8, node: n }}\n\
         services: {{ retrieval: {{ node: n, port: 8765, command: [x] }} }}\n\
         externals: {{ judge: {{ url: https://api.openai.com/v1, models: [gpt-5], api_key: {{ env: OPENAI_API_KEY }} }} }}\n\
         client_config: {{ format: toolorchestra, path: c.json }}\n\
         evals:\n  e: {{ adapter: toolorchestra-hle, dataset: d.jsonl, results: out, concurrency: 8{eval} }}\n"
    )
}

fn generic(eval: &str) -> String {
    format!(
        "models:\n  o: {{ model: /ckpt/o/, node: n }}\nevals:\n  e: {{ command: [run, {{}}], results: r, finished: {{ count: 1 }}{eval} }}\n"
    )
    .replace("[run, {}]", "[run]")
}

#[test]
fn keys_that_nobody_is_declared_for() {
    assert_snapshot!(said(&oss(", limits: { stall: 60m }, env: { pass: [OPENAI_API_KEY, NEBIUS_API_KEY] }")), @r"
    warning[W0608]: `NEBIUS_API_KEY` reaches the client of `e`, and no external is declared that it is for
      --> a.yaml:14:138
       |
    14 | ...}, env: { pass: [OPENAI_API_KEY, NEBIUS_API_KEY] } }
       |                                     ^^^^^^^^^^^^^^ some clients turn to whoever they have a key of
       |
       = help: remove it, or declare whom it is for: `externals: { NAME: { url: …, models: […], api_key: { env: … } } }`

    warning: 1 warning in a.yaml
    ");
    assert_eq!(
        codes(
            &oss(", limits: { stall: 60m }, env: { pass: [OPENAI_API_KEY, HF_TOKEN] }"),
            &facts()
        ),
        [""; 0]
    );
}

#[test]
fn proxies_between_client_and_servers() {
    assert_snapshot!(said(&generic(", env: { set: { http_proxy: \"http://p:3128\" } }")), @r#"
    warning[W0603]: `http_proxy` leads the calls of `e` to its own servers through a proxy
     --> a.yaml:8:86
      |
    8 |   e: { command: [run], results: r, finished: { count: 1 }, env: { set: { http_proxy: "http://p:3128" } } }
      |                                                                                      ^^^^^^^^^^^^^^^ even those to loopback addresses
      |
      = help: add `NO_PROXY` with the servers' addresses, or remove it

    warning: 1 warning in a.yaml
    "#);
    assert_eq!(
        codes(
            &generic(", env: { pass: [HTTP_PROXY, NO_PROXY] }"),
            &facts()
        ),
        [""; 0]
    );
    assert_eq!(
        codes(&generic(", env: { pass: [HTTPS_PROXY] }"), &facts()),
        [""; 0]
    );
}

#[test]
fn hung_calls_and_stalls() {
    assert_snapshot!(said(&oss("")), @r"
    note[N0533]: `e` is taken for stalled before its client gives a hung call up
      --> a.yaml:14:3
       |
    14 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: out, concurrency: 8 }
       |   ^ after 30m 00s without a sign of work
       |
       = help: a hung call is given up after 6 × 600 s = 1h 00m: set `limits: { stall: 60m }`, or a shorter `TOOL_ORCH_CALL_TIMEOUT_S`

    note: 1 note in a.yaml
    ");
    let set = ", limits: { stall: 40m }, env: { set: { TOOL_ORCH_CALL_TIMEOUT_S: \"450\" } }";
    assert_snapshot!(said(&oss(set)), @r#"
    warning[W0533]: `e` is taken for stalled before its client gives a hung call up
      --> a.yaml:14:101
       |
    14 | ...8, limits: { stall: 40m }, env: { set: { TOOL_ORCH_CALL_TIMEOUT_S: "450" } } }
       |                        ^^^ after 40m 00s without a sign of work       ----- the time of one attempt, in seconds
       |
       = help: a hung call is given up after 6 × 450 s = 45m 00s: set `limits: { stall: 45m }`, or a shorter `TOOL_ORCH_CALL_TIMEOUT_S`

    warning: 1 warning in a.yaml
    "#);
    assert_eq!(codes(&oss(&set.replace("40m", "45m")), &facts()), [""; 0]);
    assert_eq!(codes(&generic(""), &facts()), [""; 0]);
}

#[test]
fn a_slash_at_the_end() {
    let with = |word: &str| generic("").replace("[run]", &format!("[run, --model, {word}]"));
    assert_snapshot!(said(&with("/ckpt/o")), @r"
    error[E0534]: no server answers to `/ckpt/o`
     --> a.yaml:8:32
      |
    6 |   o: { model: /ckpt/o/, node: n }
      |               -------- `o` answers to `/ckpt/o/`
    7 | evals:
    8 |   e: { command: [run, --model, /ckpt/o], results: r, finished: { count: 1 } }
      |                                ^^^^^^^ the slash at the end makes it another name
      |
      = help: names of models are compared byte for byte, by servers and in the client's configuration
    help: write `/ckpt/o/`
      |
    8 |   e: { command: [run, --model, /ckpt/o/], results: r, finished: { count: 1 } }
      |                                       +

    error: 1 error in a.yaml
    ");
    assert_eq!(codes(&with("/ckpt/o/"), &facts()), [""; 0]);
}

#[test]
fn experts_of_tau2() {
    let config =
        |extra: &str| format!("client_config: {{ format: toolorchestra, path: c.json{extra} }}\n");
    let eval = generic("").replace(
        "[run]",
        "[python, tau2/cli.py, --model_config_path, \"{config}\"]",
    );
    assert_snapshot!(said(&format!("{}{eval}", config(""))), @r#"
    warning[W0536]: tau2 asks paid models in the place of experts that its configuration does not map
     --> a.yaml:9:26
      |
    5 | client_config: { format: toolorchestra, path: c.json }
      |                          ------------- has none
    ...
    9 |   e: { command: [python, tau2/cli.py, --model_config_path, "{config}"], results: r, finished: { count: 1 } }
      |                          ^^^^^^^^^^^ reads `oss_expert_mapping`
      |
      = help: `extra: { oss_expert_mapping: { expert-1: MODEL, … } }` in the client's configuration

    warning: 1 warning in a.yaml
    "#);
    let mapped = config(", extra: { oss_expert_mapping: { expert-1: /ckpt/o/ } }");
    assert_eq!(codes(&format!("{mapped}{eval}"), &facts()), [""; 0]);
}
