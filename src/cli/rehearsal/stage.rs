//! The companion of a rehearsal's drive: sees what happens, and brings trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::course::Course;
use super::looks::{Looks, Seen};
use super::trouble::Trouble;
use crate::base::{EvalName, Millis, Name, Timestamp, UnitId, floor};
use crate::cli::args::RehearseArgs;
use crate::cli::companion::Companion;
use crate::facts::exposition::{total, up_to};
use crate::knowledge::metrics;
use crate::plan::rehearsal::Rehearsal;
use crate::plan::{Plan, Unit, UnitKind};
use crate::run::store::RunDir;
use crate::run::{Event, Record, RunState, UnitPhase};
use crate::sim::Planned;
use crate::supervise::Audience;
use crate::world;

/// What goes along with the drive.
pub(in crate::cli) struct Stage {
    kill: bool,
    /// A file that names the run for later rehearsals.
    marker: PathBuf,
    run: Option<RunDir>,
    plan: Option<Plan>,
    courses: BTreeMap<EvalName, Course>,
    looks: Looks,
    externals: Vec<(Name, String)>,
    trouble: Trouble,
    /// What the servers had counted when the first client started: probes and warm-ups.
    before: Option<Books>,
    books: Books,
    dropped: BTreeSet<String>,
    /// Looks at sockets, and where they led that is not declared.
    looked: BTreeMap<EvalName, u64>,
    strangers: BTreeSet<String>,
    first_launch: Option<Timestamp>,
    all_ready: Option<Timestamp>,
}

/// What the servers counted.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Requests and their seconds by model.
    pub(super) models: BTreeMap<Name, (u64, f64)>,
    /// Requests by external.
    pub(super) externals: BTreeMap<Name, u64>,
}

/// What was seen, once it is over.
pub(in crate::cli) struct Watched {
    pub(super) plan: Option<Plan>,
    pub(super) courses: BTreeMap<EvalName, Course>,
    pub(super) seen: BTreeMap<EvalName, Seen>,
    pub(super) books: Books,
    pub(super) startup: Millis,
    /// Looks at the sockets of clients.
    pub(super) looked: BTreeMap<EvalName, u64>,
    /// Where these led that is not declared.
    pub(super) strangers: BTreeSet<String>,
    /// What clients were not given.
    pub(super) dropped: BTreeSet<String>,
    /// What was to be brought in: whether it was done, and what came of it, in words.
    pub(super) faults: Vec<(bool, String)>,
}

impl Stage {
    pub(in crate::cli) fn new(
        rehearsal: &Rehearsal,
        args: &RehearseArgs,
        planned: Vec<Planned>,
        marker: PathBuf,
    ) -> Self {
        Self {
            kill: !args.no_kill,
            marker,
            run: None,
            plan: None,
            courses: BTreeMap::new(),
            looks: Looks::begin(),
            externals: rehearsal.externals.clone(),
            trouble: Trouble::new(planned),
            before: None,
            books: Books::default(),
            dropped: BTreeSet::new(),
            looked: BTreeMap::new(),
            strangers: BTreeSet::new(),
            first_launch: None,
            all_ready: None,
        }
    }

    pub(in crate::cli) fn end(mut self) -> Watched {
        // One that was left before its end still has its servers.
        if self.books.models.is_empty() {
            self.books = self.read_books();
        }
        if let Some(before) = &self.before {
            self.books.subtract(before);
        }
        let startup = match (self.first_launch, self.all_ready) {
            (Some(first), Some(last)) => last.since(first),
            _ => Millis(0),
        };
        Watched {
            plan: self.plan,
            courses: self.courses,
            seen: self.looks.end(),
            books: self.books,
            startup,
            looked: self.looked,
            strangers: self.strangers,
            dropped: self.dropped,
            faults: self.trouble.end(),
        }
    }

    /// The run, if it began.
    pub(in crate::cli) fn run(&self) -> Option<RunDir> {
        self.run.clone()
    }

    /// The evaluation whose client this unit is.
    fn eval_of(&self, unit: &UnitId) -> Option<EvalName> {
        let plan = self.plan.as_ref()?;
        match &plan.unit(unit)?.kind {
            UnitKind::Eval { name } => Some(name.clone()),
            _ => None,
        }
    }

