//! What a new controller makes of what it finds.

use insta::assert_snapshot;

use super::story::{EVAL, End, Story, code, failed, ten, unknown};
use crate::base::{Generation, LaunchId};
use crate::facts::Observation;

/// `a` is ready, then the controller is killed and another comes.
fn killed(story: &mut Story) -> &mut Story {
    let goal = story.all();
    story.owner(goal);
    story.skip()
}

fn ready() -> Story {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a");
    killed(&mut story);
    story
}

/// The same unit, of another start.
fn of(seen: Observation, generation: u64, launch: &str) -> Observation {
    let (generation, launch) = (Generation(generation), LaunchId::new(launch));
    match seen {
        Observation::Running(mut running) => {
            running.generation = generation;
            running.launch = launch;
            Observation::Running(running)
        }
        Observation::Exited(mut exit) => {
            exit.generation = generation;
            exit.launch = launch;
            Observation::Exited(exit)
        }
        Observation::Lost { .. } => Observation::Lost { generation, launch },
        other => other,
    }
}

#[test]
fn what_runs_is_taken_over_and_proved_again() {
    let mut story = ready();
    let running = story.running("a", true);
    story.begin(&[("a", running)], &[]).passes("a");
    assert_snapshot!(story.told(), @r"
    0ms -> watch a
    0ms a #1 adopted
    0ms a #1 climbed listening
    0ms -> probe a #1 rung 1
    0ms a #1 climbed health
    0ms a #1 ready after 0ms
    0ms -> prepare e
    ");
}

#[test]
fn a_running_client_is_taken_over() {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e");
    killed(&mut story);
    let (a, e) = (story.running("a", true), story.running("eval-e", false));
    story.begin(&[("a", a), ("eval-e", e)], &[("e", ten(4, 0))]);
    story
        .secs(1)
        .counted("e", ten(10, 0))
        .dies("eval-e", code(0))
        .counted("e", ten(10, 0))
        .stopped("a");
    assert_snapshot!(story.told(), @r"
     0ms e 4/10, 0 errors
     0ms -> watch a
     0ms a #1 adopted
     0ms a #1 climbed listening
     0ms -> watch eval-e
     0ms eval-e #1 adopted
     0ms -> probe a #1 rung 1
    1.0s -> count e
    1.0s e 10/10, 0 errors
    1.0s eval-e #1 exited: code Some(0), signal None, reason None
    1.0s -> count e
    1.0s e ended: Complete
    1.0s a #1 stop intended: Done
    1.0s -> stop a #1
    1.0s a #1 stopped
    1.0s run ended 0: e: complete
    1.0s -> finish 0: e: complete
    ");
}

#[test]
fn a_client_that_ended_unwatched_is_started_again() {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e");
    killed(&mut story);
    let (a, e) = (story.running("a", true), story.ended("eval-e", code(1)));
    story
        .begin(&[("a", a), ("eval-e", e)], &[("e", ten(4, 0))])
        .passes("a")
        .prepared("e", ten(4, 0));
    assert_snapshot!(story.told(), @r"
    0ms e 4/10, 0 errors
    0ms -> watch a
    0ms a #1 adopted
    0ms a #1 climbed listening
    0ms eval-e #1 exited: code Some(1), signal None, reason None
    0ms -> probe a #1 rung 1
    0ms a #1 climbed health
    0ms a #1 ready after 0ms
    0ms -> prepare e
    0ms eval-e #2 start intended
    0ms -> launch eval-e #2
    ");
}

#[test]
fn a_start_that_the_journal_does_not_know_is_left_alone() {
    let mut story = ready();
    let stranger = of(story.running("a", true), 2, "stranger");
    story.begin(&[("a", stranger)], &[]).secs(3600);
    assert_snapshot!(story.told(), @r#"
    0ms alarm unknown-start: `a` runs as pid 40 and the journal does not know that start: it is left alone
    0ms e ended: NotStarted { why: "`a` has 0 of the 1 servers that must be ready", code: 4 }
    0ms owner left: e: not started: `a` has 0 of the 1 servers that must be ready
    0ms -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready (kept)
    "#);
}

#[test]
fn an_older_start_that_lives_on_beside_an_intended_one_is_left_alone() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a");
    let older = story.running("a", true);
    story.dies("a", code(1)).secs(5);
    killed(&mut story);
    story.begin(&[("a", older)], &[]).secs(3600);
    assert_snapshot!(story.told(), @r#"
    5.0s alarm unknown-start: `a` runs as pid 40 and the journal does not know that start: it is left alone
    5.0s e ended: NotStarted { why: "`a` has 0 of the 1 servers that must be ready", code: 4 }
    5.0s owner left: e: not started: `a` has 0 of the 1 servers that must be ready
    5.0s -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready (kept)
    "#);
}

#[test]
fn what_ended_unwatched_is_started_again_at_once() {
    let mut story = ready();
    let ended = story.ended("a", code(1));
    story.begin(&[("a", ended)], &[]);
    assert_snapshot!(story.told(), @r"
    0ms a #1 exited: code Some(1), signal None, reason None
    0ms a #2 start intended
    0ms -> launch a #2
    ");
}

#[test]
fn the_end_of_an_older_start_says_nothing_about_the_one_intended_since() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a");
    let older = story.ended("a", code(1));
    story.see("a", older.clone()).secs(5);
    killed(&mut story).secs(60);
    story.begin(&[("a", older)], &[]);
    assert_snapshot!(story.told(), @r"
    1m 05s a #2 launch failed: the controller ended before it was started
    1m 05s a #3 start intended
    1m 05s -> launch a #3
    ");
}

#[test]
fn what_is_left_of_a_lost_start_goes_first() {
    let mut story = ready();
    let lost = story.lost("a");
    story.begin(&[("a", lost)], &[]).secs(2).stopped("a");
    assert_snapshot!(story.told(), @r#"
     0ms a #1 exited: code None, signal None, reason Some("its process is gone and nothing recorded how")
     0ms a #1 stop intended: Remnants
     0ms -> stop a #1
    2.0s a #1 stopped
    2.0s a #2 start intended
    2.0s -> launch a #2
    "#);
}

#[test]
fn what_is_left_goes_first_even_if_the_journal_has_its_end() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a");
    let lost = story.lost("a");
    story.see("a", lost.clone()).stopped("a");
    killed(&mut story);
    story.begin(&[("a", lost)], &[]).secs(2).stopped("a");
    assert_snapshot!(story.told(), @r"
     0ms a #1 stop intended: Remnants
     0ms -> stop a #1
    2.0s a #1 stopped
    2.0s a #2 start intended
    2.0s -> launch a #2
    ");
}

#[test]
fn an_intent_without_an_act_is_acted_on() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]);
    killed(&mut story).secs(60).begin(&[], &[]);
    assert_snapshot!(story.told(), @r"
    1m 00s a #1 launch failed: the controller ended before it was started
    1m 00s a #2 start intended
    1m 00s -> launch a #2
    ");
}

#[test]
fn an_act_of_a_moment_ago_is_given_time_to_show() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]);
    killed(&mut story).secs(2).begin(&[], &[]);
    let running = story.running("a", true);
    story.secs(1).see("a", running);
    assert_snapshot!(story.told(), @r"
    2.0s -> watch a
    2.0s a #1 start awaited for 8.0s
    3.0s -> watch a
    3.0s a #1 adopted
    3.0s a #1 climbed listening
    3.0s -> probe a #1 rung 1
    ");
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]);
    killed(&mut story).secs(2).begin(&[], &[]).secs(3);
    // It is looked at many times a second.
    let nothing = || Observation::Never;
    story.see("a", nothing()).see("a", nothing()).secs(6);
    assert_snapshot!(story.told(), @r"
     2.0s -> watch a
     2.0s a #1 start awaited for 8.0s
    10.0s a #1 launch failed: the controller ended before it was started
    10.0s a #2 start intended
    10.0s -> launch a #2
    ");
}

#[test]
fn a_unit_whose_traces_are_gone_is_swept_first() {
    let mut story = ready();
    story.begin(&[], &[]).stopped("a");
    assert_snapshot!(story.told(), @r#"
    0ms a #1 exited: code None, signal None, reason Some("its process is gone and nothing recorded how")
    0ms a #1 stop intended: Remnants
    0ms -> stop a #1
    0ms a #1 stopped
    0ms a #2 start intended
    0ms -> launch a #2
    "#);
}

#[test]
fn an_unfinished_stop_is_finished_and_the_unit_started() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).launched("a");
    let running = story.running("a", true);
    story
        .see("a", running.clone())
        .probed("a", 1, failed("another model", true));
    killed(&mut story);
    story.begin(&[("a", running)], &[]).secs(1).stopped("a");
    assert_snapshot!(story.told(), @r"
     0ms -> watch a
     0ms a #1 stop intended: Remnants
     0ms -> stop a #1
    1.0s a #1 stopped
    1.0s a #2 start intended
    1.0s -> launch a #2
    ");
}

#[test]
fn a_stop_that_was_finished_unwatched_is_noted() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).launched("a");
    let running = story.running("a", true);
    story
        .see("a", running)
        .probed("a", 1, failed("another model", true));
    killed(&mut story);
    let end = End {
        requested: true,
        ..code(143)
    };
    let ended = story.ended("a", end);
    story.begin(&[("a", ended)], &[]);
    assert_snapshot!(story.told(), @r"
    0ms a #1 stopped
    0ms a #2 start intended
    0ms -> launch a #2
    ");
}

