//! Open files of a client come close to their limit.

use insta::assert_snapshot;

use super::story::{EVAL, Story, ten};
use crate::base::Millis;
use crate::facts::FilesSeen;
use crate::supervise::Input;

fn of(open: u64, soft: u64, hard: u64) -> FilesSeen {
    FilesSeen {
        pid: 77,
        start: 1,
        open,
        soft,
        hard: Some(hard),
    }
}

fn look(story: &mut Story, seen: FilesSeen) {
    let generation = story.generation("eval-e");
    story.pass(Millis(2_000)).feed(Input::FilesSeen {
        unit: "eval-e".into(),
        generation,
        seen: Some(seen),
    });
}

/// A client that runs, with so many of its ten questions done, and files that grow by five a second.
fn leaking(done: usize, hard: u64) -> Story {
    let mut story = Story::new(
        &EVAL
            .replace("open_files", "")
            .replace("stall:", "open_files: 1000, stall:"),
    );
    story.begin(&[], &[]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e");
    story.secs(1).counted("e", ten(done, 0));
    for looks in 0..10 {
        look(&mut story, of(180 + 10 * looks, 400, hard));
    }
    story.skip();
    story
}

fn raised(story: &mut Story, seen: FilesSeen, result: Result<u64, &str>) {
    let generation = story.generation("eval-e");
    story.feed(Input::FilesRaised {
        unit: "eval-e".into(),
        generation,
        seen,
        result: result.map_err(str::to_owned),
    });
}

#[test]
fn a_limit_is_raised_before_it_is_reached() {
    let mut story = leaking(2, 4096);
    look(&mut story, of(280, 400, 4096));
    raised(&mut story, of(280, 400, 4096), Ok(1000));
    // Not again before that is near, and then beyond what was asked for.
    look(&mut story, of(690, 1000, 4096));
    look(&mut story, of(700, 1000, 4096));
    look(&mut story, of(3000, 4000, 4096));
    assert_snapshot!(told(&mut story), @r"
    23.0s -> raise files of eval-e, process 77, to 1000
    23.0s e has 280 of 400 files open, raised to 1000
    27.0s -> raise files of eval-e, process 77, to 2000
    29.0s -> raise files of eval-e, process 77, to 4096
    ");
}

#[test]
fn what_cannot_be_raised_is_told_once_with_its_forecast() {
    let mut story = leaking(2, 400);
    look(&mut story, of(280, 400, 400));
    look(&mut story, of(290, 400, 400));
    assert_snapshot!(told(&mut story), @"  23.0s alarm open-files: `e` has 280 of 400 files open in process 77, full in 24.0s, and that limit cannot be raised");
    let mut story = leaking(2, 4096);
    look(&mut story, of(280, 400, 4096));
    raised(
        &mut story,
        of(280, 400, 4096),
        Err("Operation not permitted"),
    );
    look(&mut story, of(290, 400, 4096));
    assert_snapshot!(told(&mut story), @r"
    23.0s -> raise files of eval-e, process 77, to 1000
    23.0s alarm open-files: `e` has 280 of 400 files open in process 77, full in 24.0s, and that limit could not be raised: Operation not permitted
    ");
}

#[test]
fn a_client_that_did_some_work_goes_on_afresh_before_its_files_are_full() {
    let mut story = leaking(2, 400);
    look(&mut story, of(361, 400, 400));
    // Late looks say nothing about what is being stopped.
    look(&mut story, of(399, 400, 400));
    story.stopped("eval-e");
    // A count that began before its end says nothing about it.
    story.counted("e", ten(2, 0)).counted("e", ten(3, 0));
    story.prepared("e", ten(3, 0)).client_runs("e");
    assert_snapshot!(told(&mut story), @r"
    23.0s alarm open-files: `e` has 361 of 400 files open in process 77, full in 5.7s, and that limit cannot be raised: it is stopped, and goes on afresh with what is missing
    23.0s eval-e #1 stop intended: OpenFiles
    23.0s -> stop eval-e #1
    25.0s eval-e #1 stopped
    25.0s e 3/10, 0 errors
    25.0s -> prepare e
    25.0s eval-e #2 start intended
    25.0s -> launch eval-e #2
    25.0s eval-e #2 launched
    25.0s eval-e #2 started
    ");
    let state = story.brain.state().unit(&"eval-e".into());
    assert_eq!(state.starts.len(), 1, "nothing failed");
}

#[test]
fn a_client_without_a_result_is_left_at_work() {
    let mut story = leaking(0, 400);
    look(&mut story, of(361, 400, 400));
    look(&mut story, of(399, 400, 400));
    assert_snapshot!(told(&mut story), @"  23.0s alarm open-files: `e` has 361 of 400 files open in process 77, full in 5.7s, and that limit cannot be raised");
}

/// What was said, but for the counting.
fn told(story: &mut Story) -> String {
    let told = story.told();
    let kept = told.lines().filter(|line| !line.ends_with("-> count e"));
    kept.collect::<Vec<_>>().join("\n")
}
