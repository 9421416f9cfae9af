//! What became of each unit over time: its attempts, what it did in them, and what happened to it.

use std::collections::BTreeMap;

use super::class::Classes;
use super::course::Words;
use super::standstill;
use crate::base::{Timestamp, UnitId};
use crate::facts::Liveness;
use crate::facts::samples::Samples;
use crate::plan::{Plan, UnitKind};
use crate::run::{Event, Record};

/// Units that are one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What clients call it, where that is another name.
    pub key: Option<String>,
    /// Its hue, if it has one.
    pub class: Option<usize>,
    /// Its units, in the order of the plan.
    pub lanes: Vec<Lane>,
}

/// One unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Which.
    pub unit: UnitId,
    /// What tells it from others of its group: `0`; empty where it is alone.
    pub label: String,
    /// What it did, in the order of time.
    pub spans: Vec<Span>,
    /// What happened to it.
    pub marks: Vec<Mark>,
    /// How often it was started.
    pub starts: u64,
}

impl Lane {
    /// How often a rehearsal killed it.
    pub fn tries(&self) -> u64 {
        let tries = self
            .marks
            .iter()
            .filter(|mark| mark.kind == MarkKind::Tried);
        tries.count() as u64
    }
}

/// What a unit did for some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// What.
    pub doing: Doing,
    /// The same in words.
    pub words: String,
}

/// What a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Its start waits in a queue.
    Queued,
    /// It starts.
    Starting,
    /// A server is ready, a client runs.
    Ready,
    /// It is ready, and not well.
    Troubled,
    /// It stands still with requests in flight.
    Hung,
    /// It is being stopped.
    Stopping,
    /// An evaluation that waits for what it requires.
    Held,
}

/// What happened to a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: MarkKind,
    /// The same in words.
    pub words: String,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// It ended, and nobody had asked for that.
    Died,
    /// A rehearsal killed a client, to see whether it resumes.
    Tried,
    /// It is not started again.
    GaveUp,
    /// An evaluation is over.
    Over,
}

/// How a shell says that something was killed (SIGKILL).
const KILLED: i32 = 137;

/// A lane that is being filled.
#[derive(Default)]
struct Open {
    spans: Vec<Span>,
    marks: Vec<Mark>,
    now: Option<(Timestamp, Doing, String)>,
    start: String,
    starts: u64,
}

impl Open {
    fn turn(&mut self, at: Timestamp, doing: Doing, words: String) {
        self.rest(at);
        self.now = Some((at, doing, words));
    }

    /// The same, where what it turned to is known late.
    fn had_turned(&mut self, since: Timestamp, doing: Doing, words: String) {
        let began = self.now.as_ref().map(|(began, _, _)| *began);
        self.turn(since.max(began.unwrap_or(since)), doing, words);
    }

    fn rest(&mut self, at: Timestamp) {
        if let Some((from, doing, words)) = self.now.take() {
            self.spans.push(Span {
                from,
                to: at.max(from),
                doing,
                words,
            });
        }
    }

    fn mark(&mut self, at: Timestamp, kind: MarkKind, words: String) {
        self.marks.push(Mark { at, kind, words });
    }

    fn was_tried(&self) -> bool {
        self.marks.iter().any(|mark| mark.kind == MarkKind::Tried)
    }

    fn does(&self, doing: Doing) -> bool {
        matches!(&self.now, Some((_, now, _)) if *now == doing)
    }
}

/// What lanes are told by, beside the journal.
pub(super) struct Source<'a> {
    pub(super) plan: &'a Plan,
    pub(super) samples: &'a Samples,
    pub(super) words: &'a Words,
}

/// All units of the plan that were ever started, and those of the journal that are no longer in it. Evaluations come first.
pub(super) fn groups(
    records: &[Record],
    source: &Source<'_>,
    classes: &Classes,
    end: Timestamp,
) -> Vec<Group> {
    let plan = source.plan;
    let mut open: BTreeMap<UnitId, Open> = BTreeMap::new();
    for record in records {
        apply(&mut open, record, source);
    }
    let mut lanes: BTreeMap<UnitId, Lane> = open
        .into_iter()
        .map(|(unit, mut open)| {
            open.rest(end);
            let lane = Lane {
                unit: unit.clone(),
                label: unit.to_string(),
                spans: open.spans,
                marks: open.marks,
                starts: open.starts,
            };
            (unit, lane)
        })
        .collect();
    let mut groups: Vec<Group> = Vec::new();
    let (clients, servers): (Vec<_>, Vec<_>) =
        (plan.units.iter()).partition(|unit| matches!(unit.kind, UnitKind::Eval { .. }));
    for unit in clients.into_iter().chain(servers) {
        let Some(mut lane) = lanes.remove(&unit.id) else {
            continue;
        };
        let class = classes.of_unit(&unit.id);
        let known = class.and_then(|class| classes.all().get(class));
        let (name, label) = match &unit.kind {
            UnitKind::Replica { model, index } => (model.to_string(), index.to_string()),
            UnitKind::Service { name } => (name.to_string(), String::new()),
            UnitKind::Tunnel { node } => ("tunnels".to_owned(), node.to_string()),
            UnitKind::Eval { name } => (format!("{name}, its client"), String::new()),
        };
        lane.label = label;
        match groups.last_mut().filter(|group| group.name == name) {
            Some(group) => group.lanes.push(lane),
            None => groups.push(Group {
                name,
                key: known.and_then(|class| class.key.clone()),
                class,
                lanes: vec![lane],
            }),
        }
    }
    if !lanes.is_empty() {
        groups.push(Group {
            name: "no longer in the plan".to_owned(),
            key: None,
            class: None,
            lanes: lanes.into_values().collect(),
        });
    }
    groups
}

