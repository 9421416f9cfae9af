//! A client at work, silent, stalled, hopeless, dead.

use insta::assert_snapshot;

use super::story::{EVAL, End, Story, code, signal, ten};
use crate::base::Generation;
use crate::supervise::{Input, Signs};

/// A story in which the client runs and nothing is finished yet.
fn running() -> Story {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e")
        .skip();
    story
}

/// Counts each second for so long.
fn watch(story: &mut Story, seconds: u64, counts: (usize, usize), signs: impl Fn(u64) -> Signs) {
    for second in 0..seconds {
        story
            .secs(1)
            .counted_with("e", ten(counts.0, counts.1), signs(second));
    }
}

fn silence(_: u64) -> Signs {
    Signs::default()
}

/// What was said, but for the counting.
fn told(story: &mut Story) -> String {
    let told = story.told();
    let kept: Vec<&str> = told
        .lines()
        .filter(|line| !line.ends_with("-> count e"))
        .collect();
    kept.join("\n")
}

#[test]
fn a_client_that_a_signal_ended_is_started_again() {
    let mut story = running();
    story
        .dies("eval-e", signal("SIGKILL", 9))
        .counted("e", ten(0, 0))
        .secs(5);
    story.prepared("e", ten(0, 0));
    assert_snapshot!(story.told(), @r#"
     0ms eval-e #1 exited: code Some(137), signal Some("SIGKILL"), reason None
     0ms -> count e
    5.0s -> prepare e
    5.0s eval-e #2 start intended
    5.0s -> launch eval-e #2
    "#);
}

#[test]
fn a_client_that_ends_before_its_first_result_is_not() {
    let mut story = running();
    story
        .dies("eval-e", code(1))
        .counted("e", ten(0, 0))
        .stopped("a");
    assert_snapshot!(story.told(), @r#"
    0ms eval-e #1 exited: code Some(1), signal None, reason None
    0ms -> count e
    0ms e ended: Incomplete { missing: 10, why: "it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e" }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    0ms a #1 stopped
    0ms run ended 5: e: incomplete, 10 missing: it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e
    0ms -> finish 5: e: incomplete, 10 missing: it ended with exit code 1 before it finished a single question; its log says why: toolorch logs eval-e
    "#);
}

#[test]
fn a_marker_without_a_result_is_a_sign_of_work() {
    let mut story = running();
    let signs = Signs {
        markers: 1,
        log_bytes: 100,
        ..Signs::default()
    };
    story
        .dies("eval-e", code(1))
        .counted_with("e", ten(0, 0), signs)
        .secs(4);
    assert_snapshot!(story.told(), @r"
    0ms eval-e #1 exited: code Some(1), signal None, reason None
    0ms -> count e
    ");
}

#[test]
fn missing_ids_are_run_again_until_the_budget_is_spent() {
    let mut story = running();
    for done in 1..=3 {
        story
            .dies("eval-e", code(0))
            .counted("e", ten(done, 0))
            .secs(45);
        story.prepared("e", ten(done, 0)).client_runs("e");
    }
    story
        .skip()
        .dies("eval-e", code(0))
        .counted("e", ten(4, 0))
        .stopped("a");
    assert_snapshot!(story.told(), @r#"
    2m 15s eval-e #4 exited: code Some(0), signal None, reason None
    2m 15s -> count e
    2m 15s e 4/10, 0 errors
    2m 15s e ended: GaveUp { missing: 6, why: "it ended with exit code 0; the restart budget is spent after 4 starts" }
    2m 15s a #1 stop intended: Done
    2m 15s -> stop a #1
    2m 15s a #1 stopped
    2m 15s run ended 6: e: given up, 6 missing: it ended with exit code 0; the restart budget is spent after 4 starts
    2m 15s -> finish 6: e: given up, 6 missing: it ended with exit code 0; the restart budget is spent after 4 starts
    "#);
}

#[test]
fn an_exit_code_says_nothing_about_complete_results() {
    let mut story = running();
    story
        .dies("eval-e", code(1))
        .counted("e", ten(10, 0))
        .stopped("a");
    assert_snapshot!(story.told(), @r"
    0ms eval-e #1 exited: code Some(1), signal None, reason None
    0ms -> count e
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
fn an_end_is_judged_by_a_count_that_began_after_it() {
    let mut story = running();
    story.secs(1).dies("eval-e", code(0));
    story.counted("e", ten(9, 0)).counted("e", ten(10, 0));
    assert_snapshot!(story.told(), @r"
    1.0s -> count e
    1.0s eval-e #1 exited: code Some(0), signal None, reason None
    1.0s e 9/10, 0 errors
    1.0s -> count e
    1.0s e 10/10, 0 errors
    1.0s e ended: Complete
    1.0s a #1 stop intended: Done
    1.0s -> stop a #1
    ");
}

#[test]
fn first_results_that_are_all_errors_end_it() {
    let mut story = running();
    watch(&mut story, 1, (7, 7), silence);
    watch(&mut story, 1, (8, 8), silence);
    story.stopped("eval-e").counted("e", ten(9, 9)).stopped("a");
    assert_snapshot!(told(&mut story), @r#"
    1.0s e 7/10, 7 errors
    2.0s e 8/10, 8 errors
    2.0s eval-e #1 stop intended: NoProgress
    2.0s -> stop eval-e #1
    2.0s eval-e #1 stopped
    2.0s e 9/10, 9 errors
    2.0s e ended: Incomplete { missing: 1, why: "all its 8 results are errors" }
    2.0s a #1 stop intended: Done
    2.0s -> stop a #1
    2.0s a #1 stopped
    2.0s run ended 5: e: incomplete, 1 missing: all its 8 results are errors
    2.0s -> finish 5: e: incomplete, 1 missing: all its 8 results are errors
    "#);
}

#[test]
fn a_client_that_shows_no_result_in_time_ends_it() {
    let mut story = running();
    let signs = |second| Signs {
        markers: 0,
        log_bytes: second,
        ..Signs::default()
    };
    watch(&mut story, 601, (0, 0), signs);
    story.stopped("eval-e").counted("e", ten(0, 0)).stopped("a");
    assert_snapshot!(told(&mut story), @r#"
    10m 00s eval-e #1 stop intended: NoProgress
    10m 00s -> stop eval-e #1
    10m 01s eval-e #1 stopped
    10m 01s e ended: Incomplete { missing: 10, why: "no result and no marker within 10m 00s of its start" }
    10m 01s a #1 stop intended: Done
    10m 01s -> stop a #1
    10m 01s a #1 stopped
    10m 01s run ended 5: e: incomplete, 10 missing: no result and no marker within 10m 00s of its start
    10m 01s -> finish 5: e: incomplete, 10 missing: no result and no marker within 10m 00s of its start
    "#);
}

#[test]
fn a_client_whose_process_is_never_seen_ends_it_in_bounded_time() {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .launched("eval-e")
        .skip();
    watch(&mut story, 601, (0, 0), silence);
    story.stopped("eval-e").counted("e", ten(0, 0)).stopped("a");
    assert_snapshot!(told(&mut story), @r#"
    10m 00s eval-e #1 stop intended: NoProgress
    10m 00s -> stop eval-e #1
    10m 01s eval-e #1 stopped
    10m 01s e ended: Incomplete { missing: 10, why: "no result and no marker within 10m 00s of its start" }
    10m 01s a #1 stop intended: Done
    10m 01s -> stop a #1
    10m 01s a #1 stopped
    10m 01s run ended 5: e: incomplete, 10 missing: no result and no marker within 10m 00s of its start
    10m 01s -> finish 5: e: incomplete, 10 missing: no result and no marker within 10m 00s of its start
    "#);
}

#[test]
fn a_stalled_client_is_stopped_and_started_again() {
    let mut story = running();
    watch(&mut story, 1, (3, 0), silence);
    watch(&mut story, 1801, (3, 0), silence);
    story
        .stopped("eval-e")
        .counted("e", ten(3, 0))
        .secs(5)
        .prepared("e", ten(3, 0));
    assert_snapshot!(told(&mut story), @r"
       1.0s e 3/10, 0 errors
    30m 01s alarm stalled: `e` has stalled: no result, no output and no token of any server for 30m 00s
    30m 01s eval-e #1 stop intended: NoProgress
    30m 01s -> stop eval-e #1
    30m 02s eval-e #1 stopped
    30m 07s -> prepare e
    30m 07s eval-e #2 start intended
    30m 07s -> launch eval-e #2
    ");
}

#[test]
fn a_death_that_nobody_watched_lowers_it_too() {
    let steps =
        "concurrency: 64, restart: { concurrency: [32] }, command: [client, \"{concurrency}\"]";
    let mut story = Story::new(&EVAL.replace("command: [client]", steps));
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e")
        .counted("e", ten(1, 0));
    let server = story.running("a", true);
    let client = story.ended("eval-e", signal("SIGKILL", 9));
    let goal = story.all();
    story.owner(goal);
    let seen = [("a", server), ("eval-e", client)];
    story.begin(&seen, &[("e", ten(1, 0))]).passes("a").secs(60);
    story.prepared("e", ten(1, 0));
    let told = story.told();
    assert!(
        told.contains("-> launch eval-e #2 with 32 in flight"),
        "{told}"
    );
}

#[test]
fn another_number_in_the_yaml_ends_a_lowering() {
    let steps =
        "concurrency: 64, restart: { concurrency: [32] }, command: [client, \"{concurrency}\"]";
    let yaml = EVAL.replace("command: [client]", steps);
    let launch = |number: &str| {
        let mut story = Story::new(&yaml);
        story
            .begin(&[], &[])
            .comes_up("a")
            .prepared("e", ten(0, 0))
            .client_runs("e")
            .counted("e", ten(1, 0))
            .dies("eval-e", signal("SIGKILL", 9))
            .counted("e", ten(1, 0));
        let servers = story.running("a", true);
        let client = story.ended("eval-e", signal("SIGKILL", 9));
        story.replan(&yaml.replace("concurrency: 64", number));
        let goal = story.all();
        story.owner(goal);
        let seen = [("a", servers), ("eval-e", client)];
        story.begin(&seen, &[("e", ten(1, 0))]).passes("a").secs(60);
        story.prepared("e", ten(1, 0));
        let told = story.told();
        let line = told.lines().rfind(|line| line.contains("-> launch eval-e"));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_snapshot!(launch("concurrency: 64"), @"1m 00s -> launch eval-e #2 with 32 in flight");
    assert_snapshot!(launch("concurrency: 48"), @"1m 00s -> launch eval-e #2");
}

#[test]
fn each_death_or_stall_lowers_what_is_in_flight() {
    let steps =
        "concurrency: 64, restart: { concurrency: [32, 16] }, command: [client, \"{concurrency}\"]";
    let yaml = EVAL.replace("command: [client]", steps);
    let mut story = Story::new(&yaml);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e")
        .skip();
    for (done, wait) in [(1, 5), (2, 15), (3, 45)] {
        story
            .counted("e", ten(done, 0))
            .dies("eval-e", signal("SIGKILL", 9))
            .counted("e", ten(done, 0))
            .secs(wait)
            .prepared("e", ten(done, 0))
            .client_runs("e");
    }
    assert_snapshot!(told(&mut story), @r#"
           0ms e 1/10, 0 errors
           0ms eval-e #1 exited: code Some(137), signal Some("SIGKILL"), reason None
           0ms e slowed to 32
          5.0s -> prepare e
          5.0s eval-e #2 start intended
          5.0s -> launch eval-e #2 with 32 in flight
          5.0s eval-e #2 launched
          5.0s eval-e #2 started
          5.0s e 2/10, 0 errors
          5.0s eval-e #2 exited: code Some(137), signal Some("SIGKILL"), reason None
          5.0s e slowed to 16
         20.0s -> prepare e
         20.0s eval-e #3 start intended
         20.0s -> launch eval-e #3 with 16 in flight
         20.0s eval-e #3 launched
         20.0s eval-e #3 started
         20.0s e 3/10, 0 errors
         20.0s eval-e #3 exited: code Some(137), signal Some("SIGKILL"), reason None
        1m 05s -> prepare e
        1m 05s eval-e #4 start intended
        1m 05s -> launch eval-e #4 with 16 in flight
        1m 05s eval-e #4 launched
        1m 05s eval-e #4 started
        "#);
}

#[test]
fn output_holds_a_stall_off() {
    let mut story = running();
    let signs = |second| Signs {
        markers: 0,
        log_bytes: second / 1000,
        ..Signs::default()
    };
    watch(&mut story, 3600, (3, 0), signs);
    assert_snapshot!(told(&mut story), @"   1.0s e 3/10, 0 errors");
}

#[test]
fn a_client_that_lingers_over_complete_results_is_stopped() {
    let mut story = running();
    let chatter = |second| Signs {
        markers: 10,
        log_bytes: second,
        ..Signs::default()
    };
    watch(&mut story, 70, (10, 0), chatter);
    story
        .stopped("eval-e")
        .counted("e", ten(10, 0))
        .stopped("a");
    assert_snapshot!(told(&mut story), @r"
      1.0s e 10/10, 0 errors
    1m 01s eval-e #1 stop intended: NoProgress
    1m 01s -> stop eval-e #1
    1m 10s eval-e #1 stopped
    1m 10s e ended: Complete
    1m 10s a #1 stop intended: Done
    1m 10s -> stop a #1
    1m 10s a #1 stopped
    1m 10s run ended 0: e: complete
    1m 10s -> finish 0: e: complete
    ");
}

#[test]
fn a_client_that_somebody_stopped_stays_down() {
    let mut story = running();
    let end = End {
        requested: true,
        ..code(143)
    };
    watch(&mut story, 1, (3, 0), silence);
    story.dies("eval-e", end).counted("e", ten(3, 0));
    assert_snapshot!(told(&mut story), @r#"
    1.0s e 3/10, 0 errors
    1.0s eval-e #1 exited: code Some(143), signal None, reason None
    1.0s e ended: Incomplete { missing: 7, why: "somebody stopped it; run `toolorch up` again to start it" }
    1.0s a #1 stop intended: Done
    1.0s -> stop a #1
    "#);
}

#[test]
fn refusals_of_the_client_s_script() {
    let mut said = String::new();
    for number in [64, 69, 75, 78] {
        let mut story = Story::new(EVAL);
        story
            .begin(&[], &[])
            .comes_up("a")
            .prepared("e", ten(0, 0))
            .launched("eval-e")
            .skip();
        let end = End {
            reason: Some("why"),
            ..code(number)
        };
        story.dies("eval-e", end).counted("e", ten(0, 0)).secs(4);
        said.push_str(&story.told());
    }
    assert_snapshot!(said, @r#"
    0ms eval-e #1 exited: code Some(64), signal None, reason Some("why")
    0ms -> count e
    0ms e ended: Incomplete { missing: 10, why: "why" }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    0ms eval-e #1 exited: code Some(69), signal None, reason Some("why")
    0ms -> count e
    0ms eval-e #1 exited: code Some(75), signal None, reason Some("why")
    0ms -> count e
    0ms eval-e #1 exited: code Some(78), signal None, reason Some("why")
    0ms -> count e
    0ms e ended: Incomplete { missing: 10, why: "why" }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    "#);
}

#[test]
fn a_client_that_cannot_be_launched_spends_the_budget() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a").skip();
    for generation in 1..=4 {
        story.prepared("e", ten(0, 0));
        let why = "`tmux` did not end within 30s".to_owned();
        story.launch_done("eval-e", Generation(generation), Err(why));
        story
            .secs(10)
            .counted("e", ten(0, 0))
            .stopped("eval-e")
            .counted("e", ten(0, 0))
            .secs(45);
    }
    assert_snapshot!(told(&mut story), @r#"
       0ms e 0/10, 0 errors
       0ms eval-e #1 start intended
       0ms -> launch eval-e #1
       0ms eval-e #1 launch failed: `tmux` did not end within 30s
       0ms eval-e #1 stop intended: Remnants
     10.0s -> stop eval-e #1
     10.0s eval-e #1 stopped
     15.0s -> prepare e
     55.0s eval-e #2 start intended
     55.0s -> launch eval-e #2
     55.0s eval-e #2 launch failed: `tmux` did not end within 30s
     55.0s eval-e #2 stop intended: Remnants
    1m 05s -> stop eval-e #2
    1m 05s eval-e #2 stopped
    1m 20s -> prepare e
    1m 50s eval-e #3 start intended
    1m 50s -> launch eval-e #3
    1m 50s eval-e #3 launch failed: `tmux` did not end within 30s
    1m 50s eval-e #3 stop intended: Remnants
    2m 00s -> stop eval-e #3
    2m 00s eval-e #3 stopped
    2m 45s -> prepare e
    2m 45s eval-e #4 start intended
    2m 45s -> launch eval-e #4
    2m 45s eval-e #4 launch failed: `tmux` did not end within 30s
    2m 45s eval-e #4 stop intended: Remnants
    2m 55s -> stop eval-e #4
    2m 55s eval-e #4 stopped
    2m 55s e ended: GaveUp { missing: 10, why: "`tmux` did not end within 30s; the restart budget is spent after 4 starts" }
    2m 55s a #1 stop intended: Done
    2m 55s -> stop a #1
    "#);
}

#[test]
fn a_client_that_was_lost_is_swept_before_its_results_are_judged() {
    let mut story = running();
    let lost = story.lost("eval-e");
    story.secs(1).see("eval-e", lost).counted("e", ten(2, 0));
    story.stopped("eval-e").counted("e", ten(2, 0)).secs(5);
    assert_snapshot!(told(&mut story), @r#"
    1.0s eval-e #1 exited: code None, signal None, reason Some("its process is gone and nothing recorded how")
    1.0s eval-e #1 stop intended: Remnants
    1.0s -> stop eval-e #1
    1.0s e 2/10, 0 errors
    1.0s eval-e #1 stopped
    6.0s -> prepare e
    "#);
}

#[test]
fn a_client_that_cannot_be_stopped_is_given_up() {
    let mut story = running();
    watch(&mut story, 1, (8, 8), silence);
    for _ in 0..3 {
        story
            .stop_done("eval-e", Err("pid 40 does not end"))
            .secs(5);
    }
    // The run is over; the servers go, and one more stop of the client is tried.
    story.stopped("a");
    for _ in 0..3 {
        story
            .stop_done("eval-e", Err("pid 40 does not end"))
            .secs(5);
    }
    assert_snapshot!(told(&mut story), @r#"
     1.0s e 8/10, 8 errors
     1.0s eval-e #1 stop intended: NoProgress
     1.0s -> stop eval-e #1
     1.0s alarm stop-failed: `eval-e` could not be stopped: pid 40 does not end
     6.0s -> stop eval-e #1
    11.0s -> stop eval-e #1
    11.0s e ended: GaveUp { missing: 2, why: "its client could not be stopped: pid 40 does not end" }
    11.0s a #1 stop intended: Done
    11.0s -> stop a #1
    11.0s eval-e #1 stop intended: Done
    11.0s -> stop eval-e #1
    16.0s a #1 stopped
    16.0s alarm stop-failed: `eval-e` could not be stopped: pid 40 does not end
    21.0s -> stop eval-e #1
    26.0s -> stop eval-e #1
    26.0s owner left: e: given up, 2 missing: its client could not be stopped: pid 40 does not end; could not be stopped: eval-e
    26.0s -> finish 3: e: given up, 2 missing: its client could not be stopped: pid 40 does not end; could not be stopped: eval-e (kept)
    "#);
}

#[test]
fn results_that_cannot_be_read_change_no_count() {
    let mut story = running();
    watch(&mut story, 1, (5, 0), silence);
    let unreadable = || Input::Counted {
        eval: "e".into(),
        counts: Err("stale file handle".to_owned()),
        signs: Signs::default(),
    };
    story.secs(1).feed(unreadable()).secs(1).feed(unreadable());
    story.secs(1).counted("e", ten(6, 0));
    story.dies("eval-e", code(0)).feed(unreadable());
    story
        .secs(1)
        .feed(unreadable())
        .secs(1)
        .counted("e", ten(10, 0));
    assert_snapshot!(told(&mut story), @r"
    1.0s e 5/10, 0 errors
    2.0s alarm results-unreadable: the results of `e` cannot be read: stale file handle
    4.0s e 6/10, 0 errors
    4.0s eval-e #1 exited: code Some(0), signal None, reason None
    4.0s alarm results-unreadable: the results of `e` cannot be read: stale file handle
    6.0s e 10/10, 0 errors
    6.0s e ended: Complete
    6.0s a #1 stop intended: Done
    6.0s -> stop a #1
    ");
}

#[test]
fn results_that_stay_unreadable_are_not_taken_for_complete() {
    let mut story = running();
    watch(&mut story, 1, (5, 0), silence);
    story.dies("eval-e", code(0));
    for _ in 0..40 {
        story.feed(Input::Counted {
            eval: "e".into(),
            counts: Err("stale file handle".to_owned()),
            signs: Signs::default(),
        });
        story.secs(1);
    }
    assert_snapshot!(told(&mut story), @r#"
     1.0s e 5/10, 0 errors
     1.0s eval-e #1 exited: code Some(0), signal None, reason None
     1.0s alarm results-unreadable: the results of `e` cannot be read: stale file handle
    31.0s e ended: Incomplete { missing: 5, why: "its results cannot be read: stale file handle" }
    31.0s a #1 stop intended: Done
    31.0s -> stop a #1
    "#);
}
