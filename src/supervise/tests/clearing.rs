//! Servers that start again on GPUs which what ran before may still hold.

use insta::assert_snapshot;

use super::story::{EVAL, Story, code, plan_of, ten};
use crate::base::{GpuIndex, Millis};
use crate::facts::GpuSeen;
use crate::supervise::{Goal, Input};

/// A service on GPUs 2 and 4, its evaluation at work.
fn story() -> Story {
    on_gpus(EVAL)
}

fn on_gpus(yaml: &str) -> Story {
    let mut plan = plan_of(yaml);
    for unit in &mut plan.units {
        if unit.port.is_some() {
            unit.gpus = vec![GpuIndex(2), GpuIndex(4)];
        }
    }
    let goal = Goal {
        start_servers: true,
        evals: vec!["e".into()],
    };
    let mut story = Story::with(plan, goal);
    story.begin(&[], &[]);
    story
}

fn at_work() -> Story {
    let mut story = story();
    // A first start waits for nothing.
    story
        .comes_up("a")
        .prepared("e", ten(0, 0))
        .client_runs("e");
    story
}

/// It died, its pause is over, and its GPUs are being looked at.
fn dead() -> Story {
    let mut story = at_work();
    story.dies("a", code(1)).secs(5).skip();
    story
}

const fn gpu(gpu: u16, unclaimed: Option<u64>, claimants: usize) -> GpuSeen {
    GpuSeen {
        gpu: GpuIndex(gpu),
        unclaimed,
        claimants,
    }
}

const HELD: [GpuSeen; 2] = [gpu(2, Some(1024), 0), gpu(4, Some(45_123), 0)];
const FREE: [GpuSeen; 2] = [gpu(2, Some(1023), 0), gpu(4, Some(3), 0)];

fn seen(story: &mut Story, unit: &str, seen: &[GpuSeen]) {
    let (unit, seen) = (unit.into(), seen.to_vec());
    story.feed(Input::GpusSeen { unit, seen });
}

/// What is said, without the looks at results.
fn told(story: &mut Story) -> String {
    let all = story.told();
    all.split_inclusive('\n')
        .filter(|line| !line.contains("-> count"))
        .collect()
}

