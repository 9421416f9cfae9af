//! The books are opened before the first client, survive servers and owners, and are closed after the last client.

use insta::assert_snapshot;

use super::story::{Story, code, signal, ten};
use crate::base::Generation;
use crate::eval::{Balance, Call, Lost, Reports, accounts};
use crate::facts::{Canary, Pulse, Served};
use crate::run::BooksMark;
use crate::supervise::{Input, Metered, Purpose};

const TWO: &str = "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 2, port: 9100, ready: { timeout: 10m } }
evals:
  e: { command: [client], results: out, requires: [m], limits: { stall: 30m, first_result: 10m } }
when_done: keep
";

fn open() -> Purpose {
    Purpose::Open {
        eval: "e".into(),
        mark: BooksMark::default(),
    }
}

fn counted(unit: &str, generation: u64, finished: u64, ours: u64) -> Served {
    Served {
        unit: unit.into(),
        generation: Generation(generation),
        finished,
        ours,
        unsure: 0,
    }
}

fn metered(purpose: Purpose, servers: &[Served]) -> Input {
    Input::Metered(Metered {
        purpose,
        servers: servers.to_vec(),
        unread: Vec::new(),
    })
}

/// Both servers are up, each with two probes, and the client runs.
fn running() -> Story {
    let mut story = Story::new(TWO);
    story.begin(&[], &[]).comes_up("m-0").comes_up("m-1");
    let before = [counted("m-0", 1, 2, 2), counted("m-1", 1, 2, 2)];
    story.feed(metered(open(), &before));
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    story
}

/// The one account, with so many calls reported, of which so many failed.
fn balance(story: &Story, answered: usize, failed: usize) -> (u64, Balance) {
    let call = |failed: bool| Call {
        model: "org/m".to_owned(),
        endpoint: Some("127.0.0.1:9100".to_owned()),
        ms: None,
        failed,
    };
    let calls = std::iter::repeat_n(call(false), answered)
        .chain(std::iter::repeat_n(call(true), failed))
        .collect();
    let reports = Reports {
        calls,
        ..Reports::default()
    };
    let all = accounts(story.brain.plan(), &story.brain.state().books, &reports);
    let [one] = all.as_slice() else {
        panic!("{all:?}")
    };
    let served = one.served.unwrap_or_default();
    (served.finished - served.ours, one.balance.clone())
}

