//! Servers that are ready and do not live, and servers that only seem so.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::engine::{Fault, Load, secs, watch};
use super::story::{EVAL, Story, ten};
use crate::base::Millis;
use crate::facts::{Body, Canary, Counters, Door, Liveness, Look, Pulse};
use crate::supervise::Input;

fn anyhow() -> impl Strategy<Value = Load> {
    let places = prop_oneof![Just(1_usize), 2..9_usize, Just(64)];
    let clients = prop_oneof![Just(0_usize), 1..5_usize, Just(70), Just(200)];
    let thinks = prop_oneof![Just(0_u64), 0..secs(60)];
    let prompt = prop_oneof![3 => Just(250_u64), 1 => Just(secs(20))];
    let answer = prop_oneof![Just(secs(1)), Just(secs(60))];
    let door = prop_oneof![Just(0_u64), Just(8_500)];
    (places, clients, thinks, prompt, answer, door).prop_map(
        |(places, clients, thinks, prompt, answer, door)| Load {
            places,
            clients,
            thinks,
            prompt,
            answer,
            door,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_server_that_works_is_restarted(load in anyhow(), seed in 1_u64..) {
        prop_assert_eq!(watch(load, seed, (Fault::None, 0), secs(600)), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_that_hangs_is_found_in_time(
        load in anyhow(),
        seed in 1_u64..,
        fault in prop_oneof![Just(Fault::Hang), Just(Fault::HalfOpen), Just(Fault::Closed)],
        at in secs(30)..secs(120),
    ) {
        // An API server that takes seconds to answer is noticed later by as much.
        let load = Load { door: 500, ..load };
        let (found, liveness, why) = watch(load, seed, (fault, at), secs(200)).expect("nothing was found");
        let expected = if fault == Fault::Closed { Liveness::Closed } else { Liveness::Stalled };
        prop_assert_eq!(liveness, expected);
        prop_assert!(found >= at, "too early");
        prop_assert!(found - at <= secs(30), "after {} ms: {}", found - at, why);
    }
}

/// Four looks are a millisecond short of the limit, and a fifth would be too late.
#[test]
fn a_hang_between_two_rare_requests_is_found_in_time() {
    let load = Load {
        places: 1,
        clients: 2,
        thinks: 43_023,
        prompt: 250,
        answer: 1000,
        door: 500,
    };
    let at = 44_501;
    let found = watch(load, 617_610_657_809_703_068, (Fault::Hang, at), secs(200));
    let (found, ..) = found.expect("nothing was found");
    assert!(found - at <= secs(30), "after {} ms", found - at);
}

/// A server that is ready while a client runs, ten results done.
fn running() -> Story {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(0, 0))]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e");
    story.counted("e", ten(4, 0)).skip();
    story
}

impl Story {
    pub(super) fn pulsed(&mut self, unit: &str, pulse: Pulse) -> &mut Self {
        let generation = self.generation(unit);
        let unit = unit.into();
        self.feed(Input::Pulsed {
            unit,
            generation,
            pulse,
            served: None,
        })
    }

    pub(super) fn looked(
        &mut self,
        unit: &str,
        door: Door,
        counters: Option<Counters>,
    ) -> &mut Self {
        self.looked_into(unit, door, counters, None)
    }

    fn looked_into(
        &mut self,
        unit: &str,
        door: Door,
        counters: Option<Counters>,
        body: Option<Body>,
    ) -> &mut Self {
        let look = Look {
            door,
            counters,
            body,
        };
        self.pulsed(unit, Pulse::Look(look))
    }
}

#[test]
fn a_silent_service_that_computes_is_left_alone_and_one_that_does_not_is_restarted() {
    let mut story = running();
    for round in 1..30 {
        // Half of a core.
        let body = Body {
            computed: round * 2_500,
            log_bytes: 7,
            stopped: None,
        };
        story
            .secs(5)
            .looked_into("a", Door::Silent, None, Some(body));
        story.counted("e", ten(4, 0)).skip();
    }
    let idle = Body {
        computed: 75_000,
        log_bytes: 7,
        stopped: None,
    };
    for _ in 0..12 {
        story
            .secs(5)
            .looked_into("a", Door::Silent, None, Some(idle));
    }
    story.counted("e", ten(4, 0)).skip();
    story
        .secs(5)
        .looked_into("a", Door::Silent, None, Some(idle));
    story.stopped("a");
    assert_snapshot!(story.told(), @r"
    3m 26s -> count e
    3m 30s alarm stalled-server: `a`: it has answered nothing for 3m 30s, and has neither computed nor written its log for 1m 00s; all of it is ended, and it is started again
    3m 30s a #1 Stalled: it has answered nothing for 3m 30s, and has neither computed nor written its log for 1m 00s
    3m 30s a #1 stop intended: Lifeless
    3m 30s -> stop a #1
    3m 30s a #1 stopped
    ");
}

#[test]
fn a_service_whose_process_is_stopped_is_restarted_sooner() {
    let mut story = running();
    let body = Body {
        computed: 10,
        log_bytes: 7,
        stopped: Some(4711),
    };
    for _ in 0..4 {
        story
            .secs(5)
            .looked_into("a", Door::Silent, None, Some(body));
    }
    assert_snapshot!(story.told(), @r"
     1.0s -> count e
    20.0s alarm stalled-server: `a`: it has answered nothing for 20.0s, and has neither computed nor written its log for 20.0s; its process 4711 is stopped (SIGSTOP); all of it is ended, and it is started again
    20.0s a #1 Stalled: it has answered nothing for 20.0s, and has neither computed nor written its log for 20.0s; its process 4711 is stopped (SIGSTOP)
    20.0s a #1 stop intended: Lifeless
    20.0s -> stop a #1
    ");
}

#[test]
fn a_closed_port_is_given_a_moment() {
    let mut story = running();
    for _ in 0..3 {
        story.secs(5).looked("a", Door::Closed, None);
    }
    story.secs(5).looked("a", Door::Answers, None);
    for _ in 0..4 {
        story.secs(5).looked("a", Door::Closed, None);
    }
    assert_snapshot!(story.told(), @r"
     1.0s -> count e
    40.0s alarm port-closed: `a`: nobody listens on its port for 15.0s, and nothing tells of its end; all of it is ended, and it is started again
    40.0s a #1 Closed: nobody listens on its port for 15.0s, and nothing tells of its end
    40.0s a #1 stop intended: Lifeless
    40.0s -> stop a #1
    ");
}

#[test]
fn what_could_not_be_seen_proves_nothing() {
    let mut story = running();
    for _ in 0..100 {
        let door = Door::Unknown("no route to host".to_owned());
        story
            .secs(5)
            .looked("a", door, None)
            .counted("e", ten(4, 0));
    }
    let told = story.told();
    assert!(!told.contains("alarm"), "{told}");
}

/// The silence of a server proves nothing where its node is silent as well.
#[test]
fn a_server_out_of_reach_is_left_alone_and_judged_anew() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let away = || Door::Unreached("no answer".to_owned());
    let idle = Some(Counters::default());
    for _ in 0..30 {
        story.secs(5).looked("m-0", away(), None);
        story.pulsed("m-0", Pulse::Canary(Canary::Lost));
    }
    let told = story.told();
    assert_eq!(told.matches(" alarm ").count(), 1, "{told}");
    let words = "alarm out-of-reach: `m-0` does not answer, and its node cannot be asked: no answer; it is neither stopped nor started";
    assert!(told.contains(words), "{told}");

    // A canary of before is void, and what moved meanwhile was not seen.
    story.secs(5).looked("m-0", Door::Answers, idle);
    story.pulsed("m-0", Pulse::Canary(Canary::Lost));
    story.secs(5).looked("m-0", Door::Answers, idle);
    let told = story.told();
    assert!(
        told.contains("m-0 #1 Well: it is within reach again"),
        "{told}"
    );
    assert!(!told.contains("alarm"), "{told}");
}

#[test]
fn a_client_is_held_while_all_its_servers_are_out_of_reach() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let away = || Door::Unreached("no answer".to_owned());
    story.secs(5).looked("m-0", away(), None);
    story.secs(20);
    assert!(!story.told().contains("held"), "the other one is there");
    story.looked("m-1", away(), None).secs(10);
    let told = story.told();
    assert!(
        told.contains("e held: `m` has no server that is ready"),
        "{told}"
    );
    story.stopped("eval-e");
    story.counted("e", ten(0, 0)).counted("e", ten(0, 0)).skip();
    let idle = Some(Counters::default());
    story.secs(5).looked("m-0", Door::Answers, idle);
    assert!(!story.told().contains("requeue"), "the other one may come");
    story.secs(5).looked("m-1", Door::Answers, idle);
    let told = story.told();
    assert!(told.contains("-> requeue e"), "{told}");
}

/// Two models and a client; one of them hangs.
const MODELS: &str = "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 2, port: 9100 }
evals:
  e: { command: [client], results: out, requires: [m], limits: { stall: 30m, first_result: 10m } }
";

#[test]
fn a_hung_engine_is_restarted_on_its_port_within_its_budget() {
    let mut story = Story::new(MODELS);
    story
        .begin(&[], &[("e", ten(0, 0))])
        .comes_up("m-0")
        .comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let busy = Counters {
        running: 4,
        generated: 700,
        ..Counters::default()
    };
    for _ in 0..3 {
        story.secs(5).looked("m-0", Door::Answers, Some(busy));
    }
    story.pulsed("m-0", Pulse::Canary(Canary::Lost)).skip();
    for _ in 0..2 {
        let body = Body {
            computed: 10,
            log_bytes: 7,
            stopped: None,
        };
        story
            .secs(5)
            .looked_into("m-0", Door::Answers, Some(busy), Some(body));
    }
    assert_snapshot!(story.told(), @r"
    25.0s alarm stalled-server: `m-0`: no counter moved for 25.0s with 4 requests in flight, and a completion of one token did not come back within 15.0s, though its API server answers; all of it is ended, and it is started again
    25.0s m-0 #1 Stalled: no counter moved for 25.0s with 4 requests in flight, and a completion of one token did not come back within 15.0s, though its API server answers
    25.0s m-0 #1 stop intended: Lifeless
    25.0s -> stop m-0 #1
    ");
    story.stopped("m-0").secs(5);
    assert_snapshot!(story.told(), @r"
    25.0s m-0 #1 stopped
    30.0s m-0 #2 start intended
    30.0s -> launch m-0 #2
    ");
    // Answers of looks at the earlier start change nothing.
    story.looked("m-0", Door::Closed, None).comes_up("m-0");
    assert_snapshot!(story.told(), @r"
    30.0s m-0 #2 launched
    30.0s m-0 #2 started
    30.0s m-0 #2 climbed listening
    30.0s -> probe m-0 #2 rung 1
    30.0s m-0 #2 climbed health
    30.0s m-0 #2 ready after 0ms
    ");
}

#[test]
fn a_refused_canary_is_neither_a_sign_of_life_nor_of_death() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let busy = Counters {
        running: 4,
        ..Counters::default()
    };
    for _ in 0..20 {
        story.secs(5).looked("m-0", Door::Answers, Some(busy));
        story.pulsed("m-0", Pulse::Canary(Canary::Back(401)));
    }
    let told = story.told();
    assert!(!told.contains("alarm"), "{told}");
    // What it cannot hide is a canary that is lost.
    story.pulsed("m-0", Pulse::Canary(Canary::Lost));
    for _ in 0..2 {
        let body = Body {
            computed: 10,
            log_bytes: 7,
            stopped: None,
        };
        story
            .secs(5)
            .looked_into("m-0", Door::Answers, Some(busy), Some(body));
    }
    let told = story.told();
    assert!(told.contains("no counter moved for 1m"), "{told}");
}

/// How long it was silent is one thing, how long it showed no life another.
#[test]
fn a_refusal_is_an_answer() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let idle = Counters::default();
    for _ in 0..12 {
        story.secs(5).looked("m-0", Door::Answers, Some(idle));
        story.pulsed("m-0", Pulse::Canary(Canary::Back(401)));
    }
    for _ in 0..5 {
        story.secs(5).looked("m-0", Door::Silent, None);
    }
    story.pulsed("m-0", Pulse::Canary(Canary::Lost));
    let told = story.told();
    let words = "it has answered nothing for 25.0s, a completion of one token neither";
    assert!(told.contains(words), "{told}");
}

#[test]
fn canaries_that_a_server_answers_with_its_own_error_are_told_once() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let alarms = |story: &mut Story, statuses: &[u16]| {
        for status in statuses {
            story.secs(70).looked("m-0", Door::Answers, None);
            story.pulsed("m-0", Pulse::Canary(Canary::Back(*status)));
        }
        let told = story.told();
        let alarms = told.lines().filter(|line| line.contains("alarm"));
        alarms.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(alarms(&mut story, &[500, 500, 200, 500, 503]), "");
    assert_snapshot!(alarms(&mut story, &[500, 500, 500, 500, 500]), @" 7m 00s alarm completions-fail: `m-0` answers each completion that it is asked for with 500; its log says why: toolorch logs m-0");
    assert_eq!(alarms(&mut story, &[200, 500, 500]), "");
}

#[test]
fn a_server_that_no_longer_knows_its_model_is_started_again() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    for status in [404, 200, 404, 404] {
        story.secs(15).looked("m-0", Door::Answers, None);
        story.pulsed("m-0", Pulse::Canary(Canary::Back(status)));
    }
    let told = story.told();
    let said = told.lines().filter(|line| !line.contains("-> "));
    assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @r"
        1m 00s alarm model-gone: `m-0`: it no longer knows its model: completions of one token were answered with 404 twice; all of it is ended, and it is started again
        1m 00s m-0 #1 Estranged: it no longer knows its model: completions of one token were answered with 404 twice
        1m 00s m-0 #1 stop intended: Lifeless
        ");
}

#[test]
fn a_controller_that_stood_still_judges_from_then_on() {
    let mut story = Story::new(MODELS);
    story
        .begin(&[], &[("e", ten(0, 0))])
        .comes_up("m-0")
        .comes_up("m-1");
    story.secs(10).looked("m-0", Door::Silent, None);
    let length = Millis::from_secs(3600);
    story.now = story.now + length;
    story.feed(Input::Away { length });
    // Both were asked before.
    story.pulsed("m-0", Pulse::Canary(Canary::Lost));
    story.looked("m-0", Door::Silent, None).skip();
    story.secs(10).looked("m-0", Door::Silent, None);
    story.secs(10).looked("m-0", Door::Silent, None);
    let told = story.told();
    assert!(!told.contains("stop"), "{told}");
}

#[test]
fn a_port_that_closes_while_it_is_out_of_reach_is_no_return() {
    let mut story = Story::new(MODELS);
    story.begin(&[], &[("e", ten(0, 0))]);
    story.comes_up("m-0").comes_up("m-1");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let away = Door::Unreached("no answer".to_owned());
    for door in [
        away.clone(),
        Door::Closed,
        away.clone(),
        Door::Silent,
        away,
        Door::Closed,
    ] {
        story.secs(5).looked("m-0", door, None);
    }
    assert!(!story.told().contains("Well"), "{}", story.told());
    // Twice in a row it is its own port that is closed, and what that means is judged as ever.
    story.secs(5).looked("m-0", Door::Closed, None);
    assert!(
        story
            .told()
            .contains("m-0 #1 Well: it is within reach again")
    );
}