#[test]
fn what_cannot_be_looked_at_is_not_dead() {
    let mut story = ready();
    story
        .begin(&[("a", unknown())], &[])
        .secs(300)
        .see("a", unknown());
    let running = story.running("a", true);
    story.see("a", running).passes("a");
    assert_snapshot!(story.told(), @r"
       0ms -> watch a
    5m 00s -> watch a
    5m 00s a #1 adopted
    5m 00s a #1 climbed listening
    5m 00s -> probe a #1 rung 1
    5m 00s a #1 climbed health
    5m 00s a #1 ready after 0ms
    5m 00s -> prepare e
    ");
}

#[test]
fn what_could_not_be_looked_at_and_then_proves_dead_is_started() {
    let mut story = ready();
    story.begin(&[("a", unknown())], &[]).secs(300);
    let ended = story.ended("a", code(1));
    story.see("a", ended);
    assert_snapshot!(story.told(), @r"
       0ms -> watch a
    5m 00s a #1 exited: code Some(1), signal None, reason None
    5m 00s a #2 start intended
    5m 00s -> launch a #2
    ");
}

#[test]
fn what_can_never_be_looked_at_is_neither_started_nor_waited_for_without_end() {
    let mut story = ready();
    story.begin(&[("a", unknown())], &[]).secs(3600);
    assert_snapshot!(story.told(), @r#"
        0ms -> watch a
    10m 00s alarm unseen: `a` cannot be looked at: no route; it is neither started nor stopped
    10m 00s e ended: NotStarted { why: "`a` has 0 of the 1 servers that must be ready", code: 4 }
    10m 00s owner left: e: not started: `a` has 0 of the 1 servers that must be ready
    10m 00s -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready (kept)
    "#);
}

#[test]
fn a_client_that_cannot_be_looked_at_is_not_started_twice() {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e");
    killed(&mut story);
    let a = story.running("a", true);
    story
        .begin(&[("a", a), ("eval-e", unknown())], &[])
        .passes("a")
        .secs(3600);
    assert_snapshot!(story.told(), @r#"
        0ms -> watch a
        0ms a #1 adopted
        0ms a #1 climbed listening
        0ms -> watch eval-e
        0ms -> probe a #1 rung 1
        0ms a #1 climbed health
        0ms a #1 ready after 0ms
    10m 00s alarm unseen: `eval-e` cannot be looked at: no route; it is neither started nor stopped
    10m 00s e ended: NotStarted { why: "its client may be running and cannot be looked at: no route", code: 3 }
    10m 00s owner left: e: not started: its client may be running and cannot be looked at: no route
    10m 00s -> finish 3: e: not started: its client may be running and cannot be looked at: no route (kept)
    "#);
}

#[test]
fn a_new_owner_tries_again_what_was_given_up() {
    let mut story = Story::new(EVAL);
    let end = End {
        reason: Some("`KEY` has no value"),
        ..code(78)
    };
    story.begin(&[], &[]).launched("a").dies("a", end);
    killed(&mut story);
    let ended = story.ended("a", end);
    story.begin(&[("a", ended)], &[]);
    assert_snapshot!(story.told(), @r"
    0ms a #2 start intended
    0ms -> launch a #2
    ");
}
