//! Servers from their first start to ready, given up, or started again.

use insta::assert_snapshot;

use super::story::{End, ONE, Story, code, failed, not_yet, plan_of, signal, unknown};
use crate::base::{Generation, Port};
use crate::facts::{Observation, ProbeOutcome};
use crate::plan::Unit;
use crate::spec::model::LauncherKind;
use crate::supervise::{Goal, Input, LaunchFailure};

/// A story in which `a` is ready.
fn ready() -> Story {
    let mut story = Story::new(&format!(
        "{ONE}\nevals: {{ e: {{ command: [c], results: out, requires: [a] }} }}"
    ));
    story.begin(&[], &[]).comes_up("a").skip();
    story
}

#[test]
fn a_server_comes_up_and_is_kept() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).secs(1).comes_up("a");
    assert_snapshot!(story.told(), @r"
     0ms a #1 start intended
     0ms -> launch a #1
    1.0s a #1 launched
    1.0s a #1 started
    1.0s a #1 climbed listening
    1.0s -> probe a #1 rung 1
    1.0s a #1 climbed health
    1.0s a #1 ready after 1.0s
    1.0s owner left: all servers are ready
    1.0s -> finish 0: all servers are ready (kept)
    ");
}

#[test]
fn a_server_climbs_when_its_port_listens_and_is_probed_again_while_it_loads() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a").skip();
    let silent = story.running("a", false);
    let listening = story.running("a", true);
    story
        .see("a", silent.clone())
        .secs(5)
        .see("a", silent)
        .secs(5);
    story.see("a", listening);
    story.probed("a", 1, not_yet("503")).secs(1);
    story.probed("a", 1, failed("401", false)).secs(1);
    story
        .probed("a", 1, failed("401", false))
        .secs(1)
        .passes("a");
    assert_snapshot!(story.told(), @r"
      0ms a #1 started
    10.0s a #1 climbed listening
    10.0s -> probe a #1 rung 1
    10.1s -> probe a #1 rung 1
    11.0s a #1 refuted health: 401
    11.1s -> probe a #1 rung 1
    12.1s -> probe a #1 rung 1
    13.0s a #1 climbed health
    13.0s a #1 ready after 13.0s
    13.0s owner left: all servers are ready
    13.0s -> finish 0: all servers are ready (kept)
    ");
}

