//! The engine's moments, by hand and at random.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// 10 ms a step, 1 ms for each sequence, 10,000 prompt tokens a second.
const RATES: Rates = Rates {
    prefill: 10_000,
    step: 10_000,
    per_sequence: 1_000,
    sequences: 4,
    budget: 2_000,
    cache: 100_000,
};

/// Pushes `(at, prompt, wanted)` in order and runs to the end.
fn run(rates: Rates, requests: &[(Micros, u64, u64)]) -> (Vec<Event>, Batch) {
    let mut batch = Batch::new(rates);
    let mut events = Vec::new();
    for (ticket, (at, prompt, wanted)) in (0..).zip(requests) {
        batch.push(*at, ticket, *prompt, *wanted, &mut events);
    }
    while let Some(next) = batch.next() {
        batch.advance(next, &mut events);
    }
    (events, batch)
}

fn at(events: &[Event], ticket: Ticket, what: Moment) -> Micros {
    let found = events.iter().find(|e| e.ticket == ticket && e.what == what);
    found.unwrap().at
}

#[test]
fn one_request_takes_its_prompt_and_its_tokens() {
    let (events, _) = run(RATES, &[(0, 1_000, 11)]);
    // 10 + 1 ms, and 100 ms for the prompt; then ten steps of 11 ms.
    assert_eq!(at(&events, 0, Moment::FirstToken), 111_000);
    assert_eq!(at(&events, 0, Moment::Finished), 221_000);
}

#[test]
fn a_long_prompt_is_computed_in_chunks_while_others_decode() {
    let (events, _) = run(RATES, &[(0, 10, 100), (20_000, 5_000, 2)]);
    // Three steps of 1,999, 1,999 and 1,002 prompt tokens; the first request goes on meanwhile.
    let first = at(&events, 1, Moment::FirstToken);
    assert!((520_000..=580_000).contains(&first), "{first}");
    let alone = run(RATES, &[(0, 10, 100)]).0;
    let delay = at(&events, 0, Moment::Finished) - at(&alone, 0, Moment::Finished);
    assert!((490_000..=540_000).contains(&delay), "{delay}");
}

#[test]
fn more_than_fit_wait_and_latency_rises() {
    let requests: Vec<(Micros, u64, u64)> = (0..12).map(|_| (0, 100, 50)).collect();
    let (events, _) = run(RATES, &requests);
    let started = |ticket| at(&events, ticket, Moment::Started);
    assert_eq!(started(3), 0);
    let waves = [started(4), started(8)];
    assert!(
        waves[0] > 600_000 && waves[1] > 2 * waves[0] - 50_000,
        "{waves:?}"
    );
}

#[test]
fn the_youngest_gives_its_cache_back() {
    let rates = Rates {
        cache: 400,
        ..RATES
    };
    let (events, batch) = run(rates, &[(0, 150, 100), (1, 150, 100)]);
    assert_eq!(batch.work().preemptions, 1);
    assert_eq!(
        at(&events, 1, Moment::Preempted),
        at(&events, 1, Moment::Preempted)
    );
    assert!(at(&events, 0, Moment::Finished) < at(&events, 1, Moment::Finished));
    let firsts = events
        .iter()
        .filter(|e| e.what == Moment::FirstToken)
        .count();
    assert_eq!(firsts, 2, "once for each, whatever is computed again");
}

#[test]
fn whoever_leaves_makes_room() {
    let mut batch = Batch::new(Rates {
        sequences: 1,
        ..RATES
    });
    let mut events = Vec::new();
    batch.push(0, 0, 100, 1_000, &mut events);
    batch.push(5, 1, 100, 1, &mut events);
    batch.remove(1_000_000, 0, &mut events);
    while let Some(next) = batch.next() {
        batch.advance(next, &mut events);
    }
    let first = at(&events, 1, Moment::FirstToken);
    assert!((1_000_000..1_050_000).contains(&first), "{first}");
    assert_eq!(batch.sequences(), (0, 0));
}

proptest! {
    /// Each request starts, has a first token and ends, once and in this order; nothing is left; cutting the time in
    /// other places changes nothing.
    #[test]
    fn every_request_ends_once(
        requests in prop::collection::vec((0_u64..3_000_000, 1_u64..4_000, 1_u64..300), 1..40),
        cache in 500_u64..20_000,
        sequences in 1_usize..9,
        cuts in prop::collection::vec(0_u64..20_000_000, 0..30),
    ) {
        let mut requests = requests;
        requests.sort_unstable();
        let rates = Rates { sequences, cache, ..RATES };
        let (events, batch) = run(rates, &requests);
        prop_assert_eq!(batch.sequences(), (0, 0));
        prop_assert_eq!(batch.cache_used(), 0);
        let mut seen: BTreeMap<Ticket, Vec<Moment>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.what != Moment::Preempted) {
            prop_assert!(event.at >= requests[usize::try_from(event.ticket).unwrap()].0);
            seen.entry(event.ticket).or_default().push(event.what);
        }
        prop_assert_eq!(seen.len(), requests.len());
        for moments in seen.values() {
            prop_assert_eq!(moments, &[Moment::Started, Moment::FirstToken, Moment::Finished]);
        }
        let mut again = Batch::new(rates);
        let mut others = Vec::new();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut cuts = cuts.into_iter().peekable();
        for (ticket, (at, prompt, wanted)) in (0..).zip(&requests) {
            while let Some(cut) = cuts.next_if(|cut| cut < at) {
                again.advance(cut, &mut others);
            }
            again.push(*at, ticket, *prompt, *wanted, &mut others);
        }
        for cut in cuts {
            again.advance(cut, &mut others);
        }
        while let Some(next) = again.next() {
            again.advance(next, &mut others);
        }
        prop_assert_eq!(events, others);
    }
}
