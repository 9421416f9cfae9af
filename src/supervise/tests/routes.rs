//! Calls to places that nobody declared: an alarm at once, and exit 7 in the end.

use insta::assert_snapshot;

use super::story::{EVAL, Story, code, ten};
use crate::base::{Millis, Place, RunId};
use crate::eval::{PastCall, RouteNews, Tally};
use crate::run::OutsideSeen;
use crate::supervise::{Input, Watched};

fn place() -> Place {
    Place::new("203.0.113.7", 443)
}

fn called(times: u64) -> Input {
    Input::Routed(RouteNews::Outside {
        client: "eval-e".into(),
        place: place(),
        times,
        by: "python3, pid 4711".to_owned(),
    })
}

fn refused(times: u64) -> Input {
    Input::Routed(RouteNews::Refused {
        client: "eval-e".into(),
        place: Place::new("api.example", 443),
        times,
    })
}

/// The client has run for a second.
fn running() -> Story {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[]).comes_up("a").prepared("e", ten(0, 0));
    story.client_runs("e").secs(1).skip();
    story
}

#[test]
fn an_undeclared_call_is_an_alarm_once_and_the_run_ends_with_7() {
    let mut story = running();
    story.feed(called(1)).secs(1).feed(called(1)).secs(1);
    story.feed(called(2));
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.stopped("a");
    assert_snapshot!(story.told(), @r"
        1.0s e outside 203.0.113.7:443 Connected 1
        1.0s alarm outside-call: `e` calls 203.0.113.7:443, which is no endpoint and no declared external (python3, pid 4711): declare it under `externals`, or find what leads there
        2.0s e outside 203.0.113.7:443 Connected 2
        3.0s e outside 203.0.113.7:443 Connected 4
        3.0s eval-e #1 exited: code Some(0), signal None, reason None
        3.0s e 10/10, 0 errors
        3.0s -> count e
        ");
}

#[test]
fn a_way_around_the_proxy_is_an_alarm_of_its_own() {
    let mut story = running();
    let place = || Place::new("api.example", 443);
    let around = |times| {
        Input::Routed(RouteNews::Outside {
            client: "eval-e".into(),
            place: place(),
            times,
            by: "python3, pid 4711".to_owned(),
        })
    };
    story.feed(refused(1)).feed(around(1));
    story.feed(refused(2)).feed(around(1));
    assert_snapshot!(story.told(), @r"
        1.0s e outside api.example:443 Refused 1
        1.0s alarm outside-call: `e` was kept from calling api.example:443, which is no endpoint and no declared external: declare it under `externals`, or find what leads there
        1.0s e outside api.example:443 Connected 1
        1.0s alarm outside-call: `e` calls api.example:443, which is no endpoint and no declared external (python3, pid 4711): declare it under `externals`, or find what leads there
        1.0s e outside api.example:443 Refused 2
        1.0s e outside api.example:443 Connected 2
        ");
}

#[test]
fn it_is_graver_than_what_else_went_wrong() {
    let mut story = running();
    story.feed(refused(1));
    story.dies("eval-e", code(0)).counted("e", ten(10, 3));
    story.stopped("a");
    assert_snapshot!(story.told(), @r"
        1.0s e outside api.example:443 Refused 1
        1.0s alarm outside-call: `e` was kept from calling api.example:443, which is no endpoint and no declared external: declare it under `externals`, or find what leads there
        1.0s eval-e #1 exited: code Some(0), signal None, reason None
        1.0s e 10/10, 3 errors
        1.0s -> count e
        ");
}

#[test]
fn another_owner_knows_of_it_and_says_it_again_where_it_goes_on() {
    let mut story = running();
    story.feed(called(5)).feed(refused(3));
    let goal = story.all();
    story.owner(goal);
    story.skip();
    let seen = story.running("eval-e", false);
    let server = story.running("a", true);
    story.begin(&[("eval-e", seen), ("a", server)], &[]);
    // What was refused is read from the log once more, what was connected is counted on.
    story.feed(refused(3)).feed(called(1)).skip();
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.stopped("a");
    assert_snapshot!(story.told(), @r"
        1.0s eval-e #1 exited: code Some(0), signal None, reason None
        1.0s -> count e
        1.0s e 10/10, 0 errors
        1.0s e ended: Complete
        1.0s a #1 stop intended: Done
        1.0s -> stop a #1
        1.0s a #1 stopped
        1.0s run ended 7: e: complete; not declared: e called 203.0.113.7:443 (6 times), e was kept from calling api.example:443 (3 times)
        1.0s -> finish 7: e: complete; not declared: e called 203.0.113.7:443 (6 times), e was kept from calling api.example:443 (3 times)
        ");
}

#[test]
fn calls_of_an_earlier_run_are_held_against_its_results() {
    let mut story = Story::new(EVAL);
    let past = PastCall {
        run: RunId::new("t-0-0000"),
        place: place().to_string(),
        seen: OutsideSeen::Connected,
        times: 6,
    };
    story.brain.past_calls = [("e".into(), vec![past])].into();
    story.begin(&[], &[]).comes_up("a").prepared("e", ten(4, 0));
    story.client_runs("e").secs(1).skip();
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.counted("e", ten(10, 0)).stopped("a");
    assert_snapshot!(story.told(), @r"
        1.0s eval-e #1 exited: code Some(0), signal None, reason None
        1.0s e 10/10, 0 errors
        1.0s -> count e
        1.0s e ended: Complete
        1.0s a #1 stop intended: Done
        1.0s -> stop a #1
        1.0s a #1 stopped
        1.0s run ended 7: e: complete; not declared: e called 203.0.113.7:443 (6 times, in the run `t-0-0000`)
        1.0s -> finish 7: e: complete; not declared: e called 203.0.113.7:443 (6 times, in the run `t-0-0000`)
        ");
}

#[test]
fn what_another_plan_declares_is_no_violation_any_more() {
    let mut story = running();
    story.feed(called(5));
    let externals = "externals: { x: { url: \"https://203.0.113.7/v1\" } }";
    let goal = story.all();
    story.replan(&format!("{externals}{EVAL}")).owner(goal);
    story.skip();
    let seen = story.running("eval-e", false);
    let server = story.running("a", true);
    story.begin(&[("eval-e", seen), ("a", server)], &[]).skip();
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.stopped("a");
    let told = story.told();
    assert!(told.contains("finish 0"), "{told}");
}

#[test]
fn what_cannot_be_told_is_said_and_ends_nothing() {
    let mut story = running();
    story.feed(Input::Routed(RouteNews::Untold {
        client: "eval-e".into(),
        place: place(),
        names: vec![Place::new("api.example", 443)],
    }));
    story.dies("eval-e", code(0)).counted("e", ten(10, 0));
    story.stopped("a");
    assert_snapshot!(story.told(), @r"
        1.0s alarm outside-untold: whether 203.0.113.7:443 is declared cannot be told: `api.example:443` cannot be looked up here
        1.0s eval-e #1 exited: code Some(0), signal None, reason None
        1.0s e 10/10, 0 errors
        1.0s -> count e
        ");
}

#[test]
fn how_closely_a_client_was_watched_is_recorded() {
    let mut story = running();
    story.dies("eval-e", code(0)).skip();
    story.feed(Input::Watched {
        client: "eval-e".into(),
        watched: Watched {
            tally: Tally {
                looks: 12,
                longest: Millis(600),
            },
            dropped: Some(vec!["NEBIUS_API_KEY".to_owned()]),
            slipped: vec!["HTTP_PROXY".to_owned()],
        },
    });
    assert_snapshot!(story.told(), @r#"
        1.0s alarm environment: `e` was given HTTP_PROXY and nobody asked for it: look at its `setup` lines and at what starts it
        1.0s e watched, 12 looks, dropped Some(["NEBIUS_API_KEY"])
        "#);
    let state = story.brain.state();
    let routing = &state.evals.values().next().unwrap().routing;
    assert_eq!((routing.clients, routing.unseen), (1, 0));
    assert_eq!((routing.looks, routing.longest), (12, Millis(600)));
    assert!(routing.dropped.contains("NEBIUS_API_KEY"));
}