#[test]
fn a_restart_waits_until_its_gpus_are_free() {
    let mut story = at_work();
    story.skip().dies("a", code(1)).secs(5);
    for _ in 0..2 {
        story.pass(Millis(30));
        seen(&mut story, "a", &HELD);
        story.secs(1);
    }
    seen(&mut story, "a", &FREE);
    story.comes_up("a");
    assert_snapshot!(told(&mut story), @r"
     0ms a #1 exited: code Some(1), signal None, reason None
    5.0s -> look at the GPUs of a
    6.0s -> look at the GPUs of a
    7.0s -> look at the GPUs of a
    7.0s a #2 start intended
    7.0s -> launch a #2
    7.0s a #2 launched
    7.0s a #2 started
    7.0s a #2 climbed listening
    7.0s -> probe a #2 rung 1
    7.0s a #2 climbed health
    7.0s a #2 ready after 0ms
    ");
}

#[test]
fn what_is_not_known_to_be_held_is_waited_for_by_nobody() {
    for free in [
        &[][..],
        &FREE,
        &[gpu(2, None, 1), gpu(4, None, 0)],
        // Another GPU of the node.
        &[gpu(3, Some(45_123), 0)],
    ] {
        let mut story = dead();
        seen(&mut story, "a", free);
        let told = told(&mut story);
        assert!(told.contains("-> launch a #2"), "{free:?}: {told}");
    }
}

#[test]
fn after_a_minute_it_starts_all_the_same() {
    let mut story = dead();
    for _ in 0..60 {
        seen(&mut story, "a", &HELD);
        story.secs(1);
    }
    let waiting = told(&mut story);
    assert!(!waiting.contains("launch"), "{waiting}");
    assert_eq!(waiting.matches("look at the GPUs").count(), 60);
    seen(&mut story, "a", &HELD);
    assert_snapshot!(told(&mut story), @r"
    1m 05s alarm gpu-held: `a` starts although 45123 MiB of GPU 4 are held by no process that can be seen, for a minute by now: a reset of the GPU or a restart of the node frees them
    1m 05s a #2 start intended
    1m 05s -> launch a #2
    ");
}

/// Two on the same GPUs, one of which is ready.
const TWO: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
  b: { node: n, port: 9002, command: [b], ready: { http: /health, timeout: 10m } }
evals:
  e: { command: [client], results: out, requires: [b], limits: { stall: 30m, first_result: 10m } }
";

#[test]
fn what_may_be_a_neighbours_is_waited_for_only_where_the_neighbour_is_named() {
    for (neighbours, waits) in [(0, false), (1, true)] {
        let mut story = on_gpus(TWO);
        story.comes_up("a").comes_up("b").prepared("e", ten(0, 0));
        story.client_runs("e").dies("a", code(1)).secs(5).skip();
        seen(&mut story, "a", &[gpu(4, Some(45_123), neighbours)]);
        assert_eq!(!told(&mut story).contains("-> launch a #2"), waits);
    }
}

#[test]
fn a_drained_server_waits_for_nothing_and_looks_afresh_when_it_is_asked_back() {
    let mut story = dead();
    seen(&mut story, "a", &HELD);
    story.secs(1).skip();
    let units = vec!["a".into()];
    story.feed(Input::Drain {
        units: units.clone(),
    });
    seen(&mut story, "a", &FREE);
    story.secs(600);
    story.feed(Input::Undrain { units });
    seen(&mut story, "a", &FREE);
    assert_snapshot!(told(&mut story), @r"
           6.0s a drained
           6.0s alarm held: `e` is held: `a` has no server that is ready; it goes on when one is undrained: toolorch drain --undo a
           6.0s e held: `a` has no server that is ready
           6.0s eval-e #1 stop intended: Held
           6.0s -> stop eval-e #1
        10m 06s a undrained
        10m 06s -> look at the GPUs of a
        10m 06s a #2 start intended
        10m 06s -> launch a #2
        ");
}

#[test]
fn the_end_of_the_work_waits_for_no_gpu() {
    let mut story = on_gpus(&format!("{TWO}\nwhen_done: down"));
    story.comes_up("a").comes_up("b").prepared("e", ten(0, 0));
    story.client_runs("e").dies("a", code(1)).secs(5).skip();
    seen(&mut story, "a", &[gpu(4, Some(45_123), 1)]);
    // A count was under way, and one follows it.
    story.counted("e", ten(10, 0)).dies("eval-e", code(0));
    story.counted("e", ten(10, 0));
    seen(&mut story, "a", &FREE);
    story.secs(5).stopped("b");
    assert_snapshot!(told(&mut story), @r"
     5.0s e 10/10, 0 errors
     5.0s eval-e #1 exited: code Some(0), signal None, reason None
     5.0s e ended: Complete
     5.0s b #1 stop intended: Done
     5.0s -> stop b #1
    10.0s b #1 stopped
    10.0s run ended 0: e: complete
    10.0s -> finish 0: e: complete
    ");
}

#[test]
fn whoever_leaves_starts_nothing_more() {
    let mut story = dead();
    story.interrupted();
    seen(&mut story, "a", &FREE);
    story.secs(600);
    assert_snapshot!(told(&mut story), @r"
    5.0s owner left: interrupted
    5.0s -> finish 130: interrupted (kept)
    ");
}

#[test]
fn the_next_owner_looks_too() {
    let mut story = at_work();
    let goal = story.all();
    let (gone, client) = (story.lost("a"), story.running("eval-e", false));
    story.owner(goal);
    story.begin(&[("a", gone), ("eval-e", client)], &[]);
    story.skip().stopped("a");
    seen(&mut story, "a", &HELD);
    story.secs(1);
    seen(&mut story, "a", &FREE);
    assert_snapshot!(told(&mut story), @r"
     0ms a #1 stopped
     0ms -> look at the GPUs of a
    1.0s -> look at the GPUs of a
    1.0s a #2 start intended
    1.0s -> launch a #2
    ");
}

#[test]
fn a_look_is_answered_once_and_time_that_nobody_saw_is_given_back() {
    let mut story = dead();
    seen(&mut story, "a", &HELD);
    // Late, of an earlier wait.
    seen(&mut story, "a", &FREE);
    assert_eq!(told(&mut story), "");
    story.now = story.now + Millis::from_secs(100);
    story.feed(Input::Away {
        length: Millis::from_secs(100),
    });
    story.secs(1);
    seen(&mut story, "a", &HELD);
    assert_snapshot!(told(&mut story), @r"
    1m 45s owner away for 1m 40s
    1m 46s -> look at the GPUs of a
    ");
}
