//! What the driver writes down: every record is on the disk before what follows from it. While the disk refuses, nothing follows:
//! what runs is watched, and what should be done waits.

use std::collections::VecDeque;
use std::path::Path;

use super::driver::{DriveError, Driver};
use super::{Effect, Input, Outcome};
use crate::base::{Clock, Generation, Millis, Timestamp, UnitId};
use crate::run::store::{Durability, Reserve, StoreError, free_bytes};
use crate::run::{Event, Record, RunState};
use crate::world::SystemClock;

/// A disk that refused is asked again after this.
const TRY_EVERY: Millis = Millis(1_000);

/// A disk that refuses, takes a line and refuses again is an alarm this often.
const ALARM_EVERY: Millis = Millis::from_secs(60);

/// What could not be written or done yet.
#[derive(Debug)]
pub(super) struct Backlog {
    /// In order: records, and what waits for them.
    waiting: VecDeque<Effect>,
    /// Since when the disk refuses, and when it is asked again.
    refused: Option<(Timestamp, Timestamp)>,
    /// When that was last an alarm.
    alarmed: Option<Timestamp>,
    /// The number of the last record that the audience was told.
    told: u64,
    /// Starts that were given up, since nothing said that they were intended.
    unstarted: Vec<(UnitId, Generation)>,
    /// The last heartbeat could not be written.
    mute: bool,
    reserve: Reserve,
}

impl Backlog {
    pub(super) fn new(run_dir: &Path) -> Self {
        Self {
            waiting: VecDeque::new(),
            refused: None,
            alarmed: None,
            told: 0,
            unstarted: Vec::new(),
            mute: false,
            reserve: Reserve::keep(run_dir),
        }
    }

    /// Since when nothing can be written.
    pub(super) fn unwritten(&self) -> Option<Timestamp> {
        self.refused.map(|(since, _)| since)
    }

    /// The run is over: no room need be kept.
    pub(super) fn close(&self) {
        self.reserve.release();
    }

    fn records(&self) -> usize {
        let is_record = |effect: &&Effect| matches!(effect, Effect::Record(_));
        self.waiting.iter().filter(is_record).count()
    }
}

