//! Servers in SLURM jobs: they wait, are told where to listen, and have an end.

use insta::assert_snapshot;

use super::story::Story;
use crate::base::{Millis, Place};
use crate::facts::{Door, Observation, Queued};
use crate::run::{Handle, UnitPhase};
use crate::spec::model::LauncherKind;
use crate::supervise::{Input, LaunchFailure};

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

#[test]
fn a_server_that_its_node_does_not_show_is_left_alone() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]).launched("a");
    let seen = runs_on(&story, "gpu31", 60);
    story.see("a", seen.clone()).passes("a").skip();
    let why = "its SLURM job 7 is suspended".to_owned();
    story.secs(5).see("a", Observation::Unknown { why });
    for _ in 0..15 {
        story.secs(5).looked("a", Door::Silent, None);
    }
    let told = story.told();
    assert_snapshot!(told.lines().filter(|line| line.contains("a #1") || line.contains("alarm")).collect::<Vec<_>>().join("\n"), @r"
    10.0s alarm out-of-reach: `a` does not answer: its SLURM job 7 is suspended; it is neither stopped nor started
    10.0s a #1 Unreached: its SLURM job 7 is suspended
    ");
    story
        .see("a", seen)
        .secs(5)
        .looked("a", Door::Answers, None);
    assert!(story.told().contains("a #1 Well: it is within reach again"));
}

#[test]
fn a_server_that_its_node_shows_and_that_is_silent_is_ended() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]).launched("a");
    let seen = runs_on(&story, "gpu31", 60);
    story.see("a", seen.clone()).passes("a").skip();
    for _ in 0..15 {
        story.secs(5).looked("a", Door::Silent, None);
        story.see("a", seen.clone());
    }
    assert!(story.told().contains("stop a #1"));
}

fn put_off(story: &mut Story) {
    let why = "SLURM here: SLURM does not answer, so nothing is submitted: Unable to contact slurm controller";
    story.feed(Input::LaunchDone {
        unit: "a".into(),
        generation: story.generation("a"),
        result: Err(LaunchFailure::Later(why.to_owned())),
    });
}

#[test]
fn a_queue_that_does_not_answer_is_waited_for_and_uses_nothing_of_the_budget() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]);
    for _ in 0..200 {
        put_off(&mut story);
        story.secs(10);
    }
    let told = story.told();
    let first: Vec<&str> = told.lines().take(6).collect();
    assert_snapshot!(first.join("\n"), @r"
        0ms a #1 start intended
        0ms -> launch a #1
        0ms alarm slurm-away: SLURM here: SLURM does not answer, so nothing is submitted: Unable to contact slurm controller; what is to be submitted waits until it answers, and nothing that runs is taken for dead
        0ms a #1 queued: SLURM does not answer; it is submitted when it does
      10.0s -> launch a #1
      20.0s -> launch a #1
    ");
    assert_eq!(told.lines().count(), 204);
    submitted(&mut story);
    story.skip();
    assert_eq!(story.brain.state().unit(&"a".into()).starts.len(), 1);
    let alarms = &story.brain.state().alarms;
    assert!(alarms.iter().all(|alarm| alarm.over.is_some()));
    let waits = queued(&story, "job 7: the nodes are busy (Resources)", false);
    story.see("a", waits);
    assert_snapshot!(story.told(), @"33m 20s a #1 queued: job 7: the nodes are busy (Resources)");
}

#[test]
fn what_waits_for_a_queue_is_stopped_at_once() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]);
    put_off(&mut story);
    story.secs(5).skip();
    story.feed(Input::Drain {
        units: vec!["a".into()],
    });
    assert!(story.told().contains("-> stop a #1"));
    // What was asked for meanwhile comes to nothing.
    put_off(&mut story);
    story.stopped("a").secs(60);
    assert!(!story.told().contains("launch a"));
}

/// A start in a job that was submitted with a time limit of an hour.
fn submitted(story: &mut Story) {
    let handle = Handle {
        launcher: LauncherKind::Slurm,
        native: "7".to_owned(),
        address: None,
        port: None,
        log: "/logs/a.log".to_owned(),
        submitted: Some("--time=01:00:00".to_owned()),
    };
    let generation = story.generation("a");
    story.launch_done("a", generation, Ok(handle));
}

#[test]
fn what_waits_with_other_options_is_asked_for_once_more_by_the_next_owner() {
    let mut story = Story::new(POOL);
    story.begin(&[], &[]);
    submitted(&mut story);
    let waits = queued(&story, "job 7: others come first (Priority)", false);
    story.see("a", waits.clone());
    let job = story.brain.plan().jobs[0].name.clone();
    for asks in ["--time=01:00:00", "--time=00:10:00"] {
        let goal = story.all();
        story.owner(goal);
        let submits = &mut story.brain.wishes.changes.submits;
        submits.insert(job.clone(), asks.to_owned());
        story.skip().begin(&[("a", waits.clone())], &[]);
        let asked = story.told().contains("-> launch a #1");
        assert_eq!(asked, asks.contains("10"), "{asks}");
    }
    assert_eq!(story.brain.state().unit(&"a".into()).starts.len(), 1);
    // What it waited with is cancelled by then.
    let why = "SLURM here: Invalid partition name; change `slurm.partition`".to_owned();
    story.feed(Input::LaunchDone {
        unit: "a".into(),
        generation: story.generation("a"),
        result: Err(LaunchFailure::Permanent(why)),
    });
    story.stopped("a");
    let phase = story.brain.state().unit(&"a".into()).phase;
    assert!(matches!(phase, UnitPhase::GaveUp(_)), "{phase:?}");
}

#[test]
fn the_end_of_a_job_is_told_by_what_it_was_submitted_with() {
    // By the plan's four minutes it would be told two minutes before.
    let mut story = Story::new(&POOL.replace("01:00:00", "00:04:00"));
    story.begin(&[], &[]);
    submitted(&mut story);
    let seen = runs_on(&story, "gpu31", 29);
    story.see("a", seen);
    assert!(story.told().contains("alarm time-limit"));
}
