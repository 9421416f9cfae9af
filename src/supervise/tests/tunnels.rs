//! Servers behind a tunnel: what is believed of them while it is down, and who is suspected when they fall silent.

use insta::assert_snapshot;

use super::story::{End, Story, plan_on, ten};
use crate::facts::{Canary, Counters, Door, Pulse};
use crate::run::UnitPhase;
use crate::supervise::Goal;

const NODE: &str = "far: { gpus: 0, transport: ssh2, reach: tunnel }";
const WAY: &str = "tunnel-far";
const MODELS: &str = "
models:
  m: { engine: sim, model: org/m, node: far, replicas: 2, port: 9100, ready: { timeout: 10m } }
evals:
  e: { command: [client], results: out, requires: [m], limits: { stall: 30m, first_result: 10m } }
";

fn story() -> Story {
    let mut plan = plan_on(NODE, MODELS);
    for unit in &mut plan.units {
        unit.ready.rungs.truncate(2);
    }
    let evals = plan.evals.iter().map(|eval| eval.name.clone()).collect();
    let goal = Goal {
        start_servers: true,
        evals,
    };
    Story::with(plan, goal)
}

fn stands(story: &mut Story) {
    let seen = story.running(WAY, true);
    story.launched(WAY).see(WAY, seen);
}

/// Its next start comes to nothing, when that is due.
fn fails(story: &mut Story) {
    if story.brain.state().unit(&WAY.into()).phase == UnitPhase::Intended {
        story.launched(WAY).dies(WAY, cut());
    }
}

/// Its next start is waited for.
fn stands_again(story: &mut Story) {
    for _ in 0..40 {
        if story.brain.state().unit(&WAY.into()).phase == UnitPhase::Intended {
            break;
        }
        story.secs(1);
    }
    stands(story);
}

/// Its client is at work.
fn at_work() -> Story {
    let mut story = story();
    story.begin(&[], &[("e", ten(0, 0))]);
    stands(&mut story);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    story
}

fn cut() -> End {
    End {
        code: Some(255),
        tail: &["Timeout, server far not responding."],
        ..End::default()
    }
}

#[test]
fn while_it_is_down_nothing_is_concluded_from_what_is_heard() {
    let mut story = at_work();
    story.dies(WAY, cut());
    for _ in 0..6 {
        story.secs(5).counted("e", ten(0, 0));
        story.looked("m-0", Door::Closed, None);
        story.pulsed("m-1", Pulse::Canary(Canary::Lost));
        fails(&mut story);
    }
    story.stopped("eval-e").counted("e", ten(0, 0));
    let told = story.told();
    let alarms: Vec<&str> = told.lines().filter(|line| line.contains("alarm")).collect();
    assert_snapshot!(alarms.join("\n"), @r"
     5.0s alarm out-of-reach: `m-0` cannot be asked: its tunnel `tunnel-far` is down; it is neither stopped nor started
    10.0s alarm held: `e` is held: `m` has no server that is ready; it goes on by itself when there is one again
    ");
    assert!(!told.contains("stop m-"), "{told}");
    stands_again(&mut story);
    story.secs(6);
    for unit in ["m-0", "m-1"] {
        story.looked(unit, Door::Answers, Some(Counters::default()));
    }
    let told = story.told();
    assert!(
        told.contains("m-0 #1 Well: it is within reach again"),
        "{told}"
    );
    assert!(told.contains("-> requeue e"), "{told}");
}

#[test]
fn one_that_a_person_must_mend_ends_what_waits_for_its_servers() {
    let mut story = at_work();
    let refused = End {
        tail: &["Host key verification failed."],
        ..cut()
    };
    story
        .dies(WAY, cut())
        .secs(2)
        .launched(WAY)
        .dies(WAY, refused);
    story.secs(3).counted("e", ten(0, 0)).secs(3);
    story
        .stopped("eval-e")
        .counted("e", ten(0, 0))
        .counted("e", ten(0, 0));
    let told = story.told();
    let words: Vec<&str> = told
        .lines()
        .filter(|line| {
            ["gave up", "given up", "held", "ended"]
                .iter()
                .any(|word| line.contains(word))
        })
        .collect();
    assert_snapshot!(words.join("\n"), @r#"
    1.0s tunnel-far #2 start intended
    2.0s tunnel-far given up: Permanent { why: "the host's key is not known, or not the pinned one; run ssh to it once by hand and compare the fingerprint, or correct `host_key_sha256`: it must be that of the key which ssh asks for first, ed25519 in most places" }
    2.0s e held: `m` has no server that is ready
    2.0s eval-e #1 stop intended: Held
    8.0s e ended: GaveUp { missing: 10, why: "`m` has no server left" }
    8.0s owner left: e: given up, 10 missing: `m` has no server left
    8.0s -> finish 6: e: given up, 10 missing: `m` has no server left (kept)
    "#);
}

#[test]
fn a_server_that_cannot_be_asked_is_not_late() {
    let mut story = story();
    story.begin(&[], &[("e", ten(0, 0))]);
    let seen = story.running("m-0", true);
    story.launched("m-0").see("m-0", seen);
    for _ in 0..80 {
        fails(&mut story);
        story.secs(10);
    }
    assert!(!story.told().contains("m-0 #1 stop intended"));
    stands_again(&mut story);
    story.passes("m-0");
    assert!(story.told().contains("m-0 #1 ready"));
}

#[test]
fn it_is_begun_anew_before_a_silent_server_is() {
    let mut story = at_work();
    let silent = |story: &mut Story, units: &[&str]| {
        for _ in 0..8 {
            for unit in units {
                story.looked(unit, Door::Silent, None);
                story.pulsed(unit, Pulse::Canary(Canary::Lost));
            }
            story.secs(5).counted("e", ten(0, 0));
            if story.brain.state().unit(&WAY.into()).phase == UnitPhase::Stopping {
                return;
            }
        }
    };
    silent(&mut story, &["m-0", "m-1"]);
    let told = story.told();
    assert!(told.contains("-> stop tunnel-far #1"), "{told}");
    assert!(!told.contains("-> stop m-"), "{told}");
    story.stopped(WAY);
    stands_again(&mut story);
    silent(&mut story, &["m-0", "m-1"]);
    let told = story.told();
    assert!(told.contains("-> stop m-"), "it was not the tunnel\n{told}");
    assert!(!told.contains("-> stop tunnel-far #2"), "{told}");
}

#[test]
fn one_through_which_others_answer_is_not_suspected() {
    let mut story = at_work();
    for _ in 0..8 {
        story.looked("m-0", Door::Silent, None);
        story.pulsed("m-0", Pulse::Canary(Canary::Lost));
        story.looked("m-1", Door::Answers, Some(Counters::default()));
        story.pulsed("m-1", Pulse::Canary(Canary::Back(200)));
        story.secs(5).counted("e", ten(0, 0));
    }
    let told = story.told();
    assert!(told.contains("-> stop m-0"), "{told}");
    assert!(!told.contains("-> stop tunnel-far"), "{told}");
}