#[test]
fn what_waiting_cannot_mend_ends_the_climb() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a").skip();
    let listening = story.running("a", true);
    story
        .see("a", listening)
        .probed("a", 1, failed("another model", true));
    story.secs(3).stopped("a");
    assert_snapshot!(story.told(), @r#"
     0ms a #1 started
     0ms a #1 climbed listening
     0ms -> probe a #1 rung 1
     0ms a #1 refuted health: another model
     0ms a #1 stop intended: NotReady
     0ms -> stop a #1
    3.0s a #1 stopped
    3.0s a given up: NotReady { why: "health: another model; mend it" }
    3.0s run ended 4: `a` did not become ready
    3.0s -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn a_server_that_is_too_late_is_given_up_with_what_it_last_said() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a");
    let listening = story.running("a", true);
    story
        .see("a", listening)
        .probed("a", 1, not_yet("503, it loads"));
    story
        .secs(590)
        .probed("a", 1, not_yet("503, it loads"))
        .skip();
    story
        .secs(8)
        .probed("a", 1, not_yet("503, it still loads"))
        .skip();
    story.secs(5).stopped("a");
    assert_snapshot!(story.told(), @r#"
    10m 00s a #1 stop intended: NotReady
    10m 00s -> stop a #1
    10m 03s a #1 stopped
    10m 03s a given up: NotReady { why: "it stands at `health`: 503, it still loads" }
    10m 03s run ended 4: `a` did not become ready
    10m 03s -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn a_server_that_listens_on_another_port_is_given_up_with_that_port() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a");
    let Observation::Running(mut running) = story.running("a", false) else {
        panic!("it runs");
    };
    running.listening = vec![Port(8001)];
    story.see("a", Observation::Running(running)).skip();
    story.secs(601).skip();
    story.secs(2).stopped("a");
    assert_snapshot!(story.told(), @r#"
    10m 03s a #1 stopped
    10m 03s a given up: NotReady { why: "it stands at `listening`: port 9001 does not listen; it listens on 8001" }
    10m 03s run ended 4: `a` did not become ready
    10m 03s -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn a_start_of_which_nothing_is_ever_seen_is_given_up_too() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a").secs(300);
    story.see("a", unknown()).secs(301).stopped("a");
    assert_snapshot!(story.told(), @r#"
        0ms a #1 start intended
        0ms -> launch a #1
        0ms a #1 launched
    10m 00s a #1 stop intended: NotReady
    10m 00s -> stop a #1
    10m 01s a #1 stopped
    10m 01s a given up: NotReady { why: "its process was never seen; its log and `supervisor.log` may say why" }
    10m 01s run ended 4: `a` did not become ready
    10m 01s -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn starts_are_staggered() {
    let mut story = Story::new(
        "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 3, port: 9100, stagger: 20s }
",
    );
    story.begin(&[], &[]).secs(60);
    assert_snapshot!(story.told(), @r"
      0ms m-0 #1 start intended
      0ms -> launch m-0 #1
    20.0s m-1 #1 start intended
    20.0s -> launch m-1 #1
    40.0s m-2 #1 start intended
    40.0s -> launch m-2 #1
    ");
}

#[test]
fn the_first_replica_warms_the_cache_for_the_others() {
    let mut story = Story::new(
        "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 3, port: 9100, cache: warm-first }
",
    );
    story.begin(&[], &[]).secs(30).comes_up("m-0");
    assert_snapshot!(story.told(), @r"
      0ms m-0 #1 start intended
      0ms -> launch m-0 #1
    30.0s m-0 #1 launched
    30.0s m-0 #1 started
    30.0s m-0 #1 climbed listening
    30.0s -> probe m-0 #1 rung 1
    30.0s m-0 #1 climbed health
    30.0s m-0 #1 ready after 30.0s
    30.0s m-1 #1 start intended
    30.0s -> launch m-1 #1
    30.0s m-2 #1 start intended
    30.0s -> launch m-2 #1
    ");
}

#[test]
fn the_others_start_when_the_one_that_warms_is_given_up() {
    let mut story = Story::new(
        "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 2, port: 9100, cache: warm-first }
",
    );
    story.begin(&[], &[]).launched("m-0").skip();
    let end = End {
        reason: Some("`--gpu` is not set"),
        ..code(78)
    };
    story.dies("m-0", end);
    assert_snapshot!(story.told(), @r#"
    0ms m-0 #1 exited: code Some(78), signal None, reason Some("`--gpu` is not set")
    0ms m-0 given up: Permanent { why: "`--gpu` is not set" }
    0ms m-1 #1 start intended
    0ms -> launch m-1 #1
    "#);
}

#[test]
fn a_cause_in_the_log_that_stays_is_not_tried_again() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a").skip();
    let end = End {
        tail: &[
            "INFO starting",
            "vllm: error: unrecognized arguments: --fast",
        ],
        ..code(2)
    };
    story.dies("a", end);
    assert_snapshot!(story.told(), @r#"
    0ms a #1 exited: code Some(2), signal None, reason None
    0ms a given up: Permanent { why: "flag does not exist in this version (renamed/removed); see removed_flags" }
    0ms run ended 4: `a` did not become ready
    0ms -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn a_server_that_was_ready_is_started_again_whatever_its_log_says() {
    let mut story = ready();
    let end = End {
        tail: &["requests.exceptions.HTTPError: 404 Client Error"],
        ..code(1)
    };
    story.dies("a", end).secs(5);
    assert_snapshot!(story.told(), @r"
     0ms a #1 exited: code Some(1), signal None, reason None
    5.0s a #2 start intended
    5.0s -> launch a #2
    ");
}

#[test]
fn early_deaths_without_a_known_cause_spend_the_budget() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]);
    for _ in 0..3 {
        story
            .launched("a")
            .dies("a", signal("SIGSEGV", 11))
            .secs(45);
    }
    story.launched("a").dies("a", code(1));
    assert_snapshot!(story.told(), @r#"
       0ms a #1 start intended
       0ms -> launch a #1
       0ms a #1 launched
       0ms a #1 exited: code Some(139), signal Some("SIGSEGV"), reason None
      5.0s a #2 start intended
      5.0s -> launch a #2
     45.0s a #2 launched
     45.0s a #2 exited: code Some(139), signal Some("SIGSEGV"), reason None
    1m 00s a #3 start intended
    1m 00s -> launch a #3
    1m 30s a #3 launched
    1m 30s a #3 exited: code Some(139), signal Some("SIGSEGV"), reason None
    2m 15s a #4 start intended
    2m 15s -> launch a #4
    2m 15s a #4 launched
    2m 15s a #4 exited: code Some(1), signal None, reason None
    2m 15s a given up: Budget { starts: 4 }
    2m 15s run ended 4: `a` did not become ready
    2m 15s -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn refusals_of_the_unit_script() {
    let mut said = String::new();
    for number in [64, 69, 75, 78] {
        let mut story = Story::new(ONE);
        story.begin(&[], &[]).launched("a").skip();
        let end = End {
            reason: Some("why"),
            ..code(number)
        };
        story.dies("a", end).secs(4);
        said.push_str(&story.told());
    }
    assert_snapshot!(said, @r#"
    0ms a #1 exited: code Some(64), signal None, reason Some("why")
    0ms a given up: Permanent { why: "why" }
    0ms run ended 4: `a` did not become ready
    0ms -> finish 4: `a` did not become ready
    0ms a #1 exited: code Some(69), signal None, reason Some("why")
    0ms a #1 exited: code Some(75), signal None, reason Some("why")
    0ms a #1 exited: code Some(78), signal None, reason Some("why")
    0ms a given up: Permanent { why: "why" }
    0ms run ended 4: `a` did not become ready
    0ms -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn a_failed_launch_is_cleared_away_and_tried_again() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).skip();
    let why = "`tmux` did not end within 30s".to_owned();
    story
        .launch_done("a", Generation(1), Err(why))
        .secs(11)
        .stopped("a")
        .secs(5);
    assert_snapshot!(story.told(), @r"
      0ms a #1 launch failed: `tmux` did not end within 30s
      0ms a #1 stop intended: Remnants
    10.0s -> stop a #1
    11.0s a #1 stopped
    16.0s a #2 start intended
    16.0s -> launch a #2
    ");
}

#[test]
fn a_launch_that_was_refused_for_good_is_not_tried_again() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).skip();
    let why = "SLURM here: no such partition; change `slurm.partition`".to_owned();
    story.feed(Input::LaunchDone {
        unit: "a".into(),
        generation: Generation(1),
        result: Err(LaunchFailure::Permanent(why)),
    });
    story.stopped("a");
    assert_snapshot!(story.told(), @r#"
    0ms a #1 launch failed: SLURM here: no such partition; change `slurm.partition`
    0ms a #1 stop intended: Remnants
    0ms -> stop a #1
    0ms a #1 stopped
    0ms a given up: Permanent { why: "SLURM here: no such partition; change `slurm.partition`" }
    0ms run ended 4: `a` did not become ready
    0ms -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn what_a_failed_launch_started_all_the_same_is_stopped_when_it_shows() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).skip();
    story.launch_done("a", Generation(1), Err("late".to_owned()));
    let running = story.running("a", false);
    story.secs(1).see("a", running.clone()).secs(1).stopped("a");
    story.secs(1).see("a", running).secs(1).stopped("a").secs(5);
    assert_snapshot!(story.told(), @r"
     0ms a #1 launch failed: late
     0ms a #1 stop intended: Remnants
    1.0s -> stop a #1
    2.0s a #1 stopped
    3.0s a #1 stop intended: Remnants
    3.0s -> stop a #1
    4.0s a #1 stopped
    9.0s a #2 start intended
    9.0s -> launch a #2
    ");
}

#[test]
fn a_launcher_s_error_is_not_believed_against_what_was_seen() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).skip();
    let running = story.running("a", true);
    story
        .see("a", running)
        .launch_done("a", Generation(1), Err("late".to_owned()));
    story.passes("a");
    assert_snapshot!(story.told(), @r"
    0ms a #1 started
    0ms a #1 climbed listening
    0ms -> probe a #1 rung 1
    0ms a #1 climbed health
    0ms a #1 ready after 0ms
    0ms owner left: all servers are ready
    0ms -> finish 0: all servers are ready (kept)
    ");
}

#[test]
fn an_end_that_nothing_recorded_is_swept_before_the_next_start() {
    let mut story = ready();
    let lost = story.lost("a");
    story
        .see("a", lost.clone())
        .secs(10)
        .see("a", lost.clone())
        .stopped("a")
        .secs(5);
    // The state file still tells of the lost start.
    story.see("a", lost);
    assert_snapshot!(story.told(), @r#"
      0ms a #1 exited: code None, signal None, reason Some("its process is gone and nothing recorded how")
      0ms a #1 stop intended: Remnants
      0ms -> stop a #1
    10.0s a #1 stopped
    15.0s a #2 start intended
    15.0s -> launch a #2
    "#);
}

#[test]
fn a_server_that_somebody_stopped_stays_down() {
    let mut story = ready();
    let end = End {
        requested: true,
        ..code(143)
    };
    story.dies("a", end).secs(60);
    assert_snapshot!(story.told(), @r#"
    0ms a #1 exited: code Some(143), signal None, reason None
    0ms a given up: Permanent { why: "somebody stopped it; run `toolorch up` again to start it" }
    "#);
}

#[test]
fn news_of_earlier_starts_change_nothing() {
    let mut story = ready();
    let (old_end, old_run, old_lost) = (
        story.ended("a", code(1)),
        story.running("a", true),
        story.lost("a"),
    );
    story.see("a", old_end.clone()).secs(5);
    story.skip();
    story.see("a", old_end).see("a", old_run).see("a", old_lost);
    story.launch_done("a", Generation(1), Err("late".to_owned()));
    story.feed(crate::supervise::Input::Probed {
        unit: "a".into(),
        generation: Generation(1),
        rung: 1,
        outcome: ProbeOutcome::Passed {
            detail: String::new(),
        },
    });
    story.feed(crate::supervise::Input::StopDone {
        unit: "a".into(),
        generation: Generation(1),
        result: Ok(()),
    });
    assert_snapshot!(story.told(), @"");
    story.comes_up("a");
    assert_snapshot!(story.told(), @r"
    5.0s a #2 launched
    5.0s a #2 started
    5.0s a #2 climbed listening
    5.0s -> probe a #2 rung 1
    5.0s a #2 climbed health
    5.0s a #2 ready after 0ms
    ");
}

#[test]
fn a_unit_that_dies_while_it_is_stopped_is_stopped() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a");
    let listening = story.running("a", true);
    story
        .see("a", listening)
        .probed("a", 1, failed("another model", true))
        .skip();
    story.dies("a", code(0)).secs(1).stopped("a");
    assert_snapshot!(story.told(), @r#"
    1.0s a #1 stopped
    1.0s a given up: NotReady { why: "health: another model; mend it" }
    1.0s run ended 4: `a` did not become ready
    1.0s -> finish 4: `a` did not become ready
    "#);
}

#[test]
fn a_stop_that_fails_is_tried_again_and_then_said() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a");
    let listening = story.running("a", true);
    story
        .see("a", listening)
        .probed("a", 1, failed("another model", true))
        .skip();
    for _ in 0..3 {
        story
            .secs(2)
            .stop_done("a", Err("pid 40 does not end"))
            .secs(10);
    }
    assert_snapshot!(story.told(), @r"
     2.0s alarm stop-failed: `a` could not be stopped: pid 40 does not end
     7.0s -> stop a #1
    19.0s -> stop a #1
    26.0s owner left: `a` did not become ready; could not be stopped: a
    26.0s -> finish 3: `a` did not become ready; could not be stopped: a (kept)
    ");
}

/// Two services, the second of which refuses to start, and an evaluation that needs both.
const TWO: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
  b: { node: n, port: 9002, command: [b], ready: { http: /health, timeout: 10m } }
evals:
  e: { command: [c], results: out, requires: [a, b] }
when_done: down
";

fn refused() -> End {
    End {
        reason: Some("`KEY` has no value"),
        ..code(78)
    }
}

#[test]
fn a_start_is_stopped_when_it_is_seen_not_before() {
    let mut story = Story::new(TWO);
    story
        .begin(&[], &[])
        .launched("b")
        .dies("b", refused())
        .skip();
    story.secs(1).launched("a").secs(1);
    let running = story.running("a", false);
    story.see("a", running).stopped("a");
    assert_snapshot!(story.told(), @r"
    1.0s a #1 launched
    2.0s -> stop a #1
    2.0s a #1 stopped
    2.0s run ended 4: e: not started: `b` has 0 of the 1 servers that must be ready
    2.0s -> finish 4: e: not started: `b` has 0 of the 1 servers that must be ready
    ");
}

#[test]
fn a_start_that_never_shows_is_stopped_all_the_same() {
    let mut story = Story::new(TWO);
    story
        .begin(&[], &[])
        .launched("a")
        .launched("b")
        .dies("b", refused())
        .skip();
    story.secs(20).stopped("a");
    assert_snapshot!(story.told(), @r"
    10.0s -> stop a #1
    20.0s a #1 stopped
    20.0s run ended 4: e: not started: `b` has 0 of the 1 servers that must be ready
    20.0s -> finish 4: e: not started: `b` has 0 of the 1 servers that must be ready
    ");
}

#[test]
fn a_start_that_shows_after_its_stop_is_stopped_again() {
    let mut story = Story::new(TWO);
    story
        .begin(&[], &[])
        .launched("a")
        .launched("b")
        .secs(600)
        .stopped("a")
        .skip();
    let running = story.running("a", false);
    story.see("a", running).stopped("a").stopped("b");
    assert_snapshot!(story.told(), @r#"
    10m 00s a #1 stop intended: Remnants
    10m 00s -> stop a #1
    10m 00s a #1 stopped
    10m 00s a given up: NotReady { why: "its process was never seen; its log and `supervisor.log` may say why" }
    10m 00s b #1 stopped
    10m 00s b given up: NotReady { why: "its process was never seen; its log and `supervisor.log` may say why" }
    10m 00s run ended 4: e: not started: `a` has 0 of the 1 servers that must be ready
    10m 00s -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready
    "#);
}

#[test]
fn starts_take_turns_and_one_that_hangs_keeps_nobody_back_for_ever() {
    let mut story = Story::new(
        "models: { m: { engine: sim, model: Qwen/Qwen3-8B, node: n, replicas: 4, port: 8000 } }",
    );
    story.at_once(2).begin(&[], &[]);
    story.secs(1).launched("m-0").launched("m-1");
    let seen = story.running("m-1", false);
    story.secs(1).see("m-1", seen);
    // `m-0` shows nothing: `m-3` waits until it counts no longer.
    story.launched("m-2").secs(12);
    assert_snapshot!(story.told(), @r"
      0ms m-0 #1 start intended
      0ms -> launch m-0 #1
      0ms m-1 #1 start intended
      0ms -> launch m-1 #1
     1.0s m-0 #1 launched
     1.0s m-1 #1 launched
     2.0s m-1 #1 started
     2.0s m-2 #1 start intended
     2.0s -> launch m-2 #1
     2.0s m-2 #1 launched
    10.0s m-3 #1 start intended
    10.0s -> launch m-3 #1
    ");
}

#[test]
fn each_machine_has_turns_of_its_own_and_elsewhere_the_launchers_answer_ends_one() {
    let mut plan = plan_of(
        "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 3, port: 8000 }
  o: { engine: sim, model: org/o, node: n, replicas: 2, port: 8100 }",
    );
    let there = |unit: &&mut Unit| unit.id.as_str().starts_with("m-");
    for unit in plan.units.iter_mut().filter(there) {
        unit.launcher = LauncherKind::Slurm;
    }
    let goal = Goal {
        start_servers: true,
        evals: Vec::new(),
    };
    let mut story = Story::with(plan, goal);
    story.at_once(1).begin(&[], &[]);
    story.secs(1).launched("m-0").launched("o-0");
    story.secs(1).launched("m-1").secs(1);
    assert_snapshot!(story.told(), @r"
     0ms m-0 #1 start intended
     0ms -> launch m-0 #1
     0ms o-0 #1 start intended
     0ms -> launch o-0 #1
    1.0s m-0 #1 launched
    1.0s m-1 #1 start intended
    1.0s -> launch m-1 #1
    1.0s o-0 #1 launched
    2.0s m-1 #1 launched
    2.0s m-2 #1 start intended
    2.0s -> launch m-2 #1
    ");
}
