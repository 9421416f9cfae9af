//! Servers that somebody asked to stop, and to start no more.

use insta::assert_snapshot;

use super::story::{EVAL, Story, code, ten};
use crate::supervise::Input;

/// Two servers of a model, one of which an evaluation needs.
const TWO: &str = "
models:
  m: { engine: command, command: [serve], model: org/m, node: n, replicas: 2, port: 9100 }
evals:
  e: { command: [client], results: out, requires: [m], limits: { stall: 300m, first_result: 300m } }
";

fn drain(story: &mut Story, unit: &str) {
    let units = vec![unit.into()];
    story.feed(Input::Drain { units });
}

fn undrain(story: &mut Story, unit: &str) {
    let units = vec![unit.into()];
    story.feed(Input::Undrain { units });
}

#[test]
fn a_drained_server_is_stopped_and_stays_so_until_it_is_asked_back() {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e")
        .skip();
    drain(&mut story, "a");
    drain(&mut story, "a");
    story.secs(5).stopped("a").secs(500);
    assert_snapshot!(story.told(), @r"
     0ms a drained
     0ms a #1 stop intended: Drained
     0ms -> stop a #1
    1.0s -> count e
    5.0s a #1 stopped
    5.0s alarm held: `e` is held: `a` has no server that is ready; it goes on when one is undrained: toolorch drain --undo a
    5.0s e held: `a` has no server that is ready
    5.0s eval-e #1 stop intended: Held
    5.0s -> stop eval-e #1
    ");
    undrain(&mut story, "a");
    undrain(&mut story, "a");
    assert_snapshot!(story.told(), @r"
    8m 25s a undrained
    8m 25s a #2 start intended
    8m 25s -> launch a #2
    ");
}

#[test]
fn an_evaluation_waits_for_a_drained_server_and_gives_nothing_up() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]);
    drain(&mut story, "a");
    story.launched("a").secs(30).stopped("a").secs(3600).skip();
    undrain(&mut story, "a");
    story.comes_up("a");
    assert_snapshot!(story.told(), @r"
        1h 00m a undrained
        1h 00m a #2 start intended
        1h 00m -> launch a #2
        1h 00m a #2 launched
        1h 00m a #2 started
        1h 00m a #2 climbed listening
        1h 00m -> probe a #2 rung 1
        1h 00m a #2 climbed health
        1h 00m a #2 ready after 0ms
        1h 00m -> prepare e
        ");
}

#[test]
fn what_was_to_be_started_again_is_not() {
    let mut story = Story::new(TWO);
    story.begin(&[], &[]).comes_up("m-0").comes_up("m-1");
    story.dies("m-1", code(1)).skip();
    drain(&mut story, "m-1");
    story.secs(3600);
    assert_snapshot!(story.told(), @"    0ms m-1 drained");
}

#[test]
fn the_next_owner_stops_what_was_drained_and_starts_it_no_more() {
    let mut story = Story::new(TWO);
    story.begin(&[], &[]).comes_up("m-0").comes_up("m-1");
    drain(&mut story, "m-1");
    // Stopped by a controller that was killed; then somebody started it by hand, under the same launch.
    let (m0, m1) = (story.running("m-0", true), story.running("m-1", true));
    story.stopped("m-1");
    let goal = story.all();
    story.owner(goal);
    story.skip().begin(&[("m-0", m0), ("m-1", m1)], &[]);
    story.secs(5).stopped("m-1").secs(60);
    assert_snapshot!(story.told(), @r"
     0ms -> watch m-0
     0ms m-0 #1 adopted
     0ms m-0 #1 climbed listening
     0ms -> watch m-1
     0ms m-1 #1 stop intended: Drained
     0ms -> stop m-1 #1
     0ms -> probe m-0 #1 rung 1
    5.0s m-1 #1 stopped
    ");
}

#[test]
fn without_evaluations_a_drained_server_is_not_missed() {
    let mut story = Story::new(TWO);
    story.owner(crate::supervise::Goal {
        start_servers: true,
        evals: Vec::new(),
    });
    story.begin(&[], &[]);
    drain(&mut story, "m-1");
    story
        .launched("m-1")
        .secs(11)
        .stopped("m-1")
        .skip()
        .comes_up("m-0");
    assert_snapshot!(story.told(), @r"
    11.0s m-0 #1 launched
    11.0s m-0 #1 started
    11.0s m-0 #1 climbed listening
    11.0s -> probe m-0 #1 rung 1
    11.0s m-0 #1 climbed models
    11.0s m-0 #1 ready after 11.0s
    11.0s owner left: all servers are ready
    11.0s -> finish 0: all servers are ready (kept)
    ");
}
