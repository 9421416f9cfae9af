//! The proxy of an evaluation, and what keeps it from being the only way out.

use insta::assert_snapshot;

use super::{fine, said};

fn eval(more: &str) -> String {
    format!(
        "evals:\n  e: {{ command: [/bin/true], results: out, finished: {{ count: 1 }}, egress: proxy{more} }}\n"
    )
}

#[test]
fn a_client_here_with_no_other_proxy_can_have_one() {
    fine(&eval(""));
    fine(&eval(", node: n"));
}

#[test]
fn another_proxy_and_another_machine_are_refused() {
    let other = eval(", env: { set: { HTTPS_PROXY: 'http://proxy.site:3128' } }");
    assert_snapshot!(said(&other), @r"
        error[E0530]: the client's way out is named twice
         --> a.yaml:6:76
          |
        6 |   e: { command: [/bin/true], results: out, finished: { count: 1 }, egress: proxy, env: { set: { HTTPS_PROXY: 'http://proxy.site:3128'...
          |                                                                            ^^^^^ sets `HTTPS_PROXY`, and so does its `env`
          |
          = help: take the variable out of `env`; behind a proxy of the site use `egress: watch`, and declare that proxy under `externals`

        error: 1 error in a.yaml
        ");
    let far = eval(", node: far");
    let yaml =
        format!("version: 1\nname: a\nnodes: {{ far: {{ gpus: 0, transport: ssh2 }} }}\n{far}");
    assert_snapshot!(super::said_of(&yaml, &crate::plan::plan_tests::facts()), @r"
    error[E0530]: the proxy of an evaluation runs beside its client, and this one runs elsewhere
     --> a.yaml:5:76
      |
    5 |   e: { command: [/bin/true], results: out, finished: { count: 1 }, egress: proxy, node: far }
      |                                                                            ^^^^^ `far` is reached over ssh, and has no toolorch
      |
      = help: let the client run here (`node: controller`), or use `egress: watch`

    note[N0330]: clients on other machines work on files that both machines have at the same path
     --> a.yaml:3:10
      |
    3 | nodes: { far: { gpus: 0, transport: ssh2 } }
      |          ^^^ dataset, results and the client's configuration must be seen there as here

    error: 1 error, 1 note in a.yaml
    ");
}