impl Driver<'_> {
    /// Performs effects in order, each after the records before it are written.
    pub(super) fn carry_out(
        &mut self,
        effects: Vec<Effect>,
    ) -> Result<Option<Outcome>, DriveError> {
        self.backlog.waiting.extend(effects);
        self.catch_up()
    }

    /// Writes and performs what waits, if the disk takes it.
    pub(super) fn catch_up(&mut self) -> Result<Option<Outcome>, DriveError> {
        let now = SystemClock.now();
        let tried = match self.backlog.refused {
            Some((_, again)) if now < again => None,
            _ => Some(self.write_down()),
        };
        match tried {
            Some(Ok(())) => {
                self.accepted(now);
                Ok(self.perform_all())
            }
            Some(Err(error @ StoreError::Io { .. })) => {
                self.refused(&error, now);
                self.tell_and_look();
                Ok(None)
            }
            Some(Err(error)) => Err(error.into()),
            None => {
                self.tell_and_look();
                Ok(None)
            }
        }
    }

    /// Somebody asked the controller to go: that cannot wait for a disk.
    pub(super) fn go_unrecorded(&mut self) -> Option<Outcome> {
        let lost = self.backlog.records();
        let starts = self
            .backlog
            .waiting
            .iter()
            .filter_map(|effect| match effect {
                Effect::Launch {
                    unit, generation, ..
                } => Some((unit.clone(), *generation)),
                _ => None,
            });
        self.backlog.unstarted = starts.collect();
        let end = self
            .backlog
            .waiting
            .drain(..)
            .find_map(|effect| match effect {
                Effect::Finish(outcome) => Some(outcome),
                _ => None,
            })?;
        // The last word of when somebody watched.
        self.beat();
        self.audience.message(&format!(
            "{lost} lines could not be recorded: the next `toolorch up` finds out what they said"
        ));
        Some(end)
    }

    /// All that is known at the end, recorded or not.
    pub(super) fn last_state(&self) -> RunState {
        let mut state = self.brain.state().clone();
        for (unit, generation) in &self.backlog.unstarted {
            let event = Event::LaunchFailed {
                unit: unit.clone(),
                generation: *generation,
                why: "its start could not be recorded".to_owned(),
            };
            state.apply(&Record {
                v: Record::FORMAT,
                seq: state.seq + 1,
                at: SystemClock.now(),
                epoch: state.epoch,
                event,
            });
        }
        state
    }

    /// Says that the owner lives. A heartbeat that cannot be written is missed by other machines alone: here the process
    /// is seen.
    pub(super) fn renew(&mut self) -> Result<(), DriveError> {
        match self.journal.renew(SystemClock.now()) {
            Err(error @ StoreError::Io { .. }) => {
                let known = self.backlog.refused.is_some();
                if !std::mem::replace(&mut self.backlog.mute, true) && !known {
                    self.audience
                        .message(&format!("no sign of life can be given: {error}"));
                }
            }
            other => {
                other?;
                self.backlog.mute = false;
                if self.backlog.refused.is_none() {
                    self.backlog.reserve.fill();
                }
            }
        }
        Ok(())
    }

    /// Writes the records that wait, with one sync for all of them.
    fn write_down(&mut self) -> Result<(), StoreError> {
        let record = |effect: &Effect| match effect {
            Effect::Record(record) => Some(record.clone()),
            _ => None,
        };
        let records: Vec<Record> = self.backlog.waiting.iter().filter_map(record).collect();
        let changes = self
            .backlog
            .waiting
            .iter()
            .any(|effect| !effect.only_looks());
        if records.is_empty() && changes {
            // An append looks for itself.
            return self.journal.owner().still_owner();
        }
        let last_intent = records.iter().rposition(|record| must_last(&record.event));
        for (place, record) in records.into_iter().enumerate() {
            let durability = if last_intent == Some(place) {
                Durability::Synced
            } else {
                Durability::Buffered
            };
            self.journal
                .append(record.at, record.event.clone(), durability)?;
            self.tell(&record);
            self.route(&record.event);
            self.keep_call(&record.event);
            self.count_anew(&record.event);
            let written = self.backlog.waiting.iter().position(
                |effect| matches!(effect, Effect::Record(waiting) if waiting.seq == record.seq),
            );
            written.map(|at| self.backlog.waiting.remove(at));
        }
        Ok(())
    }

    fn perform_all(&mut self) -> Option<Outcome> {
        let mut outcome = None;
        for effect in std::mem::take(&mut self.backlog.waiting) {
            match effect {
                Effect::Finish(end) => outcome = Some(end),
                other => self.perform(other),
            }
        }
        outcome
    }

    fn tell(&mut self, record: &Record) {
        if record.seq > self.backlog.told {
            self.backlog.told = record.seq;
            self.audience.event(record, self.brain.state());
        }
    }

    /// People hear of what happened although it is not recorded yet. Looks change nothing and need no record.
    fn tell_and_look(&mut self) {
        let untold = |effect: &Effect| match effect {
            Effect::Record(record) if record.seq > self.backlog.told => Some(record.clone()),
            _ => None,
        };
        let untold: Vec<Record> = self.backlog.waiting.iter().filter_map(untold).collect();
        for record in &untold {
            self.tell(record);
        }
        let (looks, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.backlog.waiting)
            .into_iter()
            .partition(Effect::only_looks);
        self.backlog.waiting = rest;
        for effect in looks {
            self.perform(effect);
        }
    }

    fn refused(&mut self, error: &StoreError, now: Timestamp) {
        let again = now + TRY_EVERY;
        if let Some((_, at)) = &mut self.backlog.refused {
            *at = again;
            return;
        }
        let released = error.is_full() && self.backlog.reserve.release();
        // With the reserve gone there may be room at once.
        let again = if released { now } else { again };
        self.backlog.refused = Some((now, again));
        self.beat();
        let lately = |last: Timestamp| now.since(last) < ALARM_EVERY;
        if !released && self.backlog.alarmed.is_some_and(lately) {
            return;
        }
        self.backlog.alarmed = (!released).then_some(now);
        self.send(unwritten(error, self.journal.owner().dir(), released));
    }

    fn accepted(&mut self, now: Timestamp) {
        if let Some((since, _)) = self.backlog.refused.take() {
            let length = now.since(since);
            self.beat();
            self.audience
                .message(&format!("the journal is written again, after {length}"));
        }
    }
}

/// The alarm for a journal that cannot be written.
fn unwritten(error: &StoreError, dir: &Path, released: bool) -> Input {
    let alarm = if error.is_full() {
        "journal-full"
    } else {
        "journal-failed"
    };
    let free = free_bytes(dir).map_or("an unknown number of".to_owned(), |n| n.to_string());
    let then = if released {
        "the reserve of 1 MiB is used now: make room there before it is full, too"
    } else {
        "until it can be written nothing is started or stopped; what runs goes on and is watched, and `toolorch down` works"
    };
    let text = format!("{error}; {free} bytes are free there; {then}");
    Input::Alarm { alarm, text }
}

/// What must be on the disk before anything follows: intents, and where to find what was started.
fn must_last(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted { .. }
            | Event::OwnerTook { .. }
            | Event::LaunchIntended { .. }
            | Event::Launched { .. }
            | Event::StopIntended { .. }
            | Event::RetryIntended { .. }
            | Event::EvalEnded { .. }
            | Event::OwnerLeft { .. }
            | Event::RunEnded { .. }
    )
}
