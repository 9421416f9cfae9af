//! What the driver writes down: every record is on the disk before what follows from it. While the disk refuses, nothing follows:
//! what runs is watched, and what should be done waits.

use std::collections::VecDeque;
use std::io::ErrorKind;

use super::driver::{DriveError, Driver};
use super::{Effect, Outcome};
use crate::base::{Clock, Millis, Timestamp};
use crate::run::store::{Durability, Reserve, StoreError, free_bytes};
use crate::run::{Event, Record};
use crate::world::SystemClock;

/// A disk that refused is asked again after this.
const TRY_EVERY: Millis = Millis(1_000);

/// What could not be written or done yet.
#[derive(Debug)]
pub(super) struct Backlog {
    /// In order: records, and what waits for them.
    waiting: VecDeque<Effect>,
    /// Since when the disk refuses, and when it is asked again.
    refused: Option<(Timestamp, Timestamp)>,
    /// The last heartbeat could not be written.
    mute: bool,
    reserve: Reserve,
}

impl Backlog {
    pub(super) fn new(run_dir: &std::path::Path) -> Self {
        Self {
            waiting: VecDeque::new(),
            refused: None,
            mute: false,
            reserve: Reserve::keep(run_dir),
        }
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
                self.only_look();
                Ok(None)
            }
            Some(Err(error)) => Err(error.into()),
            None => {
                self.only_look();
                Ok(None)
            }
        }
    }

    /// Somebody asked the controller to go: that cannot wait for a disk.
    pub(super) fn go_unrecorded(&mut self) -> Option<Outcome> {
        let lost = self.backlog.records();
        let end = self
            .backlog
            .waiting
            .drain(..)
            .find_map(|effect| match effect {
                Effect::Finish(outcome) => Some(outcome),
                _ => None,
            })?;
        self.audience.message(&format!(
            "{lost} lines could not be recorded: the next `toolorch up` finds out what they said"
        ));
        Some(end)
    }

    /// Says that the owner lives. A heartbeat that cannot be written is missed by other machines alone: here the process
    /// is seen.
    pub(super) fn renew(&mut self) -> Result<(), DriveError> {
        match self.journal.renew(SystemClock.now()) {
            Err(error @ StoreError::Io { .. }) => {
                if !std::mem::replace(&mut self.backlog.mute, true) {
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
            self.audience.event(&record, self.brain.state());
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

    /// Looks change nothing and need no record.
    fn only_look(&mut self) {
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
        let released = is_full(error) && self.backlog.reserve.release();
        // With the reserve gone there may be room at once.
        let again = if released { now } else { again };
        self.backlog.refused = Some((now, again));
        let dir = self.journal.owner().dir().to_owned();
        let free = free_bytes(&dir).map_or("an unknown number of".to_owned(), |n| n.to_string());
        let kept = if released {
            "; the reserve of 1 MiB is used now"
        } else {
            ""
        };
        self.audience.message(&format!(
            "{error}; {free} bytes are free there{kept}\nuntil it can be written nothing is started or stopped; what runs goes on and is watched, and `toolorch down` works"
        ));
    }

    fn accepted(&mut self, now: Timestamp) {
        if let Some((since, _)) = self.backlog.refused.take() {
            let length = now.since(since);
            self.audience
                .message(&format!("the journal is written again, after {length}"));
        }
    }
}

fn is_full(error: &StoreError) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
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
