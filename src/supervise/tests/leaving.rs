//! The controller goes: servers and client stay, whatever it was doing.

use insta::assert_snapshot;

use super::story::{EVAL, ONE, Story, code, ten};
use crate::facts::Signal;
use crate::supervise::{Goal, Input};

/// What is said at Ctrl-C, and that nothing follows.
fn leave(story: &mut Story) -> String {
    story.skip().interrupted();
    story.secs(3600).stopped("a").dies("a", code(1)).secs(3600);
    story.told()
}

#[test]
fn at_every_stage_nothing_is_stopped() {
    let mut story = Story::new(EVAL);
    let mut said = String::new();
    let mut at = |stage: &str, story: &mut Story| {
        said.push_str(stage);
        said.push('\n');
        said.push_str(&leave(story));
    };
    at("before anything", &mut story);
    let mut story = Story::new(EVAL);
    at("starting", story.begin(&[], &[]));
    let mut story = Story::new(EVAL);
    at("climbing", story.begin(&[], &[]).launched("a"));
    let mut story = Story::new(EVAL);
    at("preparing", story.begin(&[], &[]).comes_up("a"));
    let mut story = Story::new(EVAL);
    at(
        "running",
        story
            .begin(&[], &[])
            .comes_up("a")
            .prepared("e", ten(0, 0))
            .client_runs("e"),
    );
    let mut story = Story::new(EVAL);
    at(
        "going down",
        story
            .begin(&[], &[])
            .comes_up("a")
            .prepared("e", ten(10, 0)),
    );
    assert_snapshot!(said, @r"
    before anything
        0ms owner left: interrupted
        0ms -> finish 130: interrupted
    starting
        0ms owner left: interrupted
        0ms -> finish 130: interrupted (kept)
    climbing
        0ms owner left: interrupted
        0ms -> finish 130: interrupted (kept)
    preparing
        0ms owner left: interrupted
        0ms -> finish 130: interrupted (kept)
    running
        0ms owner left: interrupted
        0ms -> finish 130: interrupted (kept)
    going down
        0ms owner left: interrupted
        0ms -> finish 130: interrupted (kept)
    ");
}

#[test]
fn a_polite_kill_has_its_own_code() {
    let mut story = Story::new(EVAL);
    story
        .begin(&[], &[])
        .skip()
        .feed(Input::Leave(Signal::Terminate));
    assert_snapshot!(story.told(), @r"
    0ms owner left: terminated
    0ms -> finish 143: terminated (kept)
    ");
}

#[test]
fn kept_servers_stay_and_a_stop_under_way_comes_to_its_end() {
    let mut story = Story::new(
        "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health } }
  b: { node: n, port: 9002, command: [b], ready: { http: /health, timeout: 1m } }
evals:
  e: { command: [client], results: out, requires: [a] }
when_done: keep
",
    );
    story
        .begin(&[], &[])
        .launched("b")
        .comes_up("a")
        .secs(60)
        .skip();
    story.prepared("e", ten(10, 0)).secs(2).stopped("b");
    assert_snapshot!(story.told(), @r#"
    1m 00s e 10/10, 0 errors
    1m 00s e ended: Complete
    1m 02s b #1 stopped
    1m 02s b given up: NotReady { why: "its process was never seen; its log and `supervisor.log` may say why" }
    1m 02s owner left: e: complete
    1m 02s -> finish 0: e: complete (kept)
    "#);
}

#[test]
fn without_evaluations_servers_are_kept_whatever_the_yaml_says() {
    let mut story = Story::new(EVAL);
    story.owner(Goal {
        start_servers: true,
        evals: Vec::new(),
    });
    story.begin(&[], &[]).skip().comes_up("a");
    assert_snapshot!(story.told(), @r"
    0ms a #1 launched
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
fn servers_that_a_client_of_another_goal_uses_are_kept() {
    let mut story = Story::new(&EVAL.replace(
        "when_done",
        "  f: { command: [c], results: o2, requires: [a] }\nwhen_done",
    ));
    story
        .begin(&[], &[])
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .prepared("f", ten(0, 0));
    story.client_runs("e").client_runs("f").interrupted().skip();
    story.owner(Goal {
        start_servers: false,
        evals: vec!["f".into()],
    });
    let (a, e, f) = (
        story.running("a", true),
        story.running("eval-e", false),
        story.ended("eval-f", code(0)),
    );
    story.begin(
        &[("a", a), ("eval-e", e), ("eval-f", f)],
        &[("f", ten(10, 0))],
    );
    assert_snapshot!(story.told(), @r"
    0ms f 10/10, 0 errors
    0ms -> watch a
    0ms a #1 adopted
    0ms a #1 climbed listening
    0ms -> watch eval-e
    0ms eval-e #1 adopted
    0ms eval-f #1 exited: code Some(0), signal None, reason None
    0ms f ended: Complete
    0ms owner left: f: complete
    0ms -> finish 0: f: complete (kept)
    ");
}

#[test]
fn nothing_is_left_to_keep_where_nothing_came_up() {
    let mut story = Story::new(ONE);
    story
        .begin(&[], &[])
        .launched("a")
        .secs(601)
        .skip()
        .stopped("a");
    assert_snapshot!(story.told(), @r#"
    10m 01s a #1 stopped
    10m 01s a given up: NotReady { why: "its process was never seen; its log and `supervisor.log` may say why" }
    10m 01s run ended 4: `a` did not become ready
    10m 01s -> finish 4: `a` did not become ready
    "#);
}
