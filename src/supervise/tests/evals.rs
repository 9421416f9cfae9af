//! When an evaluation starts, when it is over, and what is said then.

use insta::assert_snapshot;

use super::story::{EVAL, End, Story, code, failed, ten};
use crate::base::Millis;
use crate::supervise::{Configured, Goal, Input};

#[test]
fn servers_come_up_the_evaluation_runs_and_all_goes_down() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(0, 0))]).secs(1).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e");
    story
        .secs(1)
        .counted("e", ten(4, 0))
        .secs(1)
        .counted("e", ten(10, 0));
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.secs(1).stopped("a");
    assert_snapshot!(story.told(), @r"
     0ms e 0/10, 0 errors
     0ms a #1 start intended
     0ms -> launch a #1
    1.0s a #1 launched
    1.0s a #1 started
    1.0s a #1 climbed listening
    1.0s -> probe a #1 rung 1
    1.0s a #1 climbed health
    1.0s a #1 ready after 1.0s
    1.0s -> prepare e
    1.0s eval-e #1 start intended
    1.0s -> launch eval-e #1
    1.0s eval-e #1 launched
    1.0s eval-e #1 started
    2.0s -> count e
    2.0s e 4/10, 0 errors
    3.0s -> count e
    3.0s e 10/10, 0 errors
    3.0s eval-e #1 exited: code Some(0), signal None, reason None
    3.0s -> count e
    3.0s e ended: Complete
    3.0s a #1 stop intended: Done
    3.0s -> stop a #1
    4.0s a #1 stopped
    4.0s run ended 0: e: complete
    4.0s -> finish 0: e: complete
    ");
}

#[test]
fn complete_results_start_nothing() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(10, 0))]);
    assert_snapshot!(story.told(), @r"
    0ms e 10/10, 0 errors
    0ms e ended: Complete
    0ms run ended 0: e: complete
    0ms -> finish 0: e: complete
    ");
}

#[test]
fn results_that_prove_complete_when_made_ready_start_no_client() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a").skip();
    story.prepared("e", ten(10, 0)).stopped("a");
    assert_snapshot!(story.told(), @r"
    0ms e 10/10, 0 errors
    0ms e ended: Complete
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    0ms a #1 stopped
    0ms run ended 0: e: complete
    0ms -> finish 0: e: complete
    ");
}

#[test]
fn errors_among_the_results_make_it_incomplete() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(10, 2))]);
    assert_snapshot!(story.told(), @r#"
    0ms e 10/10, 2 errors
    0ms e ended: Incomplete { missing: 0, why: "2 results are in error" }
    0ms run ended 5: e: incomplete: 2 results are in error
    0ms -> finish 5: e: incomplete: 2 results are in error
    "#);
}

#[test]
fn results_of_another_evaluation_refuse_the_client() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a").skip();
    story.feed(Input::Prepared {
        eval: "e".into(),
        result: Err("the results are of another model".to_owned()),
    });
    story.stopped("a");
    assert_snapshot!(story.told(), @r#"
    0ms e ended: NotStarted { why: "the results are of another model", code: 3 }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    0ms a #1 stopped
    0ms run ended 3: e: not started: the results are of another model
    0ms -> finish 3: e: not started: the results are of another model
    "#);
}