    fn unit_event(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::LaunchIntended { .. } => {
                self.first_launch.get_or_insert(at);
            }
            Event::Launched { unit, .. } => {
                let Some(eval) = self.eval_of(unit) else {
                    return;
                };
                if let Some(course) = self.courses.get_mut(&eval) {
                    course.launched(at);
                }
            }
            Event::Started {
                unit, pid, start, ..
            } => {
                let Some(eval) = self.eval_of(unit) else {
                    return;
                };
                self.looks.follow(&eval, *pid);
                self.trouble.begin();
                if self.before.is_none() {
                    self.before = Some(self.read_books());
                }
                if let Some(course) = self.courses.get_mut(&eval) {
                    course.started(*pid, *start);
                }
            }
            Event::Exited { unit, .. } | Event::Stopped { unit, .. } => {
                let Some(eval) = self.eval_of(unit) else {
                    return;
                };
                self.looks.leave(&eval);
                if let Some(course) = self.courses.get_mut(&eval) {
                    course.ended(at);
                }
            }
            _ => {}
        }
    }

    /// What the servers counted until now.
    fn read_books(&self) -> Books {
        let Some(plan) = &self.plan else {
            return Books::default();
        };
        let mut asked: Vec<(Asked, String)> = Vec::new();
        for unit in plan.servers() {
            let Some(port) = unit.port else { continue };
            let base = format!("http://{}:{port}", unit.address);
            match whose(unit, &self.externals) {
                Some(Asked::External(name)) => {
                    asked.push((Asked::External(name), format!("{base}/sim/books")));
                }
                Some(model) => asked.push((model, format!("{base}/metrics"))),
                None => {}
            }
        }
        let (asked, urls): (Vec<Asked>, Vec<String>) = asked.into_iter().unzip();
        let mut books = Books::default();
        for (asked, body) in asked.into_iter().zip(world::scrape(urls)) {
            let Some(body) = body else { continue };
            match asked {
                Asked::Model(name) => {
                    let entry = books.models.entry(name).or_default();
                    // Answers of one token are canaries of ours.
                    let canaries = up_to(&body, metrics::REQUEST_GENERATION_TOKENS, 1.0);
                    entry.0 += floor::<u64>(total(&body, metrics::SUCCESS) - canaries);
                    entry.1 += total(&body, &format!("{}_sum", metrics::E2E_LATENCY));
                }
                Asked::External(name) => {
                    *books.externals.entry(name).or_default() += posts(&body);
                }
            }
        }
        books
    }
}

impl Books {
    /// Takes away what was counted before; a server that started again counts from nothing.
    fn subtract(&mut self, before: &Self) {
        for (name, (requests, seconds)) in &mut self.models {
            if let Some((earlier, of_them)) = before.models.get(name) {
                *requests = requests.saturating_sub(*earlier);
                *seconds = (*seconds - of_them).max(0.0);
            }
        }
        for (name, requests) in &mut self.externals {
            let earlier = before.externals.get(name).copied().unwrap_or(0);
            *requests = requests.saturating_sub(earlier);
        }
    }
}

/// Whom a server's books speak of.
enum Asked {
    Model(Name),
    External(Name),
}

fn whose(unit: &Unit, externals: &[(Name, String)]) -> Option<Asked> {
    match &unit.kind {
        UnitKind::Replica { model, .. } => Some(Asked::Model(model.clone())),
        UnitKind::Service { name } => {
            let stands = externals.iter().any(|(stand_in, _)| stand_in == name);
            stands.then(|| Asked::External(name.clone()))
        }
        UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => None,
    }
}

/// Requests with a body that a stand-in answered.
fn posts(books: &str) -> u64 {
    let read: Result<serde_json::Value, _> = serde_json::from_str(books);
    let Some(counts) = read
        .as_ref()
        .ok()
        .and_then(|books| books["requests"].as_object())
    else {
        return 0;
    };
    let posts = counts.iter().filter(|(path, _)| path.starts_with("POST "));
    posts.filter_map(|(_, count)| count.as_u64()).sum()
}

impl Companion for Stage {
    fn begins(&mut self, dir: &RunDir, plan: &Plan) {
        self.trouble.takes_place(plan, dir.id());
        // Without it the next rehearsal asks before it ends this one's remains.
        let _ = std::fs::write(&self.marker, dir.id().as_str());
        self.run = Some(dir.clone());
        let courses = plan.evals.iter();
        self.courses = courses
            .map(|eval| (eval.name.clone(), Course::new(eval)))
            .collect();
        self.plan = Some(plan.clone());
    }
}

impl Audience for Stage {
    fn event(&mut self, record: &Record, state: &RunState) {
        match &record.event {
            Event::EvalProgress { eval, total, .. } => {
                if let Some(course) = self.courses.get_mut(eval) {
                    course.total = *total;
                }
            }
            Event::FilesRaised { eval, to, .. } => {
                if let Some(course) = self.courses.get_mut(eval) {
                    course.files_raised = Some(*to);
                }
            }
            Event::EvalEnded { eval, .. } => {
                if let Some(course) = self.courses.get_mut(eval) {
                    course.look(record.at);
                }
                // They may be about to end.
                self.books = self.read_books();
            }
            Event::OutsideCall { place, .. } => {
                self.strangers.insert(place.clone());
            }
            Event::Routed {
                eval,
                looks,
                dropped,
                ..
            } => {
                *self.looked.entry(eval.clone()).or_default() += looks;
                self.dropped.extend(dropped.iter().flatten().cloned());
            }
            Event::Ready { .. } => {
                let Some(plan) = &self.plan else { return };
                let ready = |unit: &Unit| matches!(state.unit(&unit.id).phase, UnitPhase::Ready(_));
                if self.all_ready.is_none() && plan.servers().all(ready) {
                    self.all_ready = Some(record.at);
                }
            }
            event => self.unit_event(record.at, event),
        }
    }

    fn message(&mut self, _: &str) {}

    fn tick(&mut self, now: Timestamp, _: &RunState, _: &BTreeMap<UnitId, String>) {
        for course in self.courses.values_mut().filter(|course| course.is_open()) {
            let written = course.look(now);
            if self.kill {
                course.kill_in_the_middle(now, written);
            }
        }
    }
}