#[test]
fn what_a_server_counted_is_not_lost_with_it() {
    let mut story = running();
    story.secs(5).feed(metered(
        Purpose::Look,
        &[counted("m-0", 1, 12, 2), counted("m-1", 1, 7, 3)],
    ));
    assert!(
        !story.told().contains("counted"),
        "a look is not written down"
    );
    story.dies("m-0", signal("SIGKILL", 9)).secs(5);
    story.comes_up("m-0").skip();
    story.dies("eval-e", code(0)).feed(metered(
        Purpose::Close,
        &[counted("m-0", 2, 6, 2), counted("m-1", 1, 13, 3)],
    ));
    assert_snapshot!(story.told(), @r"
        10.0s eval-e #1 exited: code Some(0), signal None, reason None
        10.0s books closed: m-0#2 6-2 m-1#1 13-3, unread []
        ");
    // 10 and 4 of m-0's two starts, 10 of m-1, its canary apart.
    assert_eq!(balance(&story, 24, 0), (24, Balance::Even));
    // What m-0 finished in its last seconds may be missing, and nothing else can.
    assert!(matches!(balance(&story, 25, 0).1, Balance::Open(_)));
    assert_eq!(balance(&story, 20, 1).1, Balance::Unreported(3));
}

#[test]
fn the_end_of_a_server_is_written_down_while_clients_run() {
    let mut story = running();
    story.feed(metered(Purpose::Look, &[counted("m-0", 1, 12, 2)]));
    story.dies("m-0", signal("SIGKILL", 9));
    let told = story.told();
    assert!(told.contains("counted by its end: m-0#1 12-2"), "{told}");
    // Another owner knows of it, and goes on with the same books.
    let goal = story.all();
    story.owner(goal);
    let client = story.running("eval-e", false);
    let (one, other) = (
        story.ended("m-0", signal("SIGKILL", 9)),
        story.running("m-1", true),
    );
    story.begin(&[("eval-e", client), ("m-0", one), ("m-1", other)], &[]);
    story.dies("eval-e", code(0));
    story.feed(metered(Purpose::Close, &[counted("m-1", 1, 9, 4)]));
    assert_eq!(balance(&story, 15, 0), (15, Balance::Even));
    // What the first owner asked is not known.
    assert!(matches!(balance(&story, 14, 0).1, Balance::Open(_)));
}

#[test]
fn a_look_at_its_life_tells_what_a_server_counted() {
    let mut story = running();
    let looked = |served: Served| Input::Pulsed {
        unit: "m-0".into(),
        generation: Generation(1),
        pulse: Pulse::Canary(Canary::Back(200)),
        served: Some(served),
    };
    story.feed(looked(counted("m-0", 1, 12, 2)));
    // An answer of a start that is past.
    story.feed(looked(counted("m-0", 0, 99, 2)));
    story.dies("m-0", signal("SIGKILL", 9));
    let told = story.told();
    assert!(told.contains("counted by its end: m-0#1 12-2"), "{told}");
}

#[test]
fn without_doubt_an_excess_is_nobody_s_and_a_lack_went_elsewhere() {
    let mut story = running();
    story.dies("eval-e", code(0)).feed(metered(
        Purpose::Close,
        &[counted("m-0", 1, 12, 2), counted("m-1", 1, 13, 3)],
    ));
    assert_eq!(balance(&story, 20, 0), (20, Balance::Even));
    assert_eq!(balance(&story, 18, 2).1, Balance::Even, "late, but served");
    assert_eq!(balance(&story, 17, 2).1, Balance::Unreported(1));
    assert_eq!(balance(&story, 22, 4).1, Balance::Elsewhere(2));
    let silent = balance(&story, 0, 0).1;
    assert_eq!(
        silent,
        Balance::Open("the client reports no calls".to_owned())
    );
}

#[test]
fn an_excess_of_calls_that_are_in_no_result_is_told_with_its_reason() {
    let mut story = running();
    story.dies("eval-e", code(0)).feed(metered(
        Purpose::Close,
        &[counted("m-0", 1, 12, 2), counted("m-1", 1, 13, 3)],
    ));
    let state = story.brain.state();
    let why = |lost| {
        let call = Call {
            model: "org/m".to_owned(),
            endpoint: Some("127.0.0.1:9100".to_owned()),
            ms: None,
            failed: false,
        };
        let reports = Reports {
            calls: vec![call],
            lost: Some(lost),
            ..Reports::default()
        };
        match &accounts(story.brain.plan(), &state.books, &reports)[0].balance {
            Balance::Open(why) => why.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_snapshot!(why(Lost::CutOff), @"a client was cut off, and what it had asked for unfinished questions is in no result");
    assert_snapshot!(why(Lost::AskedAgain), @"results in error were asked again, and what had been asked for them is in no result");
}

#[test]
fn books_that_were_not_closed_are_never_balanced() {
    let mut story = running();
    story.secs(5).feed(metered(
        Purpose::Look,
        &[counted("m-0", 1, 12, 2), counted("m-1", 1, 7, 3)],
    ));
    // The controller leaves while the client runs: nothing of that is in the journal.
    for answered in [0, 14] {
        let (_, balance) = balance(&story, answered, 0);
        assert!(matches!(balance, Balance::Open(_)), "{balance:?}");
    }
}

#[test]
fn a_server_that_could_not_be_asked_balances_with_nothing() {
    let mut story = running();
    story.dies("eval-e", code(0)).feed(Input::Metered(Metered {
        purpose: Purpose::Close,
        servers: vec![counted("m-0", 1, 12, 2)],
        unread: vec!["m-1".into()],
    }));
    for answered in [0, 10, 12] {
        let (_, balance) = balance(&story, answered, 0);
        assert!(matches!(balance, Balance::Open(_)), "{balance:?}");
    }
}

#[test]
fn servers_that_were_lost_before_they_were_asked_again_are_never_balanced() {
    let mut story = running();
    story.dies("m-0", signal("SIGKILL", 9));
    story.dies("m-1", signal("SIGKILL", 9));
    story
        .dies("eval-e", code(1))
        .feed(metered(Purpose::Close, &[]));
    let (theirs, balance) = balance(&story, 0, 0);
    assert_eq!(theirs, 0);
    assert!(matches!(balance, Balance::Open(_)), "{balance:?}");
}

#[test]
fn results_that_need_no_client_open_no_books() {
    let mut story = Story::new(TWO);
    story.begin(&[], &[]).comes_up("m-0").comes_up("m-1");
    story.feed(metered(open(), &[counted("m-0", 1, 2, 2)]));
    story.prepared("e", ten(10, 0));
    assert!(!story.brain.state().books.are_open());
    assert!(story.brain.state().books.evals.is_empty());
}
