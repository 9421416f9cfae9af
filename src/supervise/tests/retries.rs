//! Results in error: asked again once, and back where they were if that brings nothing.

use insta::assert_snapshot;

use super::story::{EVAL, Story, code, signal, ten};
use crate::supervise::{Counts, Input};

/// All ten done, so many in error, of which the rule asks so many again.
fn errors(errors: usize, due: usize) -> Counts {
    Counts {
        due,
        ..ten(10, errors)
    }
}

/// So many done beside so many that wait for a newer result.
fn asked(done: usize, errors: usize, waiting: usize) -> Counts {
    Counts {
        waiting,
        ..ten(done, errors)
    }
}

fn brought_back(story: &mut Story, counts: Counts) {
    story.feed(Input::BroughtBack {
        eval: "e".into(),
        result: Ok(counts),
    });
}

/// The client of a first attempt has ended, and three of its results are in error.
fn ended() -> Story {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    story.dies("eval-e", code(0)).counted("e", errors(3, 2));
    story
}

#[test]
fn errors_are_asked_again_once_when_nothing_else_is_left() {
    let mut story = ended();
    story.prepared("e", asked(8, 1, 2)).client_runs("e");
    story.secs(1).counted("e", asked(9, 1, 2));
    story.dies("eval-e", code(0)).counted(
        "e",
        Counts {
            due: 1,
            ..asked(10, 2, 2)
        },
    );
    brought_back(&mut story, errors(2, 1));
    story.stopped("a");
    assert_snapshot!(story.told(), @r#"
     0ms eval-e #1 exited: code Some(0), signal None, reason None
     0ms -> count e
     0ms e 10/10, 3 errors
     0ms e retry of 2 intended
     0ms -> prepare e and its errors
     0ms e 8/10, 1 errors
     0ms eval-e #2 start intended
     0ms -> launch eval-e #2
     0ms eval-e #2 launched
     0ms eval-e #2 started
    1.0s -> count e
    1.0s e 9/10, 1 errors
    1.0s eval-e #2 exited: code Some(0), signal None, reason None
    1.0s -> count e
    1.0s e 10/10, 2 errors
    1.0s -> bring back e
    1.0s e ended: Incomplete { missing: 0, why: "2 results are in error" }
    1.0s a #1 stop intended: Done
    1.0s -> stop a #1
    1.0s a #1 stopped
    1.0s run ended 5: e: incomplete: 2 results are in error
    1.0s -> finish 5: e: incomplete: 2 results are in error
    "#);
}

#[test]
fn a_retry_without_an_answer_changes_nothing() {
    let mut story = ended();
    story.prepared("e", asked(8, 1, 2)).client_runs("e").skip();
    story.dies("eval-e", code(1)).counted("e", asked(8, 1, 2));
    brought_back(&mut story, errors(3, 2));
    assert_snapshot!(story.told(), @r#"
    0ms eval-e #2 exited: code Some(1), signal None, reason None
    0ms -> count e
    0ms -> bring back e
    0ms e 10/10, 3 errors
    0ms e ended: Incomplete { missing: 0, why: "3 results are in error" }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    "#);
}

#[test]
fn a_retry_has_a_budget_of_its_own() {
    let mut story =
        Story::new(&EVAL.replace("requires: [a]", "requires: [a], restart: { attempts: 0 }"));
    story.begin(&[], &[]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e");
    story.dies("eval-e", code(0)).counted("e", errors(3, 3));
    story.prepared("e", asked(7, 0, 3)).client_runs("e").skip();
    story
        .dies("eval-e", signal("SIGKILL", 9))
        .counted("e", asked(8, 0, 3));
    brought_back(&mut story, errors(2, 2));
    assert_snapshot!(story.told(), @r#"
    0ms eval-e #2 exited: code Some(137), signal Some("SIGKILL"), reason None
    0ms -> count e
    0ms e 8/10, 0 errors
    0ms -> bring back e
    0ms e 10/10, 2 errors
    0ms e ended: Incomplete { missing: 0, why: "2 results are in error" }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    "#);
}

#[test]
fn a_controller_that_ends_in_the_midst_leaves_one_retry() {
    // Before anything was set aside, and after some of it was.
    for (there, prepared) in [
        (errors(3, 2), "its errors"),
        (
            Counts {
                due: 1,
                ..asked(9, 2, 1)
            },
            "its errors",
        ),
    ] {
        let mut story = ended();
        let goal = story.all();
        story.owner(goal);
        let server = story.running("a", true);
        story
            .skip()
            .begin(&[("a", server)], &[("e", there)])
            .passes("a");
        let told = story.told();
        assert!(told.contains(prepared), "{told}");
    }
    // Once its client was started, errors stay what they are.
    let mut story = ended();
    story.prepared("e", asked(8, 1, 2)).client_runs("e");
    let goal = story.all();
    story.owner(goal);
    let server = story.running("a", true);
    let client = story.ended("eval-e", code(0));
    let there = Counts {
        due: 1,
        ..asked(10, 2, 2)
    };
    story.skip();
    story.begin(&[("a", server), ("eval-e", client)], &[("e", there)]);
    brought_back(&mut story, errors(2, 1));
    assert_snapshot!(story.told(), @r#"
    0ms e 10/10, 2 errors
    0ms -> watch a
    0ms a #1 adopted
    0ms a #1 climbed listening
    0ms eval-e #2 exited: code Some(0), signal None, reason None
    0ms -> bring back e
    0ms -> probe a #1 rung 1
    0ms e ended: Incomplete { missing: 0, why: "2 results are in error" }
    0ms a #1 stop intended: Done
    0ms -> stop a #1
    "#);
}

#[test]
fn without_servers_errors_stay() {
    let mut story = Story::new(EVAL);
    let evals = story.all().evals;
    story.owner(crate::supervise::Goal {
        start_servers: false,
        evals,
    });
    story.begin(&[], &[("e", errors(3, 2))]);
    assert_snapshot!(story.told(), @r#"
    0ms e 10/10, 3 errors
    0ms alarm no-retry: results of `e` in error are not asked again: `a` has 0 of the 1 servers that must be ready
    0ms e ended: Incomplete { missing: 0, why: "3 results are in error" }
    0ms run ended 5: e: incomplete: 3 results are in error
    0ms -> finish 5: e: incomplete: 3 results are in error
    "#);
}
