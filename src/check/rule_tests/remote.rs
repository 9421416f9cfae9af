//! Clients on other machines.

use insta::assert_snapshot;

use super::said_of;
use crate::check::{Ctx, check_all, refusal};
use crate::diag::human;
use crate::plan::plan_tests::facts;
use crate::spec::{Source, parse};

const NODES: &str = "version: 1
name: a
slurm: { time: '01:00:00' }
nodes:
  far: { gpus: 1, transport: ssh2 }
  other: { gpus: 1, transport: ssh2, reach: tunnel }
  here: { gpus: 1, transport: local, address: 127.0.0.1 }
  given: { gpus: 1, launcher: slurm }
services:
  beside: { node: far, port: 9001, command: [a] }
  local: { node: here, port: 9002, command: [a] }
  through: { node: other, port: 9003, command: [a] }
";

#[test]
fn servers_of_loopback_and_behind_tunnels_are_out_of_reach() {
    let evals = "evals:
  e: { command: [a], results: one, finished: { count: 1 }, node: far, requires: [local] }
  f: { command: [a], results: two, finished: { count: 1 }, node: far, requires: [through] }
  g: { command: [a], results: three, finished: { count: 1 }, node: far, requires: [beside] }
  h: { command: [a], results: four, finished: { count: 1 }, requires: [local, through] }
";
    assert_snapshot!(said_of(&format!("{NODES}{evals}"), &facts()), @r"
    note[N0330]: clients on other machines work on files that both machines have at the same path
     --> a.yaml:5:3
      |
    5 |   far: { gpus: 1, transport: ssh2 }
      |   ^^^ dataset, results and the client's configuration must be seen there as here

    error[E0333]: the client of `e` runs on `far`, and cannot reach `local` at 127.0.0.1:9002
      --> a.yaml:14:66
       |
    14 |   e: { command: [a], results: one, finished: { count: 1 }, node: far, requires: [local] }
       |                                                                  ^^^ its address means whatever machine it is used on
       |
       = help: let the client run here (`node: controller`), or give that node an `address` that others can reach

    error[E0333]: the client of `f` runs on `far`, and cannot reach `through` at 127.0.0.1:20000
      --> a.yaml:15:66
       |
    15 |   f: { command: [a], results: two, finished: { count: 1 }, node: far, requires: [through] }
       |                                                                  ^^^ it is reached through a tunnel of this machine
       |
       = help: let the client run here (`node: controller`), or reach that node directly

    error: 2 errors, 1 note in a.yaml
    ");
}

#[test]
fn a_client_in_a_job_is_refused_when_it_is_to_be_started() {
    let evals = "evals:
  e: { command: [a], results: one, finished: { count: 1 }, node: given, requires: [] }
";
    let yaml = format!("{NODES}{evals}");
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    let (spec, facts) = (parsed.spec.unwrap(), facts());
    let (plan, _) = check_all(&spec, &facts);
    let ctx = Ctx {
        spec: &spec,
        plan: &plan,
        facts: &facts,
    };
    let refused: Vec<_> = refusal(&ctx).into_iter().collect();
    assert_snapshot!(human(&refused, &parsed.document, false), @r"
    error[E0331]: evaluations in SLURM jobs cannot be started by this release
      --> a.yaml:14:66
       |
    14 |   e: { command: [a], results: one, finished: { count: 1 }, node: given, requires: [] }
       |                                                                  ^^^^^ a machine that SLURM gives out
       |
       = help: leave `node` out: the client runs where toolorch does; or name a node that ssh reaches, with `launcher: process` for the evaluation

    error: 1 error in a.yaml
    ");
}

#[test]
fn a_client_in_a_job_that_is_submitted_here_is_noted_too() {
    let yaml = "version: 1
name: a
slurm: { time: '01:00:00' }
pools: { p: { nodes: 1, gpus: 1 } }
evals:
  e: { command: [a], results: one, finished: { count: 1 }, node: p, requires: [] }
";
    assert_snapshot!(said_of(yaml, &facts()), @r"
    note[N0331]: evaluations in SLURM jobs are rendered, and not started by this release
     --> a.yaml:6:66
      |
    6 |   e: { command: [a], results: one, finished: { count: 1 }, node: p, requires: [] }
      |                                                                  ^ a machine that SLURM gives out
      |
      = help: leave `node` out: the client runs where toolorch does; or name a node that ssh reaches, with `launcher: process` for the evaluation

    note: 1 note in a.yaml
    ");
}
