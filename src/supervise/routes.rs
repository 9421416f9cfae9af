//! Where the calls of clients went: each undeclared place is an alarm at once, and in the end the run says so.

use super::brain::Brain;
use super::input::Watched;
use crate::base::{EvalName, Place, Timestamp, UnitId};
use crate::eval::{RouteNews, declared, is_declared};
use crate::plan::UnitKind;
use crate::run::{Event, OutsideSeen};

/// Places that a summary names; the journal has all.
const NAMED: usize = 4;

impl Brain {
    /// A call of a client leads, or would have led, to a place that nobody declared.
    pub(super) fn routed(&mut self, news: RouteNews, now: Timestamp) {
        match news {
            RouteNews::Outside {
                client,
                place,
                times,
                by,
            } => {
                let Some(eval) = self.client_of(&client) else {
                    return;
                };
                let before = self.calls_so_far(&eval, &place, OutsideSeen::Connected);
                let text = format!(
                    "`{eval}` calls {place}, which is no endpoint and no declared external ({by}): {REMEDY}"
                );
                let call = (eval, place, OutsideSeen::Connected);
                self.outside(call, before + times, (&client, text), now);
            }
            RouteNews::Refused {
                client,
                place,
                times,
            } => {
                let Some(eval) = self.client_of(&client) else {
                    return;
                };
                // What an earlier owner counted is in the logs that were read again.
                let before = self.calls_so_far(&eval, &place, OutsideSeen::Refused);
                let text = format!(
                    "`{eval}` was kept from calling {place}, which is no endpoint and no declared external: {REMEDY}"
                );
                let call = (eval, place, OutsideSeen::Refused);
                self.outside(call, before.max(times), (&client, text), now);
            }
            RouteNews::Untold {
                client,
                place,
                names,
            } => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let text = format!(
                    "whether {place} is declared cannot be told: {} cannot be looked up here",
                    names.join(", ")
                );
                self.alarm("outside-untold", Some(&client), text, now);
            }
        }
    }

    fn client_of(&self, unit: &UnitId) -> Option<EvalName> {
        match &self.plan.unit(unit)?.kind {
            UnitKind::Eval { name } => Some(name.clone()),
            _ => None,
        }
    }

    fn calls_so_far(&self, eval: &EvalName, place: &Place, seen: OutsideSeen) -> u64 {
        let state = self.state.evals.get(eval);
        let calls = state.and_then(|state| state.outside.get(&(place.to_string(), seen)));
        calls.copied().unwrap_or_default()
    }

    fn outside(
        &mut self,
        (eval, place, seen): (EvalName, Place, OutsideSeen),
        times: u64,
        (client, text): (&UnitId, String),
        now: Timestamp,
    ) {
        if times > self.calls_so_far(&eval, &place, seen) {
            let call = Event::OutsideCall {
                eval: eval.clone(),
                place: place.to_string(),
                seen,
                times,
            };
            self.record(call, now);
        }
        // Once for each owner: alarms of an earlier one are gone from `status`.
        if self.outside_told.insert((eval, place, seen)) {
            self.alarm("outside-call", Some(client), text, now);
        }
    }

    /// A client ended: how closely its calls were watched.
    pub(super) fn watched(&mut self, client: &UnitId, watched: Watched, now: Timestamp) {
        let Some(eval) = self.client_of(client) else {
            return;
        };
        let Watched {
            tally,
            dropped,
            slipped,
        } = watched;
        if !slipped.is_empty() {
            let text = format!(
                "`{eval}` was given {} and nobody asked for it: look at its `setup` lines and at what starts it",
                slipped.join(", ")
            );
            self.alarm("environment", Some(client), text, now);
        }
        let event = Event::Routed {
            eval,
            looks: tally.looks,
            longest: tally.longest,
            dropped,
            slipped,
        };
        self.record(event, now);
    }

    /// Where calls of the goal's evaluations led that nobody declared; none if to no such place.
    pub(super) fn misrouted(&self) -> Option<String> {
        let declared = declared(&self.plan);
        let mut all = Vec::new();
        for eval in &self.goal.evals {
            let calls = self.state.evals.get(eval).map(|state| state.outside.iter());
            for ((place, seen), times) in calls.into_iter().flatten() {
                // Declared since: an earlier owner had another plan.
                if !is_declared(place, &declared) {
                    all.push(format!(
                        "{eval} {} {place} ({})",
                        seen.verb(),
                        often(*times)
                    ));
                }
            }
            let past = self.past_calls.get(eval).into_iter().flatten();
            all.extend(past.map(|call| format!("{eval} {call}")));
        }
        let more = match all.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} places more"),
        };
        let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>();
        (!all.is_empty()).then(|| format!("not declared: {}{more}", named.join(", ")))
    }
}

fn often(times: u64) -> String {
    match times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    }
}

/// What to do about it.
const REMEDY: &str = "declare it under `externals`, or find what leads there";
