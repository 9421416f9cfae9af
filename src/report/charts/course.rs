//! All that charts are drawn from.

use super::alarms::{self, Told};
use super::class::Classes;
use super::frame::Frame;
use super::lanes::{self, Group, Lane};
use super::nodes::{self, NodeSeries};
use super::pace::{self, Pace};
use super::servers::{self, ClassSeries};
use super::spread::Spread;
use super::standstill::Hangs;
use crate::base::{Millis, Timestamp, UnitId};
use crate::facts::Exit;
use crate::facts::samples::Samples;
use crate::plan::Plan;
use crate::report::clock::Clock;
use crate::run::{Event, GaveUp, Phase, Record, RunState, StopWhy, Verdict};

/// So many pieces series over time have at most: a chart is a thousand points wide.
const PIECES: u64 = 240;
/// And so many bars.
const BARS: u64 = 120;

/// All that charts are drawn from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Charts {
    /// Models and services, in the order of their hues.
    pub classes: Classes,
    /// How many bars histograms have.
    pub bins: usize,
    /// How the times of calls are spread, evaluation by evaluation, as the report has them.
    pub spreads: Vec<Vec<Spread>>,
    /// What happened; none of results that somebody made without us.
    pub course: Option<Course>,
}

/// What happened in a run, by the cluster's clock: in a rehearsal that begins with the first record and goes faster.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// In a rehearsal: hours of the cluster in an hour here.
    pub speed: Option<f64>,
    /// When it began and ended by the clock here.
    pub here: (Timestamp, Timestamp),
    /// The time that it took, in narrow pieces.
    pub frame: Frame,
    /// The same in wider ones, for bars.
    pub bars: Frame,
    /// It goes on.
    pub goes_on: bool,
    /// Units and their attempts.
    pub groups: Vec<Group>,
    /// Times in which nobody watched, or the watcher stood still.
    pub unwatched: Vec<(Timestamp, Timestamp)>,
    /// Alarms of all owners, oldest first.
    pub alarms: Vec<Told>,
    /// By evaluation, those that finished something: how fast, by `bars`.
    pub paces: Vec<Pace>,
    /// By model or service, those that were sampled, by `frame`.
    pub servers: Vec<ClassSeries>,
    /// By node, those whose GPUs were sampled, by `frame`.
    pub nodes: Vec<NodeSeries>,
    /// Why there are no samples, or what of them could not be read.
    pub unsampled: Vec<String>,
}

/// How people are told of it; the words are those of other views.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// How a unit ended.
    pub ended: fn(&Exit) -> String,
    /// Why it is not started again.
    pub gave_up: fn(&GaveUp) -> String,
    /// Why it was stopped.
    pub stop: fn(&StopWhy) -> &'static str,
    /// How an evaluation ended.
    pub verdict: fn(&Verdict) -> String,
}

/// What was recorded of a run.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// Its journal.
    pub records: &'a [Record],
    /// The fold of it.
    pub state: &'a RunState,
    /// What was sampled, or why that cannot be read.
    pub samples: Result<&'a Samples, String>,
}

/// A controller that takes a run so soon after the last line took it over without a pause.
const AT_ONCE: Millis = Millis::from_secs(3);

