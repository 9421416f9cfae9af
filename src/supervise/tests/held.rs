//! Evaluations that lack what they require: held, and gone on with by themselves.

use insta::assert_snapshot;

use super::story::{Story, code, plan_on, signal, ten};
use crate::base::Millis;
use crate::facts::{Door, ProbeOutcome};
use crate::supervise::{Counts, Goal, Input, Signs};

/// A class of two, one service and a client that requires both.
const CLASS: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m }, restart: { attempts: 9 } }
  b: { node: n, port: 9002, command: [b], ready: { http: /health, timeout: 10m }, restart: { attempts: 1 } }
evals:
  e: { command: [client], results: out, requires: [a, b], limits: { stall: 30m, first_result: 10m }, restart: { attempts: 1 } }
when_done: down
";

fn running() -> Story {
    running_on(CLASS)
}

fn running_on(yaml: &str) -> Story {
    let mut story = Story::new(yaml);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("a").comes_up("b");
    story.prepared("e", ten(0, 0)).client_runs("e");
    story.secs(1).counted("e", ten(3, 0)).skip();
    story
}

/// Seconds pass in which results are counted.
fn count(story: &mut Story, seconds: u64, done: usize, errors: usize) {
    for _ in 0..seconds {
        story.secs(1).counted("e", ten(done, errors));
    }
}

/// The count that was under way when a client ended, and the one that it is judged by.
fn recounted(story: &mut Story, done: usize, errors: usize) {
    story
        .counted("e", ten(done, errors))
        .counted("e", ten(done, errors));
}

fn without_counts(story: &mut Story) -> String {
    let told = story.told();
    let lines = told.lines().filter(|line| !line.ends_with("-> count e"));
    lines.collect::<Vec<_>>().join("\n")
}

impl Story {
    fn requeued(&mut self, eval: &str, set_aside: usize) -> &mut Self {
        let eval = eval.into();
        self.feed(Input::Requeued {
            eval,
            result: Ok(set_aside),
        })
    }
}

#[test]
fn an_outage_holds_the_client_and_what_failed_is_asked_again() {
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9));
    count(&mut story, 10, 5, 2);
    assert_snapshot!(without_counts(&mut story), @r#"
     1.0s a #1 exited: code Some(137), signal Some("SIGKILL"), reason None
     2.0s e 5/10, 2 errors
     6.0s a #2 start intended
     6.0s -> launch a #2
    11.0s alarm held: `e` is held: `a` has no server that is ready; it goes on by itself when there is one again
    11.0s e held: `a` has no server that is ready
    11.0s eval-e #1 stop intended: Held
    11.0s -> stop eval-e #1
    "#);
    story.stopped("eval-e");
    recounted(&mut story, 5, 2);
    story.launched("a").secs(60);
    assert_snapshot!(without_counts(&mut story), @r"
    11.0s eval-e #1 stopped
    11.0s a #2 launched
    ");
    story.comes_up("a");
    assert_snapshot!(without_counts(&mut story), @r"
    1m 11s a #2 started
    1m 11s a #2 climbed listening
    1m 11s -> probe a #2 rung 1
    1m 11s a #2 climbed health
    1m 11s a #2 ready after 1m 05s
    1m 11s -> requeue e since 0ms
    ");
    story.requeued("e", 2).prepared("e", ten(3, 0));
    assert_snapshot!(without_counts(&mut story), @r"
        1m 11s e 3/10, 0 errors
        1m 11s e resumed, 2 set aside
        1m 11s -> prepare e
        1m 11s eval-e #2 start intended
        1m 11s -> launch eval-e #2
        ");
    // The budget is as it was: one death, and one start after it.
    story
        .client_runs("e")
        .secs(1)
        .counted("e", ten(4, 0))
        .skip();
    story
        .dies("eval-e", signal("SIGKILL", 9))
        .counted("e", ten(4, 0))
        .secs(5);
    assert_snapshot!(without_counts(&mut story), @r#"
    1m 12s eval-e #2 exited: code Some(137), signal Some("SIGKILL"), reason None
    1m 17s -> prepare e
    "#);
}

#[test]
fn a_short_outage_changes_nothing() {
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9));
    count(&mut story, 6, 3, 0);
    story.comes_up("a");
    count(&mut story, 60, 3, 0);
    let told = without_counts(&mut story);
    assert!(!told.contains("held"), "{told}");
}

#[test]
fn a_client_that_ends_in_an_outage_is_held_too() {
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9)).secs(2).skip();
    story.dies("eval-e", code(0));
    recounted(&mut story, 10, 7);
    assert_snapshot!(without_counts(&mut story), @r"
    3.0s eval-e #1 exited: code Some(0), signal None, reason None
    3.0s e 10/10, 7 errors
    3.0s alarm held: `e` is held: `a` has no server that is ready; it goes on by itself when there is one again
    3.0s e held: `a` has no server that is ready
    ");
    story
        .secs(5)
        .comes_up("a")
        .requeued("e", 7)
        .prepared("e", ten(3, 0))
        .skip();
    story
        .client_runs("e")
        .secs(1)
        .counted("e", ten(10, 0))
        .skip();
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.stopped("a").stopped("b");
    assert_snapshot!(without_counts(&mut story), @r"
    9.0s eval-e #2 exited: code Some(0), signal None, reason None
    9.0s e ended: Complete
    9.0s a #2 stop intended: Done
    9.0s -> stop a #2
    9.0s b #1 stop intended: Done
    9.0s -> stop b #1
    9.0s a #2 stopped
    9.0s b #1 stopped
    9.0s run ended 0: e: complete
    9.0s -> finish 0: e: complete
    ");
}

#[test]
fn a_client_that_finished_in_an_outage_is_not_held() {
    // It ended by itself.
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9)).secs(2).skip();
    story.dies("eval-e", code(0));
    recounted(&mut story, 10, 0);
    assert_snapshot!(without_counts(&mut story), @r"
        3.0s eval-e #1 exited: code Some(0), signal None, reason None
        3.0s e 10/10, 0 errors
        3.0s e ended: Complete
        3.0s b #1 stop intended: Done
        3.0s -> stop b #1
        ");
    // It lingers.
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9)).secs(2).skip();
    count(&mut story, 70, 10, 0);
    assert_snapshot!(without_counts(&mut story), @r"
      4.0s e 10/10, 0 errors
      6.0s a #2 start intended
      6.0s -> launch a #2
    1m 04s eval-e #1 stop intended: NoProgress
    1m 04s -> stop eval-e #1
    ");
    // Its last results came while it was stopped for the hold.
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9)).secs(2).skip();
    count(&mut story, 10, 9, 0);
    story.skip();
    story.stopped("eval-e");
    recounted(&mut story, 10, 0);
    assert_snapshot!(without_counts(&mut story), @r"
    13.0s eval-e #1 stopped
    13.0s e 10/10, 0 errors
    13.0s e ended: Complete
    13.0s a #2 stop intended: Done
    13.0s b #1 stop intended: Done
    13.0s -> stop b #1
    ");
}

