//! What a client's log and results tell beside their numbers.

use insta::assert_snapshot;

use super::story::{EVAL, Story, code, ten};
use crate::base::{Millis, Timestamp};
use crate::eval::LongCalls;
use crate::facts::Degraded;
use crate::supervise::{Counts, Signs};

/// A client of four questions at once that runs.
fn running() -> Story {
    let mut story = Story::new(&EVAL.replace("requires: [a]", "requires: [a], concurrency: 4"));
    story.begin(&[], &[]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    story
}

/// A minute passes, counted every second.
fn minute(story: &mut Story, counts: Counts, signs: impl Fn(Timestamp) -> Signs) {
    for second in 0..60 {
        story.pass(Millis(1_000));
        let signs = Signs {
            log_bytes: story.now.0 + second,
            ..signs(story.now)
        };
        story.counted_with("e", counts, signs);
    }
}

fn told(story: &mut Story) -> String {
    let told = story.told();
    let kept = told.lines().filter(|line| !line.ends_with("-> count e"));
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn workers_that_wait_for_one_server_are_an_alarm() {
    let mut story = running();
    let since = story.now;
    let long = |calls| {
        move |_| Signs {
            open_calls: 4,
            long_calls: Some(LongCalls {
                endpoint: "127.0.0.1:9001".to_owned(),
                calls,
                since,
            }),
            ..Signs::default()
        }
    };
    // One of four is a straggler, two are half of them.
    minute(&mut story, ten(2, 0), long(1));
    minute(&mut story, ten(2, 0), long(2));
    minute(&mut story, ten(3, 0), |_| Signs::default());
    minute(&mut story, ten(3, 0), long(2));
    assert_snapshot!(told(&mut story), @r#"
      1.0s e 2/10, 0 errors
      1.0s e waits since 0ms for Some("a"), 1 calls, [] left
    1m 01s e waits since 0ms for Some("a"), 2 calls, [] left
    1m 01s alarm starvation: `e` starves: 2 of its 4 questions in flight wait for `a`, the oldest for 1m 01s
    2m 01s e 3/10, 0 errors
    2m 01s e goes on
    3m 01s e waits since 0ms for Some("a"), 2 calls, [] left
    3m 01s alarm starvation: `e` starves: 2 of its 4 questions in flight wait for `a`, the oldest for 3m 01s
    "#);
}

#[test]
fn the_last_questions_are_named_when_they_take_long() {
    let mut story = running();
    let left = |_| Signs {
        left: vec!["q-7".to_owned()],
        ..Signs::default()
    };
    for _ in 0..7 {
        minute(&mut story, ten(9, 0), left);
    }
    story.counted("e", ten(10, 0));
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    assert_snapshot!(told(&mut story), @r#"
      1.0s e 9/10, 0 errors
    5m 01s e waits since 1.0s for None, 0 calls, ["q-7"] left
    7m 00s e 10/10, 0 errors
    7m 00s e goes on
    7m 00s eval-e #1 exited: code Some(0), signal None, reason None
    7m 00s e ended: Complete
    7m 00s a #1 stop intended: Done
    7m 00s -> stop a #1
    "#);
}

#[test]
fn what_is_worse_than_it_looks_is_told_and_counted() {
    let mut story = running();
    let log = |failed, names: &'static [&'static str]| {
        move |_| Signs {
            degraded: Degraded {
                retrieval_failed: failed,
                elsewhere: names.iter().map(|name| ((*name).to_owned(), 1)).collect(),
            },
            ..Signs::default()
        }
    };
    minute(&mut story, ten(2, 0), log(1, &[]));
    minute(&mut story, ten(3, 0), log(6, &["Nebius"]));
    story.counted_with("e", ten(3, 0), log(7, &["Nebius"])(story.now));
    story.dies("eval-e", code(1));
    story.counted_with("e", ten(3, 0), log(8, &["Nebius"])(story.now));
    assert_snapshot!(told(&mut story), @r#"
      1.0s e 2/10, 0 errors
      1.0s e: Degraded { retrieval_failed: 1, elsewhere: {} }
      1.0s alarm retrieval-failed: a search of `e` went on without results: retrieval did not answer, and its result does not say so
    1m 01s e 3/10, 0 errors
    1m 01s e: Degraded { retrieval_failed: 6, elsewhere: {"Nebius": 1} }
    1m 01s alarm retrieval-failing: 6 searches of `e` went on without results while it finished 3 questions
    1m 01s alarm fallback: the log of `e` tells of calls to Nebius, which the YAML does not declare: what comes from there is no answer of this cluster
    2m 00s e: Degraded { retrieval_failed: 7, elsewhere: {"Nebius": 1} }
    2m 00s eval-e #1 exited: code Some(1), signal None, reason None
    2m 00s e: Degraded { retrieval_failed: 8, elsewhere: {"Nebius": 1} }
    "#);
    let known = story.brain.state().evals["e"].degraded();
    assert_eq!((known.retrieval_failed, known.lines()), (8, 9));
}

#[test]
fn results_without_text_or_tools_are_told() {
    let mut story = running();
    let counts = |toolless, null_contents| Counts {
        null_contents,
        toolless,
        ..ten(9, null_contents)
    };
    minute(&mut story, counts(4, 4), |_| Signs::default());
    minute(&mut story, counts(5, 3), |_| Signs::default());
    minute(&mut story, counts(2, 5), |_| Signs::default());
    assert_snapshot!(told(&mut story), @r"
      1.0s e 9/10, 4 errors
    1m 01s e 9/10, 3 errors
    1m 01s alarm no-tool-call: in 5 of 9 results of `e` no tool was called, and they count as answered: does the orchestrator's tool parser fit?
    2m 01s e 9/10, 5 errors
    2m 01s alarm null-content: 5 of 9 results of `e` are errors because an answer had no text: does its reasoning parser take all of it?
    ");
}

#[test]
fn a_client_that_calls_no_tool_is_stopped_early() {
    let mut story = running();
    let counts = Counts {
        toolless: 7,
        ..ten(8, 1)
    };
    story.secs(1).counted("e", counts);
    story.stopped("eval-e").counted("e", counts);
    assert_snapshot!(told(&mut story), @r#"
    1.0s e 8/10, 1 errors
    1.0s alarm no-tool-call: in 7 of 8 results of `e` no tool was called, and they count as answered: does the orchestrator's tool parser fit?
    1.0s eval-e #1 stop intended: NoProgress
    1.0s -> stop eval-e #1
    1.0s eval-e #1 stopped
    1.0s e ended: Incomplete { missing: 2, why: "in none of its 8 results a tool was called, or they are errors: is the orchestrator's name a path where the client runs, and does its tool parser fit?" }
    1.0s a #1 stop intended: Done
    1.0s -> stop a #1
    "#);
}

#[test]
fn errors_in_an_outage_say_nothing_about_the_rest() {
    let mut story = running();
    story.dies("a", code(1)).secs(1).counted("e", ten(8, 8));
    let before = told(&mut story);
    assert!(!before.contains("stop intended"), "{before}");
    story.secs(5).comes_up("a").counted("e", ten(9, 9));
    let after = told(&mut story);
    assert!(!after.contains("eval-e #1 stop intended"), "{after}");
}
