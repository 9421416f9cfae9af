//! Calls of a client that were begun and not answered, told from its log.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{Millis, Timestamp};

/// A call is long from here on, however long its like take.
const LONG: Millis = Millis::from_secs(300);
/// And from so many times what half of them take.
const TIMES: u64 = 5;
/// Answered calls from which it is read how long they take.
const REMEMBERED: usize = 500;
/// Failed attempts that may still prove to be others; more are forgotten.
const DOUBTED: usize = 500;

/// A call under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    endpoint: String,
    since: Timestamp,
    /// Its place in the log.
    number: u64,
}

/// Calls that wait for one endpoint for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongCalls {
    /// Where: `10.0.0.7:1800`.
    pub endpoint: String,
    /// How many.
    pub calls: usize,
    /// When the oldest was seen to begin.
    pub since: Timestamp,
}

/// All calls under way.
///
/// A client says that an attempt failed and not which. One is taken for it, the newest; proves that to be alive, it was
/// another, and the oldest is taken in its place. So the number of open calls is right at any time, and their names are
/// in the end.
#[derive(Debug, Default)]
pub struct OpenCalls {
    open: BTreeMap<String, Call>,
    /// Taken for failed, oldest first.
    doubted: VecDeque<(String, Call)>,
    took: VecDeque<Millis>,
    begun: u64,
}

impl OpenCalls {
    /// A call was begun; one of the same name before it had failed.
    pub fn asked(&mut self, id: &str, endpoint: &str, now: Timestamp) {
        self.begun += 1;
        let call = Call {
            endpoint: endpoint.to_owned(),
            since: now,
            number: self.begun,
        };
        if self.open.insert(id.to_owned(), call).is_some() {
            // So it was this one that failed, and not the one that was taken for it.
            if let Some((other, call)) = self.doubted.pop_back() {
                self.open.insert(other, call);
            }
        } else if let Some(at) = self.doubted.iter().position(|(other, _)| other == id) {
            self.doubted.remove(at);
        }
    }

    /// A call was answered, after so long where the log says it.
    pub fn answered(&mut self, id: &str, took: Option<Millis>) {
        if let Some(took) = took {
            self.took.push_back(took);
            if self.took.len() > REMEMBERED {
                self.took.pop_front();
            }
        }
        if self.open.remove(id).is_some() {
            return;
        }
        if let Some(at) = self.doubted.iter().position(|(other, _)| other == id) {
            self.doubted.remove(at);
            let oldest = self.open.iter().min_by_key(|(_, call)| call.number);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.doubt(&id);
            }
        }
    }

    /// An attempt failed, nobody says which.
    pub fn failed(&mut self) {
        let newest = self.open.iter().max_by_key(|(_, call)| call.number);
        if let Some(id) = newest.map(|(id, _)| id.clone()) {
            self.doubt(&id);
        }
    }

    fn doubt(&mut self, id: &str) {
        if let Some(call) = self.open.remove(id) {
            self.doubted.push_back((id.to_owned(), call));
        }
        if self.doubted.len() > DOUBTED {
            self.doubted.pop_front();
        }
    }

    /// Calls under way.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// No call is under way.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// From what age on a call is long.
    fn limit(&self) -> Millis {
        let mut took: Vec<Millis> = self.took.iter().copied().collect();
        took.sort_unstable();
        let median = took.get(took.len() / 2).copied().unwrap_or_default();
        LONG.max(Millis(median.0.saturating_mul(TIMES)))
    }

    /// Calls that wait for longer than their like take, at the endpoint that has most of them.
    pub fn long(&self, now: Timestamp) -> Option<LongCalls> {
        if !self.open.values().any(|call| now.since(call.since) > LONG) {
            return None;
        }
        let limit = self.limit();
        let mut by_endpoint: BTreeMap<&str, LongCalls> = BTreeMap::new();
        for call in self.open.values() {
            if now.since(call.since) <= limit {
                continue;
            }
            let entry = by_endpoint.entry(&call.endpoint);
            let entry = entry.or_insert_with(|| LongCalls {
                endpoint: call.endpoint.clone(),
                calls: 0,
                since: call.since,
            });
            entry.calls += 1;
            entry.since = entry.since.min(call.since);
        }
        by_endpoint.into_values().max_by_key(|long| long.calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    fn names(calls: &OpenCalls) -> Vec<&str> {
        calls.open.keys().map(String::as_str).collect()
    }

    #[test]
    fn calls_that_wait_for_one_endpoint_are_told() {
        let mut calls = OpenCalls::default();
        for n in 0..8 {
            calls.asked(&format!("h{n}"), "10.0.0.1:1801", at(n));
        }
        calls.asked("x", "10.0.0.1:1800", at(0));
        calls.asked("y", "10.0.0.1:1800", at(200));
        assert_eq!(calls.long(at(300)), None);
        let long = calls.long(at(400)).unwrap();
        assert_eq!(
            (long.endpoint.as_str(), long.calls, long.since),
            ("10.0.0.1:1801", 8, at(0))
        );
        // Where half of all calls take two minutes, ten of them are not long.
        for n in 0..3 {
            calls.answered(&format!("h{n}"), Some(Millis::from_secs(120)));
        }
        assert_eq!(calls.long(at(600)), None);
        assert_eq!(calls.long(at(700)).unwrap().calls, 5);
    }

    #[test]
    fn a_failure_ends_one_call_and_in_the_end_the_right_one() {
        let mut calls = OpenCalls::default();
        for id in ["a", "b", "c"] {
            calls.asked(id, "h:1", at(1));
        }
        // It was `a` that failed; `c` is taken for it until it is answered.
        calls.failed();
        assert_eq!(names(&calls), ["a", "b"]);
        calls.answered("c", None);
        assert_eq!(names(&calls), ["b"]);
        // The same call is tried again: it was that one.
        calls.asked("d", "h:1", at(2));
        calls.failed();
        calls.asked("b", "h:2", at(3));
        assert_eq!(names(&calls), ["b", "d"]);
        calls.failed();
        calls.asked("b", "h:1", at(4));
        assert_eq!((names(&calls), calls.len()), (vec!["b", "d"], 2));
    }

    proptest! {
        /// Workers that each have one call at a time; some attempts fail, and nobody says which.
        #[test]
        fn the_number_is_right_and_names_are_in_the_end(turns in prop::collection::vec((0_usize..6, any::<bool>()), 0..200)) {
            let mut calls = OpenCalls::default();
            let mut busy: BTreeMap<usize, String> = BTreeMap::new();
            let mut next = 0;
            for (worker, fails) in turns {
                match busy.remove(&worker) {
                    Some(_) if fails => calls.failed(),
                    Some(id) => calls.answered(&id, None),
                    None => {
                        next += 1;
                        calls.asked(&next.to_string(), "h:1", at(next));
                        busy.insert(worker, next.to_string());
                    }
                }
                prop_assert_eq!(calls.len(), busy.len());
            }
            let all: Vec<String> = busy.into_values().collect();
            let last = all.len().saturating_sub(1);
            for id in &all[..last] {
                calls.answered(id, None);
            }
            prop_assert_eq!(calls.len(), all.len() - last);
        }
    }
}
