//! Servers in SLURM jobs: they wait, are told where to listen, and have an end.

use insta::assert_snapshot;

use super::story::Story;
use crate::base::{Millis, Place};
use crate::facts::{Observation, Queued};
use crate::run::UnitPhase;

const POOL: &str = "
slurm: { time: '01:00:00' }
pools: { h: { nodes: 1, gpus: 0 } }
services:
  a: { node: h, port: 9001, command: [a], ready: { http: /health, timeout: 10m }, restart: { backoff: 1s } }
client_config: { format: toolorchestra, path: config.json }
evals:
  e: { command: [client, '{config}'], results: out, requires: [a], limits: { stall: 30m, first_result: 10m } }
when_done: keep
";

fn queued(story: &Story, why: &str, never: bool) -> Observation {
    Observation::Queued(Queued {
        generation: story.generation("a"),
        launch: story.brain.state().unit(&"a".into()).launch.unwrap(),
        why: why.to_owned(),
        starts: None,
        never,
    })
}

/// It runs on this node, and its job ends so many minutes from now.
fn runs_on(story: &Story, node: &str, minutes: u64) -> Observation {
    let Observation::Running(mut running) = story.running("a", true) else {
        unreachable!()
    };
    running.place = Some(Place::new(node, 9001));
    running.until = Some(story.now + Millis::from_secs(minutes * 60));
    Observation::Running(running)
}

#[test]
fn a_start_may_wait_in_the_queue_for_as_long_as_it_takes() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]).launched("a");
    for _ in 0..20 {
        let waits = queued(&story, "job 7: the nodes are busy (Resources)", false);
        story.see("a", waits).secs(300);
    }
    let seen = runs_on(&story, "gpu31", 60);
    story.see("a", seen);
    assert_snapshot!(story.told(), @r"
       0ms a #1 start intended
       0ms -> launch a #1
       0ms a #1 launched
       0ms a #1 queued: job 7: the nodes are busy (Resources)
    1h 40m a #1 placed at gpu31:9001
    1h 40m a #1 started
    1h 40m a #1 climbed listening
    1h 40m -> probe a #1 rung 1
    ");
}

#[test]
fn a_job_that_never_begins_is_given_up() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]).launched("a").skip();
    let never = queued(
        &story,
        "job 7: one job may not ask for so much (QOSMaxGRESPerJob)",
        true,
    );
    story.see("a", never).secs(10);
    story.stopped("a");
    assert_snapshot!(story.told(), @r#"
      0ms a #1 queued: job 7: one job may not ask for so much (QOSMaxGRESPerJob)
      0ms a #1 stop intended: NotReady
      0ms -> stop a #1
    10.0s a #1 stopped
    10.0s a given up: Permanent { why: "it will never begin: job 7: one job may not ask for so much (QOSMaxGRESPerJob); change what it asks for" }
    10.0s e ended: NotStarted { why: "`a` has 0 of the 1 servers that must be ready", code: 4 }
    10.0s run ended 4: e: not started: `a` has 0 of the 1 servers that must be ready
    10.0s -> finish 4: e: not started: `a` has 0 of the 1 servers that must be ready
    "#);
    let phase = story.brain.state().unit(&"a".into()).phase;
    assert!(matches!(phase, UnitPhase::GaveUp(_)), "{phase:?}");
}

#[test]
fn the_next_owner_takes_over_what_waits() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]).launched("a");
    let waits = queued(&story, "job 7: others come first (Priority)", false);
    story.see("a", waits.clone());
    let goal = story.all();
    story.owner(goal);
    story.skip().begin(&[("a", waits)], &[]);
    assert_snapshot!(story.told(), @r"
    0ms -> watch a
    0ms a #1 queued: job 7: others come first (Priority)
    ");
}

#[test]
fn the_end_of_a_job_is_told_once_half_an_hour_before() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]).launched("a");
    let seen = runs_on(&story, "gpu31", 31);
    story.see("a", seen.clone()).passes("a");
    story.skip().secs(59).see("a", seen.clone());
    story.secs(2).see("a", seen.clone()).see("a", seen);
    assert_snapshot!(story.told(), @" 1m 01s alarm time-limit: SLURM ends the job of `a` in 29m 59s, and another one may have to wait for its turn; with `slurm: { renew: true }` a successor waits beforehand");
}