#[test]
fn what_a_hold_set_aside_is_not_the_retry_of_the_run() {
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9)).secs(2);
    let due = Counts {
        due: 7,
        ..ten(10, 7)
    };
    story
        .dies("eval-e", code(0))
        .counted("e", due)
        .counted("e", due);
    story.secs(5).comes_up("a").skip();
    story.requeued("e", 7).prepared("e", ten(3, 0));
    assert_snapshot!(without_counts(&mut story), @r"
    8.0s e 3/10, 0 errors
    8.0s e resumed, 7 set aside
    8.0s -> prepare e
    8.0s eval-e #2 start intended
    8.0s -> launch eval-e #2
    ");
}

#[test]
fn a_client_whose_last_server_is_gone_for_good_is_stopped_at_once() {
    let mut story = running();
    story.dies("b", signal("SIGKILL", 9)).secs(5);
    story.comes_up("b").secs(1).skip();
    story.dies("b", signal("SIGKILL", 9));
    count(&mut story, 3, 3, 0);
    story.stopped("eval-e");
    recounted(&mut story, 3, 0);
    assert_snapshot!(without_counts(&mut story), @r#"
     7.0s b #2 exited: code Some(137), signal Some("SIGKILL"), reason None
     7.0s b given up: Budget { starts: 2 }
     7.0s alarm server-lost: `b` is gone for good while `e` runs: `b` has 0 of 1 servers left
     9.0s e held: `b` has no server that is ready
     9.0s eval-e #1 stop intended: Held
     9.0s -> stop eval-e #1
    10.0s eval-e #1 stopped
    10.0s e ended: GaveUp { missing: 7, why: "`b` has no server left" }
    10.0s a #1 stop intended: Done
    10.0s -> stop a #1
    "#);
}

#[test]
fn what_will_not_come_back_gives_the_evaluation_up() {
    let mut story = running();
    story.dies("b", signal("SIGKILL", 9));
    count(&mut story, 5, 3, 0);
    story.comes_up("b").dies("b", signal("SIGKILL", 9)).skip();
    count(&mut story, 11, 3, 0);
    story.stopped("eval-e");
    recounted(&mut story, 3, 0);
    assert_snapshot!(without_counts(&mut story), @r#"
     8.0s e held: `b` has no server that is ready
     8.0s eval-e #1 stop intended: Held
     8.0s -> stop eval-e #1
    17.0s eval-e #1 stopped
    17.0s e ended: GaveUp { missing: 7, why: "`b` has no server left" }
    17.0s a #1 stop intended: Done
    17.0s -> stop a #1
    "#);
}

#[test]
fn another_owner_goes_on_with_a_hold() {
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9));
    count(&mut story, 10, 5, 2);
    // Killed before the client was stopped; the server came back meanwhile.
    let goal = story.all();
    story.owner(goal);
    let (client, b) = (story.running("eval-e", false), story.running("b", true));
    story
        .skip()
        .begin(&[("eval-e", client), ("b", b)], &[("e", ten(5, 2))]);
    story.passes("b").comes_up("a").skip();
    story.stopped("eval-e");
    assert_snapshot!(without_counts(&mut story), @r"
    11.0s eval-e #1 stopped
    11.0s -> requeue e since 0ms
    ");
    let goal = story.all();
    story.owner(goal);
    let (a, b) = (story.running("a", true), story.running("b", true));
    story
        .skip()
        .begin(&[("a", a), ("b", b)], &[("e", ten(5, 2))]);
    story.passes("a").passes("b");
    story.requeued("e", 2);
    assert_snapshot!(without_counts(&mut story), @r"
        11.0s e 5/10, 2 errors
        11.0s -> watch a
        11.0s a #2 adopted
        11.0s a #2 climbed listening
        11.0s -> watch b
        11.0s b #1 adopted
        11.0s b #1 climbed listening
        11.0s -> probe a #2 rung 1
        11.0s -> probe b #1 rung 1
        11.0s a #2 climbed health
        11.0s a #2 ready after 5.0s
        11.0s b #1 climbed health
        11.0s b #1 ready after 0ms
        11.0s -> requeue e since 0ms
        11.0s e 3/10, 0 errors
        11.0s e resumed, 2 set aside
        11.0s -> prepare e
        ");
}

#[test]
fn servers_that_prove_themselves_to_a_new_owner_hold_nobody() {
    let mut story = running();
    let goal = story.all();
    story.owner(goal);
    let (a, b) = (story.running("a", true), story.running("b", true));
    let client = story.running("eval-e", false);
    let seen = [("a", a), ("b", b), ("eval-e", client)];
    story.begin(&seen, &[("e", ten(3, 0))]).skip();
    for _ in 0..60 {
        let why = "it does not answer in time".to_owned();
        story.secs(1).probed("a", 1, ProbeOutcome::NotYet { why });
        story.counted("e", ten(3, 0));
    }
    let told = without_counts(&mut story);
    assert!(!told.contains("held"), "{told}");
}

#[test]
fn ctrl_c_leaves_a_held_evaluation_as_it_is() {
    let mut story = running();
    story.dies("a", signal("SIGKILL", 9));
    count(&mut story, 10, 3, 0);
    story.stopped("eval-e").skip();
    story.interrupted();
    assert_snapshot!(without_counts(&mut story), @r"
    11.0s owner left: interrupted
    11.0s -> finish 130: interrupted (kept)
    ");
}

/// A judge that is not ours.
const JUDGED: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
externals:
  judge: { url: 'https://judge.example/v1', models: [j] }
evals:
  e: { command: [client], results: out, requires: [a, judge], limits: { stall: 30m, first_result: 10m } }
";

impl Story {
    fn reached(&mut self, result: Result<(), &str>) -> &mut Self {
        self.feed(Input::Reached {
            external: "judge".into(),
            result: result.map_err(str::to_owned),
        })
    }
}

#[test]
fn a_judge_that_is_gone_holds_and_one_that_never_answered_does_not() {
    let mut story = Story::new(JUDGED);
    story.begin(&[], &[("e", ten(0, 0))]).comes_up("a");
    story
        .prepared("e", ten(0, 0))
        .client_runs("e")
        .secs(1)
        .skip();
    for _ in 0..5 {
        story
            .reached(Err("no route"))
            .secs(15)
            .counted("e", ten(2, 0));
    }
    let told = without_counts(&mut story);
    assert!(
        !told.contains("held") && told.contains("-> reach judge"),
        "{told}"
    );
    story.reached(Ok(())).pass(Millis(15_000)).skip();
    story
        .reached(Err("it answers 503"))
        .secs(5)
        .reached(Err("it answers 503"));
    story.secs(6);
    assert_snapshot!(without_counts(&mut story), @r"
    1m 36s -> reach judge
    1m 41s alarm held: `e` is held: `judge` is out of reach: it answers 503; it goes on by itself when there is one again
    1m 41s e held: `judge` is out of reach: it answers 503
    1m 41s eval-e #1 stop intended: Held
    1m 41s -> stop eval-e #1
    1m 41s -> reach judge
    ");
    story.stopped("eval-e").reached(Ok(()));
    assert_snapshot!(without_counts(&mut story), @r"
    1m 42s eval-e #1 stopped
    1m 42s -> requeue e since 1m 26s
    ");
}

#[test]
fn a_client_that_waits_for_servers_at_work_has_not_stalled_and_a_second_stall_ends_it() {
    let mut story = running_on(&CLASS.replace("first_result: 10m", "first_result: 3h"));
    let still = Signs::default();
    story.secs(1700);
    story.brain.tokens_came(story.now);
    story
        .secs(1700)
        .counted_with("e", ten(3, 0), still.clone())
        .skip();
    story.secs(101).counted_with("e", ten(3, 0), still.clone());
    story
        .stopped("eval-e")
        .counted("e", ten(3, 0))
        .secs(5)
        .prepared("e", ten(3, 0));
    story.client_runs("e");
    story.secs(1).counted_with("e", ten(3, 0), still.clone());
    story.secs(1799).counted_with("e", ten(3, 0), still.clone());
    story.stopped("eval-e").counted("e", ten(3, 0));
    assert_snapshot!(without_counts(&mut story), @r#"
    58m 22s alarm stalled: `e` has stalled: no result, no output and no token of any server for 30m 00s
    58m 22s eval-e #1 stop intended: NoProgress
    58m 22s -> stop eval-e #1
    58m 22s eval-e #1 stopped
    58m 27s -> prepare e
    58m 27s eval-e #2 start intended
    58m 27s -> launch eval-e #2
    58m 27s eval-e #2 launched
    58m 27s eval-e #2 started
     1h 28m alarm stalled: `e` has stalled: no result, no output and no token of any server for 30m 00s
     1h 28m eval-e #2 stop intended: NoProgress
     1h 28m -> stop eval-e #2
     1h 28m eval-e #2 stopped
     1h 28m e ended: GaveUp { missing: 7, why: "it stalled twice with the same questions missing" }
     1h 28m a #1 stop intended: Done
     1h 28m -> stop a #1
     1h 28m b #1 stop intended: Done
     1h 28m -> stop b #1
    "#);
}

/// Each of these errors was the outage's.
#[test]
fn errors_of_a_short_outage_do_not_end_the_evaluation() {
    let mut story = running();
    count(&mut story, 1, 0, 0);
    story.dies("a", signal("SIGKILL", 9)).secs(5).launched("a");
    story.comes_up("a").skip();
    // What was in flight fails in the moments after, too.
    count(&mut story, 3, 8, 8);
    count(&mut story, 10, 9, 9);
    assert_snapshot!(without_counts(&mut story), @r"
     8.0s e 8/10, 8 errors
    11.0s e 9/10, 9 errors
    ");
}

/// Those that come when all has been there for a while are the client's own.
#[test]
fn errors_long_after_an_outage_end_it() {
    let mut story =
        running_on(&CLASS.replace("results: out", "results: out, finished: { count: 100 }"));
    count(&mut story, 1, 0, 0);
    story.dies("a", signal("SIGKILL", 9)).secs(5).launched("a");
    story.comes_up("a").skip();
    let hundred = |done| Counts {
        total: 100,
        ..ten(done, done)
    };
    for second in 0..30 {
        story.secs(1).counted("e", hundred(4 + second));
    }
    let told = without_counts(&mut story);
    let stops: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("intended"))
        .collect();
    assert_snapshot!(stops.join("\n"), @"  29.0s eval-e #1 stop intended: NoProgress");
}

#[test]
fn a_client_beside_its_servers_is_not_held_while_their_node_is_out_of_reach() {
    const BESIDE: &str = "
services:
  a: { node: far, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
evals:
  e: { node: far, command: [client], results: out, requires: [a], limits: { stall: 30m, first_result: 10m } }
";
    let plan = plan_on("far: { gpus: 0, transport: ssh2 }", BESIDE);
    let evals = plan.evals.iter().map(|eval| eval.name.clone()).collect();
    let goal = Goal {
        start_servers: true,
        evals,
    };
    let mut story = Story::with(plan, goal);
    story.begin(&[], &[("e", ten(0, 0))]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let away = Door::Unreached("no answer".to_owned());
    story.secs(5).looked("a", away, None).secs(60);
    let told = story.told();
    assert!(
        told.contains("alarm out-of-reach") && !told.contains("held"),
        "{told}"
    );
}
