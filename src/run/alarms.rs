//! Alarms of a run, and which events show that one is over.

use super::RunState;
use super::event::Event;
use crate::base::{EvalName, Timestamp, UnitId};
use crate::facts::Liveness;
use crate::spec::model::LauncherKind;

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmState {
    /// When.
    pub at: Timestamp,
    /// Its stable word.
    pub alarm: String,
    /// Which unit, if one.
    pub unit: Option<UnitId>,
    /// What, in words.
    pub text: String,
    /// Since when something that happened shows that it is over; most alarms have no such end.
    pub over: Option<Timestamp>,
}

/// Alarms about a client that end with its evaluation, and with the client that they speak of.
const OF_CLIENTS: &[&str] = &["held", "starvation", "unused"];
/// Alarms about a server that end when it is ready once more.
const OF_SERVERS: &[&str] = &[
    "model-gone",
    "out-of-reach",
    "port-closed",
    "server-lost",
    "slow-server",
    "stalled-server",
    "unseen",
];

impl AlarmState {
    /// Whether what happened shows that it is over.
    fn ends_with(&self, event: &Event) -> bool {
        let is = |words: &[&str]| words.contains(&self.alarm.as_str());
        let about = |unit: &UnitId| self.unit.as_ref() == Some(unit);
        let of_eval = |eval: &EvalName| about(&UnitId::eval(eval));
        match event {
            Event::EvalEnded { eval, .. } => is(OF_CLIENTS) && of_eval(eval),
            Event::EvalResumed { eval, .. } => is(&["held"]) && of_eval(eval),
            Event::EvalWaits { eval, waits: None } => is(&["starvation"]) && of_eval(eval),
            Event::LaunchIntended { unit, .. } => is(OF_CLIENTS) && about(unit),
            Event::Launched { handle, .. } => {
                is(&["slurm-away"]) && handle.launcher == LauncherKind::Slurm
            }
            Event::Judged {
                unit,
                liveness: Liveness::Well,
                ..
            } => is(&["out-of-reach", "slow-server"]) && about(unit),
            Event::Ready { unit, .. } => is(OF_SERVERS) && about(unit),
            _ => false,
        }
    }
}

impl RunState {
    /// Marks the alarms that are over by this event.
    pub(super) fn end_alarms(&mut self, at: Timestamp, event: &Event) {
        let open = self.alarms.iter_mut().filter(|told| told.over.is_none());
        for alarm in open.filter(|told| told.ends_with(event)) {
            alarm.over = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Generation, LaunchId, Millis};
    use crate::run::{Record, Verdict};

    /// Alarms that are over after these events, by their words.
    fn over(events: Vec<Event>) -> Vec<String> {
        let alarm = |alarm: &str, unit: &str| Event::Alarm {
            alarm: alarm.to_owned(),
            unit: Some(UnitId::new(unit)),
            text: String::new(),
        };
        let alarms = [
            alarm("held", "eval-hle"),
            alarm("unused", "eval-hle"),
            alarm("held", "eval-other"),
            alarm("fallback", "eval-hle"),
            alarm("server-lost", "a-0"),
            alarm("slow-server", "a-0"),
        ];
        let records = alarms.into_iter().chain(events).zip(1..);
        let records: Vec<Record> = records
            .map(|(event, seq)| Record {
                v: Record::FORMAT,
                seq,
                at: Timestamp(seq),
                epoch: Epoch(1),
                event,
            })
            .collect();
        let state = RunState::fold(&records);
        let over = state.alarms.into_iter().filter(|told| told.over.is_some());
        over.map(|told| told.alarm).collect()
    }

    #[test]
    fn an_alarm_is_over_when_an_event_of_its_own_unit_shows_it() {
        let eval = EvalName::new("hle");
        let unit = UnitId::new("a-0");
        let generation = Generation(2);
        let resumed = Event::EvalResumed {
            eval: eval.clone(),
            set_aside: 0,
        };
        assert_eq!(over(vec![resumed]), ["held"]);
        let restarted = Event::LaunchIntended {
            unit: UnitId::eval(&eval),
            generation,
            launch: LaunchId::new("l"),
            script: None,
        };
        assert_eq!(over(vec![restarted]), ["held", "unused"]);
        let verdict = Verdict::Complete;
        assert_eq!(
            over(vec![Event::EvalEnded { eval, verdict }]),
            ["held", "unused"]
        );
        let judged = |liveness| Event::Judged {
            unit: unit.clone(),
            generation,
            liveness,
            why: String::new(),
        };
        assert_eq!(over(vec![judged(Liveness::Well)]), ["slow-server"]);
        assert_eq!(over(vec![judged(Liveness::Slow)]), [] as [&str; 0]);
        let after = Millis(0);
        let ready = Event::Ready {
            unit,
            generation,
            after,
        };
        assert_eq!(over(vec![ready]), ["server-lost", "slow-server"]);
    }
}
