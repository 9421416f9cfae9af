//! Another plan beside what runs.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;

use super::story::{Story, ten};
use crate::base::UnitId;
use crate::facts::Observation;
use crate::run::Changes;
use crate::supervise::{Configured, Input, Wishes};

const TWO: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
  b: { node: n, port: 9002, command: [b], ready: { http: /health, timeout: 10m } }
client_config: { format: toolorchestra, path: c.json }
evals:
  e: { command: [client, '{config}'], results: out, requires: [a, b], limits: { stall: 30m, first_result: 10m } }
when_done: keep
";

fn configured(story: &mut Story, places: &[(&str, &str)]) {
    let config = story.brain.plan().configs[0].name.clone();
    let named = places
        .iter()
        .map(|(unit, place)| (UnitId::new(*unit), (*place).to_owned()));
    story.feed(Input::ConfigDone {
        config,
        result: Ok(Configured {
            path: "/c.json".to_owned(),
            sha256: "abc".to_owned(),
            endpoints: places.len(),
            named: named.collect(),
        }),
    });
}

/// Both servers are ready, the client runs and knows these; then another owner comes with this plan and these wishes.
fn taken_over(
    known: &[(&str, &str)],
    plan: &str,
    wishes: Wishes,
) -> (Story, Vec<(&'static str, Observation)>) {
    let mut story = Story::new(TWO);
    story.begin(&[], &[]).comes_up("a").comes_up("b");
    configured(&mut story, known);
    story.prepared("e", ten(0, 0)).client_runs("e");
    story.secs(1).counted("e", ten(4, 0)).skip();
    let seen = ["a", "b", "eval-e"].map(|unit| (unit, story.running(unit, true)));
    story.replan(plan);
    let goal = story.all();
    story.owner(goal);
    story.wish(wishes);
    (story, seen.to_vec())
}

const BOTH: [(&str, &str); 2] = [("a", "127.0.0.1:9001"), ("b", "127.0.0.1:9002")];

fn replaced(unit: &str, what: &str) -> Wishes {
    let replaced = BTreeMap::from([(UnitId::new(unit), what.to_owned())]);
    Wishes {
        changes: Changes {
            replaced,
            ..Changes::default()
        },
        ..Wishes::default()
    }
}

#[test]
fn a_changed_server_alone_is_started_again() {
    let (mut story, seen) = taken_over(&BOTH, TWO, replaced("a", "command"));
    story.begin(&seen, &[("e", ten(4, 0))]).secs(2).stopped("a");
    assert_snapshot!(story.told(), @r"
        1.0s e 4/10, 0 errors
        1.0s -> watch a
        1.0s a #1 adopted
        1.0s a #1 climbed listening
        1.0s -> watch b
        1.0s b #1 adopted
        1.0s b #1 climbed listening
        1.0s -> watch eval-e
        1.0s eval-e #1 adopted
        1.0s a #1 stop intended: Changed
        1.0s -> stop a #1
        1.0s -> probe b #1 rung 1
        2.0s -> count e
        3.0s a #1 stopped
        3.0s a #2 start intended
        3.0s -> launch a #2
        ");
}

#[test]
fn a_moved_endpoint_takes_the_client_along() {
    let elsewhere = TWO.replace("9001", "9101");
    let (mut story, seen) = taken_over(&BOTH, &elsewhere, replaced("a", "port"));
    story.begin(&seen, &[("e", ten(4, 0))]).secs(1);
    story.stopped("eval-e").counted("e", ten(4, 0)).stopped("a");
    story.comes_up("a").passes("b");
    configured(&mut story, &[("a", "127.0.0.1:9101"), BOTH[1]]);
    story.prepared("e", ten(4, 0));
    assert_snapshot!(story.told(), @r"
        1.0s e 4/10, 0 errors
        1.0s -> watch a
        1.0s a #1 adopted
        1.0s -> watch b
        1.0s b #1 adopted
        1.0s b #1 climbed listening
        1.0s -> watch eval-e
        1.0s eval-e #1 adopted
        1.0s eval-e #1 stop intended: NewEndpoints
        1.0s -> stop eval-e #1
        1.0s a #1 stop intended: Changed
        1.0s -> stop a #1
        1.0s -> probe b #1 rung 1
        2.0s eval-e #1 stopped
        2.0s -> count e
        2.0s a #1 stopped
        2.0s a #2 start intended
        2.0s -> launch a #2
        2.0s a #2 launched
        2.0s a #2 started
        2.0s a #2 climbed listening
        2.0s -> probe a #2 rung 1
        2.0s a #2 climbed health
        2.0s a #2 ready after 0ms
        2.0s b #1 climbed health
        2.0s b #1 ready after 0ms
        2.0s -> write config default with a b
        2.0s config default written, 2 endpoints
        2.0s -> prepare e
        2.0s eval-e #2 start intended
        2.0s -> launch eval-e #2
        ");
}

#[test]
fn a_retired_server_is_stopped_before_another_takes_its_place() {
    let other = TWO.replace("  b:", "  c:").replace("[a, b]", "[a, c]");
    let wishes = Wishes {
        changes: Changes {
            retired: BTreeSet::from([UnitId::new("b")]),
            ..Changes::default()
        },
        ..Wishes::default()
    };
    let (mut story, seen) = taken_over(&BOTH, &other, wishes);
    story.begin(&seen, &[("e", ten(4, 0))]).secs(1);
    story.stopped("eval-e").counted("e", ten(4, 0)).stopped("b");
    assert_snapshot!(story.told(), @r"
        1.0s e 4/10, 0 errors
        1.0s -> watch a
        1.0s a #1 adopted
        1.0s a #1 climbed listening
        1.0s -> watch eval-e
        1.0s eval-e #1 adopted
        1.0s eval-e #1 stop intended: NewEndpoints
        1.0s -> stop eval-e #1
        1.0s b #1 stop intended: Changed
        1.0s -> stop b #1
        1.0s -> probe a #1 rung 1
        2.0s eval-e #1 stopped
        2.0s -> count e
        2.0s b #1 stopped
        2.0s c #1 start intended
        2.0s -> launch c #1
        ");
}

#[test]
fn an_added_server_is_told_of_and_used_only_where_that_is_wished() {
    let known = [BOTH[0]];
    let (mut story, seen) = taken_over(&known, TWO, Wishes::default());
    story
        .begin(&seen, &[("e", ten(4, 0))])
        .passes("a")
        .passes("b");
    assert_snapshot!(story.told(), @r"
        1.0s e 4/10, 0 errors
        1.0s -> watch a
        1.0s a #1 adopted
        1.0s a #1 climbed listening
        1.0s -> watch b
        1.0s b #1 adopted
        1.0s b #1 climbed listening
        1.0s -> watch eval-e
        1.0s eval-e #1 adopted
        1.0s -> probe a #1 rung 1
        1.0s -> probe b #1 rung 1
        1.0s a #1 climbed health
        1.0s a #1 ready after 0ms
        1.0s b #1 climbed health
        1.0s b #1 ready after 0ms
        1.0s alarm unused: ready, and unused by the running client of `e`: b; to make it use them: toolorch up --restart-eval
        ");
    let wishes = Wishes {
        restart_evals: true,
        ..Wishes::default()
    };
    let (mut story, seen) = taken_over(&known, TWO, wishes);
    story
        .begin(&seen, &[("e", ten(4, 0))])
        .passes("a")
        .passes("b");
    story.stopped("eval-e").counted("e", ten(4, 0));
    assert_snapshot!(story.told(), @r"
        1.0s e 4/10, 0 errors
        1.0s -> watch a
        1.0s a #1 adopted
        1.0s a #1 climbed listening
        1.0s -> watch b
        1.0s b #1 adopted
        1.0s b #1 climbed listening
        1.0s -> watch eval-e
        1.0s eval-e #1 adopted
        1.0s -> probe a #1 rung 1
        1.0s -> probe b #1 rung 1
        1.0s a #1 climbed health
        1.0s a #1 ready after 0ms
        1.0s b #1 climbed health
        1.0s b #1 ready after 0ms
        1.0s eval-e #1 stop intended: NewEndpoints
        1.0s -> stop eval-e #1
        1.0s eval-e #1 stopped
        1.0s -> count e
        1.0s -> write config default with a b
        ");
}