impl Course {
    /// From all that was recorded; none if that is nothing.
    pub fn of(recorded: Recorded<'_>, classes: &Classes, words: &Words) -> Option<Self> {
        let Recorded {
            plan,
            records,
            state,
            samples,
        } = recorded;
        let records = current(records);
        let (first, last) = (records.first()?.at, records.last()?.at);
        let none = Samples::default();
        let (samples, mut unsampled) = match samples {
            Ok(samples) => (samples, samples.torn.clone()),
            Err(why) => (&none, vec![why]),
        };
        let goes_on = state.phase == Phase::Running;
        // What was sampled after the last line is of a run that goes on.
        let seen = samples.span().map_or(last, |(_, seen)| seen);
        let last = if goes_on { last.max(seen) } else { last };
        let speed = plan.shares.speed;
        let clock = Clock {
            from: first,
            speed: speed.unwrap_or(1.0),
        };
        let told = told(&records, clock);
        let sampled = speed.map(|_| samples.by_clock(|at| clock.moment(at)));
        let samples = sampled.as_ref().unwrap_or(samples);
        let to = clock.moment(last);
        let frame = Frame::new(first, to, PIECES, Millis(0));
        let bars = Frame::new(first, to, BARS, Millis(0));
        let source = lanes::Source {
            plan,
            samples,
            words,
        };
        let groups = lanes::groups(&told, &source, classes, to);
        let clients: Vec<UnitId> = plan.evals.iter().map(|eval| eval.unit.clone()).collect();
        let starts = servers::starts(&told, &clients);
        let hangs = Hangs::of(&groups);
        let servers = servers::series(samples, classes, &frame, &starts, &hangs);
        if servers.is_empty() && unsampled.is_empty() {
            unsampled.push("no server was sampled: the run was too short, or none of them has counters that are known".to_owned());
        }
        let unwatched = unwatched(&records).into_iter();
        let paces = plan.evals.iter();
        Some(Self {
            speed,
            here: (first, last),
            goes_on,
            groups,
            unwatched: unwatched
                .map(|(from, to)| (clock.moment(from), clock.moment(to)))
                .collect(),
            alarms: alarms::told(&told),
            paces: paces
                .filter_map(|eval| pace::pace(&told, &eval.name, clock, &bars))
                .collect(),
            nodes: nodes::nodes(samples, plan, classes, &frame),
            frame,
            bars,
            servers,
            unsampled,
        })
    }

    /// A moment of it by the clock here.
    pub fn here_at(&self, at: Timestamp) -> Timestamp {
        self.clock().here(at)
    }

    /// In a rehearsal: how long after its begin a moment is.
    pub fn after(&self, at: Timestamp) -> Option<Millis> {
        self.speed.map(|_| at.since(self.here.0))
    }

    fn clock(&self) -> Clock {
        Clock {
            from: self.here.0,
            speed: self.speed.unwrap_or(1.0),
        }
    }

    /// How often servers and clients were started again: starts beyond the first of each unit, but for those after a rehearsal
    /// had killed a client itself.
    pub fn restarts(&self) -> u64 {
        let lanes = self.groups.iter().flat_map(|group| &group.lanes);
        let again = lanes.map(|lane| lane.starts.saturating_sub(1 + lane.tries()));
        again.sum()
    }

    /// How often a rehearsal killed a client itself.
    pub fn tries(&self) -> u64 {
        let lanes = self.groups.iter().flat_map(|group| &group.lanes);
        lanes.map(Lane::tries).sum()
    }
}

/// Records of superseded owners change nothing.
fn current(records: &[Record]) -> Vec<&Record> {
    let mut highest = None;
    let current = records.iter().filter(|record| {
        let counts = highest.is_none_or(|highest| record.epoch >= highest);
        if counts {
            highest = Some(record.epoch);
        }
        counts
    });
    current.collect()
}

/// The same by another clock.
fn told(records: &[&Record], clock: Clock) -> Vec<Record> {
    let told = records.iter().map(|record| Record {
        at: clock.moment(record.at),
        ..Record::clone(record)
    });
    told.collect()
}

fn unwatched(records: &[&Record]) -> Vec<(Timestamp, Timestamp)> {
    let mut gaps = Vec::new();
    let mut before: Option<Timestamp> = None;
    for record in records {
        let since = before.replace(record.at);
        match record.event {
            Event::OwnerTook { .. } | Event::DownBegan { .. } => {
                let since = since.filter(|since| record.at.since(*since) > AT_ONCE);
                gaps.extend(since.map(|since| (since, record.at)));
            }
            Event::OwnerAway { length } => {
                let since = Timestamp(record.at.0.saturating_sub(length.0));
                gaps.push((since, record.at));
            }
            _ => {}
        }
    }
    gaps
}
