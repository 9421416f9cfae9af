//! The log's own numbers, of which the report has to say what follows from them and no more.

use insta::assert_snapshot;

use super::*;

fn calls(count: usize, mean: f64) -> Calls {
    Calls { count, mean }
}

fn class(name: &str, replicas: usize, calls: Calls, node: &str) -> Class {
    Class {
        name: name.to_owned(),
        replicas,
        gpus_per_replica: 1,
        calls: Some(calls),
        nodes: vec![node.to_owned()],
        ..Class::default()
    }
}

fn step(name: &str, calls: Calls) -> Step {
    Step {
        name: name.to_owned(),
        calls,
    }
}

/// The tables of the log: latencies that the client wrote down, and no counter of any server.
fn log() -> Evidence {
    Evidence {
        client: Client {
            concurrency: Some(64),
            total: Some(1900),
            done: 1900,
            steps: vec![
                step("orchestrator", calls(5318, 80.7)),
                step("search", calls(400, 8.0)),
                step("answer", calls(500, 34.5)),
                step("enhance_reasoning", calls(270, 11.5)),
            ],
            ..Client::default()
        },
        classes: vec![
            class("orchestrator", 4, calls(5318, 80.7), "research-secure-05"),
            class("coder", 8, calls(270, 8.0), "research-secure-11"),
            class("answer", 8, calls(500, 32.7), "research-secure-12"),
            class("search", 4, calls(400, 2.5), "172.27.31.10"),
        ],
        ..Evidence::default()
    }
}

#[test]
fn the_log_says_so_much_and_no_more() {
    assert_snapshot!(verdict_text(&analyse(&log())), @r"
    limited by: not known, because whether calls wait at orchestrator was not measured, and 95 % of the questions' time is with it
      orchestrator  not known  60.7 calls under way on 4 replicas, by the client's times
      coder         idle       0.31 calls under way on 8 replicas, by the client's times
      answer        idle       2.3 calls under way on 8 replicas, by the client's times
      search        idle       0.14 calls under way on 4 replicas, by the client's times
    orchestrator takes 94.8 % of the time that is accounted for, 2.8 calls a question; with this many questions at once the run takes 1.96 h at least
    20 of 24 GPUs serve 2.8 calls at a time
    no move of GPUs is advised, because it is not known whether more replicas would help
      5, 6, 8 replicas of orchestrator would bring at most 1.23×, 1.46×, 1.90×, if all of its time were waiting; if none is, nothing
    ");
}

#[test]
fn what_if_bounds_what_the_log_does_not_tell() {
    let asked = |moves: &str| what_if_text(&what_if(&log(), &[moves.parse().unwrap()]));
    assert_snapshot!(asked("2 coder:orchestrator"), @r#"
    at most 1.46× as many questions an hour, and maybe no more than now: whether calls wait at orchestrator was not measured
      models.orchestrator.replicas: 4 → 6
      models.coder.replicas: 8 → 6
    "#);
    assert_snapshot!(asked("4 coder:orchestrator"), @r#"
    at most 1.90× as many questions an hour, and maybe no more than now: whether calls wait at orchestrator was not measured
      models.orchestrator.replicas: 4 → 8
      models.coder.replicas: 8 → 4
    "#);
}