fn apply(open: &mut BTreeMap<UnitId, Open>, record: &Record, source: &Source<'_>) {
    let at = record.at;
    let words = source.words;
    match &record.event {
        Event::LaunchIntended {
            unit, generation, ..
        } => {
            let own = open.entry(unit.clone()).or_default();
            own.starts += 1;
            own.start = format!("start {generation}");
            let said = format!("{}: starting", own.start);
            own.turn(at, Doing::Starting, said);
        }
        Event::EvalHeld {
            eval, unit, why, ..
        } => {
            let own = open.entry(unit.clone()).or_default();
            own.turn(at, Doing::Held, format!("{eval} is held: {why}"));
        }
        Event::EvalEnded { eval, verdict } => {
            let own = open.entry(UnitId::eval(eval)).or_default();
            if own.does(Doing::Held) {
                own.rest(at);
            }
            own.mark(at, MarkKind::Over, (words.verdict)(verdict));
        }
        Event::EvalResumed { eval, .. } => {
            if let Some(own) = open.get_mut(&UnitId::eval(eval)) {
                own.rest(at);
            }
        }
        event => {
            if let Some((unit, own)) =
                of_unit(event).and_then(|unit| Some((unit, open.get_mut(unit)?)))
            {
                step(own, at, event, unit, source);
            }
        }
    }
}

/// The unit that an event of a start is about.
fn of_unit(event: &Event) -> Option<&UnitId> {
    match event {
        Event::Queued { unit, .. }
        | Event::Started { unit, .. }
        | Event::LaunchFailed { unit, .. }
        | Event::Ready { unit, .. }
        | Event::Judged { unit, .. }
        | Event::Exited { unit, .. }
        | Event::GaveUp { unit, .. }
        | Event::StopIntended { unit, .. }
        | Event::Stopped { unit, .. } => Some(unit),
        _ => None,
    }
}

fn step(own: &mut Open, at: Timestamp, event: &Event, unit: &UnitId, source: &Source<'_>) {
    let Source { plan, words, .. } = source;
    let start = own.start.clone();
    let is_client = plan
        .unit(unit)
        .is_some_and(|unit| matches!(unit.kind, UnitKind::Eval { .. }));
    match event {
        Event::Queued { why, .. } => {
            own.turn(at, Doing::Queued, format!("{start}: in the queue: {why}"));
        }
        Event::Started { .. } if is_client && own.does(Doing::Starting) => {
            own.turn(at, Doing::Ready, format!("{start}: runs"));
        }
        Event::Started { .. } if !is_client && own.does(Doing::Queued) => {
            own.turn(at, Doing::Starting, format!("{start}: starting"));
        }
        Event::LaunchFailed { why, .. } => {
            own.rest(at);
            own.mark(at, MarkKind::Died, format!("{start} failed: {why}"));
        }
        Event::Ready { .. } if !own.does(Doing::Ready) => {
            own.turn(at, Doing::Ready, format!("{start}: ready"));
        }
        Event::Judged {
            generation,
            liveness,
            why,
            ..
        } => match liveness {
            Liveness::Well if own.does(Doing::Troubled) || own.does(Doing::Hung) => {
                own.turn(at, Doing::Ready, format!("{start}: ready"));
            }
            Liveness::Well => {}
            Liveness::Stalled if own.does(Doing::Ready) || own.does(Doing::Troubled) => {
                let since = standstill::since(source.samples, unit, *generation, at);
                let said = format!("{start}: hangs: {why}");
                own.had_turned(since.unwrap_or(at), Doing::Hung, said);
            }
            _ if own.does(Doing::Ready) || own.does(Doing::Troubled) => {
                own.turn(at, Doing::Troubled, format!("{start}: {why}"));
            }
            _ => {}
        },
        Event::StopIntended { why, .. } if !own.does(Doing::Held) => {
            let why = (words.stop)(why);
            own.turn(at, Doing::Stopping, format!("{start}: stopped: {why}"));
        }
        Event::Exited { exit, .. } => {
            let is_held = own.does(Doing::Held);
            let was_stopped = own.does(Doing::Stopping) || exit.requested || is_held;
            if !is_held {
                own.rest(at);
            }
            let tries = source.plan.shares.speed.is_some() && is_client;
            if tries && exit.code == Some(KILLED) && !exit.requested && !own.was_tried() {
                let said = "killed by the rehearsal itself, to see whether it resumes";
                own.mark(at, MarkKind::Tried, format!("{start}: {said}"));
                return;
            }
            // A client that comes to its end is no server that died.
            if !(was_stopped || is_client && exit.code == Some(0)) {
                let ended = (words.ended)(exit);
                own.mark(at, MarkKind::Died, format!("{start} ended {ended}"));
            }
        }
        Event::Stopped { .. } if !own.does(Doing::Held) => own.rest(at),
        Event::GaveUp { why, .. } => {
            own.rest(at);
            let why = (words.gave_up)(why);
            own.mark(at, MarkKind::GaveUp, format!("given up: {why}"));
        }
        _ => {}
    }
}