#[test]
fn a_configuration_that_cannot_be_written_refuses_the_client() {
    let mut story = Story::new(&format!(
        "{EVAL}\nclient_config: {{ format: toolorchestra, path: c.json }}\n"
    ));
    story.begin(&[], &[]).comes_up("a").skip();
    let config = story.brain.plan().configs[0].name.clone();
    story.feed(Input::ConfigDone {
        config,
        result: Err("cannot write `c.json`: disk full".to_owned()),
    });
    assert_snapshot!(story.told(), @r#"
    0ms alarm client-config: cannot write `c.json`: disk full
    0ms e ended: NotStarted { why: "cannot write `c.json`: disk full", code: 3 }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    "#);
}

#[test]
fn without_evaluations_an_unwritten_configuration_refuses() {
    let mut story = Story::new(&format!(
        "{EVAL}\nclient_config: {{ format: toolorchestra, path: c.json }}\n"
    ));
    story.owner(Goal {
        start_servers: true,
        evals: Vec::new(),
    });
    story.begin(&[], &[]).skip().comes_up("a");
    let config = story.brain.plan().configs[0].name.clone();
    story.feed(Input::ConfigDone {
        config,
        result: Err("cannot write `c.json`: disk full".to_owned()),
    });
    assert_snapshot!(story.told(), @r"
    0ms a #1 launched
    0ms a #1 started
    0ms a #1 climbed listening
    0ms -> probe a #1 rung 1
    0ms a #1 climbed health
    0ms a #1 ready after 0ms
    0ms -> write config default with a
    0ms alarm client-config: cannot write `c.json`: disk full
    0ms owner left: cannot write `c.json`: disk full
    0ms -> finish 3: cannot write `c.json`: disk full (kept)
    ");
}

#[test]
fn a_group_that_cannot_come_keeps_the_client_from_starting() {
    let mut story = Story::new(EVAL);
    let end = End {
        reason: Some("`KEY` has no value"),
        ..code(78)
    };
    story.begin(&[], &[]).launched("a").skip().dies("a", end);
    assert_snapshot!(story.told(), @r#"
    0ms a #1 exited: code Some(78), signal None, reason Some("`KEY` has no value")
    0ms a given up: Permanent { why: "`KEY` has no value" }
    0ms e ended: NotStarted { why: "`a` has 0 of the 1 servers that must be ready", code: 4 }
    0ms run ended 4: e: not started: `a` has 0 of the 1 servers that must be ready
    0ms -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready
    "#);
}

/// Two replicas of which one is enough.
const MIN_READY: &str = "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 2, port: 9100, min_ready: 1 }
evals:
  e: { command: [client], results: out, requires: [m] }
when_done: down
";

#[test]
fn with_enough_ready_the_others_get_a_minute() {
    let mut story = Story::new(MIN_READY);
    story.begin(&[], &[]).launched("m-1").comes_up("m-0").skip();
    story.secs(61);
    assert_snapshot!(story.told(), @" 1m 00s -> prepare e");
}

#[test]
fn the_minute_begins_anew_where_enough_became_too_few() {
    let mut story = Story::new(MIN_READY);
    story
        .begin(&[], &[])
        .launched("m-1")
        .comes_up("m-0")
        .secs(30)
        .dies("m-0", code(1))
        .secs(5)
        .skip();
    story.secs(60).comes_up("m-0").secs(59).skip();
    story.secs(1);
    assert_snapshot!(story.told(), @" 2m 35s -> prepare e");
}

#[test]
fn nobody_waits_for_a_replica_that_is_given_up() {
    let mut story = Story::new(MIN_READY);
    story
        .begin(&[], &[])
        .comes_up("m-0")
        .launched("m-1")
        .secs(5)
        .skip();
    let running = story.running("m-1", true);
    story
        .see("m-1", running)
        .probed("m-1", 1, failed("another model", true))
        .stopped("m-1");
    assert_snapshot!(story.told(), @r#"
    5.0s m-1 #1 started
    5.0s m-1 #1 climbed listening
    5.0s -> probe m-1 #1 rung 1
    5.0s m-1 #1 refuted health: another model
    5.0s m-1 #1 stop intended: NotReady
    5.0s -> stop m-1 #1
    5.0s m-1 #1 stopped
    5.0s m-1 given up: NotReady { why: "health: another model; mend it" }
    5.0s -> prepare e
    "#);
}

#[test]
fn a_replica_in_a_pause_before_its_restart_is_waited_for() {
    let mut story = Story::new(MIN_READY);
    story
        .begin(&[], &[])
        .comes_up("m-0")
        .launched("m-1")
        .dies("m-1", code(1))
        .skip();
    story.secs(6).comes_up("m-1");
    assert_snapshot!(story.told(), @r"
    5.0s m-1 #2 start intended
    5.0s -> launch m-1 #2
    6.0s m-1 #2 launched
    6.0s m-1 #2 started
    6.0s m-1 #2 climbed listening
    6.0s -> probe m-1 #2 rung 1
    6.0s m-1 #2 climbed health
    6.0s m-1 #2 ready after 1.0s
    6.0s -> prepare e
    ");
}

#[test]
fn a_replica_that_is_lost_for_good_while_the_client_runs_is_an_alarm() {
    let mut story = Story::new(MIN_READY);
    story
        .begin(&[], &[])
        .comes_up("m-0")
        .comes_up("m-1")
        .prepared("e", ten(0, 0))
        .client_runs("e");
    for _ in 0..3 {
        story
            .dies("m-1", code(1))
            .pass(Millis::from_secs(45))
            .launched("m-1");
        story.counted("e", ten(2, 0));
    }
    story.skip().dies("m-1", code(1)).secs(2);
    assert_snapshot!(story.told(), @r"
    2m 15s m-1 #4 exited: code Some(1), signal None, reason None
    2m 15s m-1 given up: Budget { starts: 4 }
    2m 15s alarm server-lost: `m-1` is gone for good while `e` runs: `m` has 1 of 2 servers left
    2m 16s -> count e
    ");
}

/// An evaluation after another.
fn chain(state: &str) -> Story {
    let mut story = Story::new(&format!(
        "{}\n  f: {{ command: [client], results: out2, requires: [a], after: {{ e: {state} }} }}\nwhen_done: down\n",
        EVAL.replace("when_done: down\n", "")
    ));
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e")
        .skip();
    story
}

#[test]
fn after_complete_waits_for_all_results() {
    let mut story = chain("complete");
    story
        .secs(1)
        .counted("e", ten(10, 0))
        .dies("eval-e", code(0))
        .counted("e", ten(10, 0));
    story.prepared("f", ten(0, 0));
    assert_snapshot!(story.told(), @r"
    1.0s -> count e
    1.0s e 10/10, 0 errors
    1.0s eval-e #1 exited: code Some(0), signal None, reason None
    1.0s -> count e
    1.0s e ended: Complete
    1.0s -> prepare f
    1.0s f 0/10, 0 errors
    1.0s eval-f #1 start intended
    1.0s -> launch eval-f #1
    ");
    let mut story = chain("complete");
    story
        .dies("eval-e", code(1))
        .counted("e", ten(0, 0))
        .stopped("a");
    assert_snapshot!(story.told(), @r#"
    0ms eval-e #1 exited: code Some(1), signal None, reason None
    0ms -> count e
    0ms e ended: Incomplete { missing: 10, why: "it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e" }
    0ms f ended: NotStarted { why: "`e` comes first and is not complete", code: 5 }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    0ms a #1 stopped
    0ms run ended 5: e: incomplete, 10 missing: it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e; f: not started: `e` comes first and is not complete
    0ms -> finish 5: e: incomplete, 10 missing: it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e; f: not started: `e` comes first and is not complete
    "#);
}

#[test]
fn after_ended_waits_for_the_end_alone() {
    let mut story = chain("ended");
    story.dies("eval-e", code(1)).counted("e", ten(0, 0));
    assert_snapshot!(story.told(), @r#"
    0ms eval-e #1 exited: code Some(1), signal None, reason None
    0ms -> count e
    0ms e ended: Incomplete { missing: 10, why: "it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e" }
    0ms -> prepare f
    "#);
}

#[test]
fn two_evaluations_share_a_configuration_and_run_at_once() {
    let mut story = Story::new(
        "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health } }
client_config: { format: toolorchestra, path: c.json }
evals:
  e: { command: [client, '{config}'], results: out, requires: [a] }
  f: { command: [client, '{config}'], results: out2, requires: [a] }
when_done: keep
",
    );
    story.begin(&[], &[]).comes_up("a").skip();
    let config = story.brain.plan().configs[0].name.clone();
    let written = || Input::ConfigDone {
        config: config.clone(),
        result: Ok(Configured {
            path: "/c.json".to_owned(),
            sha256: "abc".to_owned(),
            endpoints: 1,
            ..Configured::default()
        }),
    };
    story.feed(written()).feed(written());
    story.prepared("e", ten(0, 0)).prepared("f", ten(5, 0));
    story.client_runs("e").client_runs("f");
    story
        .secs(1)
        .counted("e", ten(10, 0))
        .counted("f", ten(10, 1));
    story.dies("eval-e", code(0)).dies("eval-f", code(0));
    story.counted("f", ten(10, 1)).counted("e", ten(10, 0));
    assert_snapshot!(story.told(), @r#"
     0ms config default written, 1 endpoints
     0ms -> prepare e
     0ms -> prepare f
     0ms e 0/10, 0 errors
     0ms eval-e #1 start intended
     0ms -> launch eval-e #1
     0ms f 5/10, 0 errors
     0ms eval-f #1 start intended
     0ms -> launch eval-f #1
     0ms eval-e #1 launched
     0ms eval-e #1 started
     0ms eval-f #1 launched
     0ms eval-f #1 started
    1.0s -> count e
    1.0s -> count f
    1.0s e 10/10, 0 errors
    1.0s f 10/10, 1 errors
    1.0s eval-e #1 exited: code Some(0), signal None, reason None
    1.0s -> count e
    1.0s eval-f #1 exited: code Some(0), signal None, reason None
    1.0s -> count f
    1.0s f ended: Incomplete { missing: 0, why: "1 result is in error" }
    1.0s e ended: Complete
    1.0s owner left: e: complete; f: incomplete: 1 result is in error
    1.0s -> finish 5: e: complete; f: incomplete: 1 result is in error (kept)
    "#);
}

#[test]
fn evaluations_alone_start_no_server() {
    let mut story = Story::new(EVAL);
    let evals = story.all().evals;
    story.owner(Goal {
        start_servers: false,
        evals,
    });
    story.begin(&[], &[]);
    assert_snapshot!(story.told(), @r#"
    0ms e ended: NotStarted { why: "`a` has 0 of the 1 servers that must be ready", code: 4 }
    0ms run ended 4: e: not started: `a` has 0 of the 1 servers that must be ready
    0ms -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready
    "#);
}

#[test]
fn evaluations_alone_run_on_what_is_up_and_keep_it_up() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a").interrupted().skip();
    let evals = story.all().evals;
    story.owner(Goal {
        start_servers: false,
        evals,
    });
    let running = story.running("a", true);
    story
        .begin(&[("a", running)], &[])
        .passes("a")
        .prepared("e", ten(0, 0))
        .client_runs("e");
    story.dies("a", code(0)).secs(5);
    assert_snapshot!(story.told(), @r"
     0ms -> watch a
     0ms a #1 adopted
     0ms a #1 climbed listening
     0ms -> probe a #1 rung 1
     0ms a #1 climbed health
     0ms a #1 ready after 0ms
     0ms -> prepare e
     0ms e 0/10, 0 errors
     0ms eval-e #1 start intended
     0ms -> launch eval-e #1
     0ms eval-e #1 launched
     0ms eval-e #1 started
     0ms a #1 exited: code Some(0), signal None, reason None
    1.0s -> count e
    5.0s a #2 start intended
    5.0s -> launch a #2
    ");
}

#[test]
fn the_gravest_of_several_ends_is_the_exit_status() {
    let mut story = Story::new(
        "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health } }
  b: { node: n, port: 9002, command: [b], ready: { http: /health } }
evals:
  e: { command: [client], results: out, requires: [a] }
  f: { command: [client], results: out2, requires: [b] }
when_done: keep
",
    );
    story.begin(&[], &[("e", ten(10, 3))]).launched("b").skip();
    let end = End {
        reason: Some("`KEY` has no value"),
        ..code(78)
    };
    story.dies("b", end).comes_up("a");
    assert_snapshot!(story.told(), @r#"
    0ms b #1 exited: code Some(78), signal None, reason Some("`KEY` has no value")
    0ms b given up: Permanent { why: "`KEY` has no value" }
    0ms f ended: NotStarted { why: "`b` has 0 of the 1 servers that must be ready", code: 4 }
    0ms a #1 launched
    0ms owner left: e: incomplete: 3 results are in error; f: not started: `b` has 0 of the 1 servers that must be ready
    0ms -> finish 5: e: incomplete: 3 results are in error; f: not started: `b` has 0 of the 1 servers that must be ready (kept)
    "#);
}
