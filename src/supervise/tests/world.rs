//! A world with moods: it answers what a brain asks for, late, wrongly or not at all, and keeps
//! count of what really lives.

use std::collections::{BTreeMap, BTreeSet};

use super::story::plan_of;
use crate::base::{
    Epoch, EvalName, Generation, GpuIndex, LaunchId, Millis, RunId, Timestamp, UnitId,
};
use crate::facts::{
    Canary, Counters, Door, Exit, GpuSeen, Look, Observation, ProbeFailure, ProbeOutcome, Pulse,
    RunningUnit, Signal,
};
use crate::plan::{Plan, UnitKind};
use crate::run::{Event, Handle, Record, Retry, RunState, UnitPhase};
use crate::spec::model::LauncherKind;
use crate::supervise::{
    Again, Ask, Brain, Configured, Counts, Effect, Goal, Input, LaunchFailure, Outcome, Signs,
};

/// Questions of each evaluation.
const TOTAL: usize = 40;

/// How unkind the world is, each in percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moods {
    /// A start is refused, fails, hangs, or is reported wrongly.
    pub(super) bad_start: u32,
    /// A probe says no.
    pub(super) bad_probe: u32,
    /// A unit dies within its first two minutes.
    pub(super) death: u32,
    /// A look tells nothing, or is lost.
    pub(super) blind: u32,
    /// A stop, a count or a configuration fails.
    pub(super) bad_answer: u32,
    /// The controller is killed, at each of its first steps.
    pub(super) crash: u32,
    /// Somebody presses Ctrl-C, at each of its first steps.
    pub(super) leave: u32,
}

/// No trouble at all.
pub(super) const BENIGN: Moods = Moods {
    bad_start: 0,
    bad_probe: 0,
    death: 0,
    blind: 0,
    bad_answer: 0,
    crash: 0,
    leave: 0,
};

/// Chance from a seed: an xorshift.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn percent(&mut self, share: u32) -> bool {
        self.below(100) < u64::from(share)
    }
}

#[derive(Debug, Clone)]
struct Life {
    generation: Generation,
    launch: LaunchId,
    /// Its script hangs before the program starts.
    mute: bool,
    /// Leader and script are gone, something else of it is not.
    remnant: bool,
}

#[derive(Debug, Clone)]
enum File {
    Absent,
    Running(Generation, LaunchId),
    Exited(Exit),
}

#[derive(Debug)]
struct Place {
    lives: Vec<Life>,
    file: File,
}

#[derive(Debug, Clone)]
enum Happening {
    /// For the owner of this epoch alone.
    Tell(Epoch, Input),
    Appear(UnitId, Generation, LaunchId, u64),
    Die(UnitId, Generation, bool),
    Kill(UnitId, Generation, Epoch, bool),
    Work(EvalName, Generation),
    Look(Epoch),
}

/// Results of an evaluation.
#[derive(Debug, Clone, Copy, Default)]
struct Results {
    /// Complete ones.
    done: usize,
    /// Of these, errors that are to be asked again.
    due: usize,
    /// Errors that were set aside and wait for a newer result.
    waiting: usize,
    /// Errors were set aside: what is asked from now on is answered.
    asked_again: bool,
}

impl Results {
    fn counts(self) -> Counts {
        Counts {
            done: self.done,
            errors: self.due,
            due: self.due,
            waiting: self.waiting,
            total: TOTAL,
            finished: self.done == TOTAL,
            ..Counts::default()
        }
    }

    fn set_aside(&mut self) {
        self.asked_again |= self.due > 0;
        self.done -= self.due;
        self.waiting += std::mem::take(&mut self.due);
    }

    fn bring_back(&mut self) {
        let missing = TOTAL - self.done;
        let back = std::mem::take(&mut self.waiting).min(missing);
        self.done += back;
        self.due += back;
    }
}

/// The world, the brain in it, and what both did.
pub(super) struct World {
    plan: Plan,
    goal: Goal,
    moods: Moods,
    /// From then on the world is benign.
    peace: Timestamp,
    dice: Dice,
    now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    counter: u64,
    places: BTreeMap<UnitId, Place>,
    done: BTreeMap<EvalName, Results>,
    /// Starts of a killed owner that were under way.
    strays: BTreeSet<UnitId>,
    brain: Brain,
    records: Vec<Record>,
    folded: RunState,
    epoch: Epoch,
    finished: Option<Outcome>,
}

const YAML: &str = "
models:
  m: { engine: sim, model: org/m, node: n, replicas: 3, port: 9100, min_ready: 2, cache: warm-first, ready: { timeout: 1m } }
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 1m } }
client_config: { format: toolorchestra, path: c.json }
evals:
  e: { command: [client, '{config}'], results: out, requires: [m, a], limits: { stall: 3m, first_result: 2m } }
  f: { command: [client], results: out2, requires: [a], after: { e: ended }, limits: { stall: 3m, first_result: 2m } }
when_done: ";

impl World {
    pub(super) fn new(seed: u64, moods: Moods, keep: bool) -> Self {
        let mut plan = plan_of(&format!("{YAML}{}", if keep { "keep" } else { "down" }));
        for unit in &mut plan.units {
            if matches!(unit.kind, UnitKind::Replica { .. }) {
                unit.gpus = vec![GpuIndex(0)];
            }
        }
        let evals: Vec<EvalName> = plan.evals.iter().map(|eval| eval.name.clone()).collect();
        let goal = Goal {
            start_servers: true,
            evals: evals.clone(),
        };
        let now = Timestamp(1_000_000_000);
        let places = (plan.units.iter())
            .map(|unit| {
                let place = Place {
                    lives: Vec::new(),
                    file: File::Absent,
                };
                (unit.id.clone(), place)
            })
            .collect();
        let mut world = Self {
            brain: Brain::new(plan.clone(), goal.clone(), RunState::default(), Epoch(0)),
            plan,
            goal,
            moods,
            peace: now + Millis::from_secs(600),
            dice: Dice(seed | 1),
            now,
            queue: BTreeMap::new(),
            counter: 0,
            places,
            done: (evals.into_iter())
                .map(|eval| (eval, Results::default()))
                .collect(),
            strays: BTreeSet::new(),
            records: Vec::new(),
            folded: RunState::default(),
            epoch: Epoch(0),
            finished: None,
        };
        world.note(Event::RunStarted {
            run: RunId::new("t-1-0000"),
            cluster: world.plan.cluster.clone(),
            plan_sha256: String::new(),
            version: "0".to_owned(),
            rebuilt: false,
        });
        world
    }

    /// Until an owner says its last word that is not killed; how it ended.
    pub(super) fn live(&mut self) -> Outcome {
        self.own();
        for _ in 0..1_000_000 {
            if let Some(outcome) = self.finished.clone() {
                self.aftermath(&outcome);
                return outcome;
            }
            self.one_thing();
        }
        panic!(
            "it never ends; now {:?}, state {:#?}, tasks {:#?}",
            self.now, self.folded, self.brain
        );
    }

    fn note(&mut self, event: Event) {
        let record = Record {
            v: Record::FORMAT,
            seq: self.folded.seq + 1,
            at: self.now,
            epoch: self.epoch,
            event,
        };
        self.folded.apply(&record);
        self.records.push(record);
    }

    fn moods(&self) -> Moods {
        if self.now < self.peace {
            self.moods
        } else {
            BENIGN
        }
    }

    fn roll(&mut self, share: impl Fn(Moods) -> u32) -> bool {
        let share = share(self.moods());
        self.dice.percent(share)
    }

    fn soon(&mut self, within: u64, what: Happening) {
        let at = self.now + Millis(1 + self.dice.below(within));
        self.counter += 1;
        self.queue.insert((at, self.counter), what);
    }

    fn tell(&mut self, within: u64, input: Input) {
        self.soon(within, Happening::Tell(self.epoch, input));
    }

    /// A controller takes the run.
    fn own(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.note(Event::OwnerTook {
            host: "here".to_owned(),
            pid: 1,
            yaml: None,
        });
        let state = RunState::fold(&self.records);
        assert_eq!(state, self.folded);
        self.brain = Brain::new(self.plan.clone(), self.goal.clone(), state, self.epoch);
        let units: Vec<UnitId> = self.places.keys().cloned().collect();
        let seen = units
            .into_iter()
            .map(|unit| (unit.clone(), self.look(&unit)))
            .collect();
        let counted = (self.done.iter())
            .map(|(eval, done)| (eval.clone(), done.counts()))
            .collect();
        self.soon(10_000, Happening::Look(self.epoch));
        self.feed(Input::Begin { seen, counted });
    }

    /// The next thing that happens: a wake of the brain, or something in the world.
    fn one_thing(&mut self) {
        let wake = self.brain.next_wake();
        let next = self.queue.keys().next().map(|(at, _)| *at);
        assert!(
            wake.is_some() || next.is_some(),
            "nothing will ever happen again"
        );
        let world_first = next.is_some_and(|at| wake.is_none_or(|wake| at <= wake));
        if !world_first {
            self.now = wake.unwrap();
            return self.feed(Input::Tick);
        }
        let ((at, _), what) = self.queue.pop_first().unwrap();
        self.now = at;
        match what {
            Happening::Tell(epoch, input) if epoch == self.epoch => self.feed(input),
            Happening::Appear(unit, generation, launch, fate) => {
                self.appear(&unit, generation, launch, fate);
            }
            Happening::Die(unit, generation, recorded) => self.die(&unit, generation, recorded),
            Happening::Kill(unit, generation, epoch, works) => {
                self.kill(&unit, generation, epoch, works);
            }
            Happening::Work(eval, generation) => self.work(&eval, generation),
            Happening::Look(epoch) if epoch == self.epoch => {
                self.soon(10_000, Happening::Look(epoch));
                let units: Vec<UnitId> = self.brain.looks().cloned().collect();
                for unit in units {
                    let observation = self.look(&unit);
                    self.feed(Input::Seen { unit, observation });
                }
            }
            // To or of an owner that is gone.
            Happening::Tell(..) | Happening::Look(_) => {}
        }
    }

    /// Feeds one input, judges what follows, and does it; or the controller is killed half-way.
    fn feed(&mut self, input: Input) {
        if self.finished.is_some() {
            let late = self.brain.step(input, self.now);
            assert_eq!(late, [], "it spoke after its last word");
            return;
        }
        let mut effects = self.brain.step(input, self.now);
        if self.roll(|moods| moods.leave) {
            let left = Input::Leave(Signal::Interrupt);
            effects.extend(self.brain.step(left, self.now));
        }
        self.judge(&effects);
        let wake = self.brain.next_wake();
        assert!(
            wake.is_none_or(|at| at > self.now),
            "it would spin: {:?}",
            self.brain
        );
        let asked: Vec<Effect> = effects
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Record(_)))
            .collect();
        let killed = self.roll(|moods| moods.crash);
        let performed = if killed {
            usize::try_from(self.dice.below(asked.len() as u64 + 1)).unwrap()
        } else {
            asked.len()
        };
        for effect in asked.into_iter().take(performed) {
            self.perform(effect);
        }
        if killed && self.finished.is_none() {
            self.killed();
        }
    }

    /// The rules that hold for every list of effects; its records are in the journal after this.
    fn judge(&mut self, effects: &[Effect]) {
        let (mut intended, mut last_word) = (None, false);
        for effect in effects {
            match effect {
                Effect::Record(record) => {
                    self.judge_record(&record.event);
                    last_word |= matches!(
                        record.event,
                        Event::OwnerLeft { .. } | Event::RunEnded { .. }
                    );
                    if let Event::LaunchIntended {
                        unit, generation, ..
                    } = &record.event
                    {
                        intended = Some((unit.clone(), *generation));
                    }
                    self.folded.apply(record);
                    self.records.push(record.clone());
                }
                Effect::Launch { .. } | Effect::Stop { .. } if last_word => {
                    panic!("{effect:?} after the last word")
                }
                Effect::Launch {
                    unit, generation, ..
                } => {
                    assert_eq!(intended, Some((unit.clone(), *generation)), "intent first");
                    let lives = &self.places[unit].lives;
                    assert!(
                        lives.is_empty() || self.strays.contains(unit),
                        "{unit} is started while {lives:?} lives\n{}",
                        self.story_of(unit)
                    );
                }
                Effect::Stop { unit, generation } => {
                    let state = self.folded.unit(unit);
                    assert_eq!(state.phase, UnitPhase::Stopping, "intent first");
                    assert_eq!(state.generation, *generation);
                }
                _ => {}
            }
        }
        assert_eq!(&self.folded, self.brain.state(), "state = fold(records)");
    }

    fn judge_record(&self, event: &Event) {
        match event {
            Event::EvalProgress { eval, done, .. } => {
                let before = self.folded.evals.get(eval).map_or(0, |state| state.done);
                let state = self.folded.evals.get(eval);
                let asked_again = state.is_some_and(|state| state.retry != Retry::None);
                assert!(
                    *done >= before || asked_again,
                    "{eval}: {before} done, then {done}"
                );
            }
            Event::RunEnded { .. } => {
                for (unit, place) in &self.places {
                    let lives = &place.lives;
                    assert!(
                        lives.is_empty(),
                        "the run ended and {unit} lives: {lives:?}"
                    );
                }
            }
            _ => {}
        }
    }

    /// The records that name a unit, one a line.
    pub(super) fn story_of(&self, unit: &UnitId) -> String {
        let name = format!("{unit:?}");
        self.records
            .iter()
            .map(|record| format!("{} {} {:?}\n", record.at.0, record.epoch, record.event))
            .filter(|line| line.contains(&name) || line.contains("Owner"))
            .collect()
    }

    /// What must hold once the last word was said.
    fn aftermath(&mut self, outcome: &Outcome) {
        let asks = |record: &&Record| {
            matches!(
                record.event,
                Event::OwnerLeft { .. } | Event::RunEnded { .. }
            )
        };
        let epoch = self.epoch;
        let said = self.records.iter().filter(|r| r.epoch == epoch);
        assert_eq!(said.filter(asks).count(), 1, "one last word");
        if outcome.code == crate::base::ExitStatus::Done {
            assert!(
                (self.done.values()).all(|results| results.done == TOTAL && results.due == 0),
                "done means done"
            );
        }
        let waiting = self.done.values().any(|results| results.waiting > 0);
        let left = outcome.code == crate::base::ExitStatus::Interrupted;
        assert!(
            outcome.kept || left || !waiting,
            "a result is forgotten aside"
        );
        let lives = self.places.values().any(|place| !place.lives.is_empty());
        assert!(outcome.kept || !lives, "something lives on unsaid");
        self.feed(Input::Tick);
        while let Some((_, what)) = self.queue.pop_first() {
            match what {
                Happening::Tell(_, input) => self.feed(input),
                Happening::Appear(unit, generation, launch, _) => {
                    self.appear(&unit, generation, launch, 0);
                }
                _ => {}
            }
        }
        for (unit, place) in &self.places {
            let story = || self.story_of(unit);
            let gone = outcome.kept || place.lives.is_empty();
            assert!(gone, "{unit} shows after the end\n{}", story());
        }
        let cut = usize::try_from(self.dice.below(self.records.len() as u64)).unwrap();
        let mut state = RunState::fold(&self.records[..cut]);
        self.records[cut..]
            .iter()
            .for_each(|record| state.apply(record));
        assert_eq!(state, self.folded, "state = fold(records), cut anywhere");
    }

    /// The controller is gone; what it had set going comes to its end, its answers reach nobody.
    fn killed(&mut self) {
        let going: Vec<Happening> = self.queue.values().cloned().collect();
        for what in going {
            match what {
                Happening::Appear(unit, ..) => {
                    self.strays.insert(unit);
                }
                Happening::Kill(unit, generation, epoch, works) => {
                    self.kill(&unit, generation, epoch, works);
                }
                _ => {}
            }
        }
        self.queue
            .retain(|_, what| !matches!(what, Happening::Kill(..)));
        self.now = self.now + Millis(self.dice.below(30_000));
        let due: Vec<_> = (self.queue.range(..(self.now, u64::MAX)))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let what = self.queue.remove(&key).unwrap();
            match what {
                Happening::Appear(unit, generation, launch, fate) => {
                    self.appear(&unit, generation, launch, fate);
                }
                Happening::Die(unit, generation, recorded) => self.die(&unit, generation, recorded),
                Happening::Work(eval, generation) => self.work(&eval, generation),
                _ => {}
            }
        }
        self.own();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Record(_) | Effect::Watch { .. } => {}
            Effect::Launch {
                unit,
                generation,
                launch,
                ..
            } => self.launch(unit, generation, launch),
            Effect::Stop { unit, generation } => {
                let works = !self.roll(|moods| moods.bad_answer);
                self.soon(3_000, Happening::Kill(unit, generation, self.epoch, works));
            }
            Effect::Probe {
                unit,
                generation,
                rung,
            } => {
                let outcome = self.probe();
                self.tell(
                    2_000,
                    Input::Probed {
                        unit,
                        generation,
                        rung,
                        outcome,
                    },
                );
            }
            Effect::Pulse { .. }
            | Effect::LookAtGpus { .. }
            | Effect::Reach { .. }
            | Effect::Requeue { .. } => {
                self.sign_of_life(effect);
            }
            Effect::WriteConfig { config, .. } => {
                let result = if self.roll(|moods| moods.bad_answer) {
                    Err("disk full".to_owned())
                } else {
                    Ok(Configured {
                        path: "/c.json".to_owned(),
                        sha256: "abc".to_owned(),
                        ..Configured::default()
                    })
                };
                self.tell(100, Input::ConfigDone { config, result });
            }
            Effect::Prepare { eval, again } => {
                let results = self.done.get_mut(&eval).unwrap();
                if again == Again::Errors {
                    results.set_aside();
                }
                let result = Ok(results.counts());
                self.tell(100, Input::Prepared { eval, result });
            }
            Effect::LookAtFiles { unit, generation } => {
                let seen = None;
                self.tell(
                    500,
                    Input::FilesSeen {
                        unit,
                        generation,
                        seen,
                    },
                );
            }
            Effect::RaiseFiles { .. } => panic!("nobody has files open here"),
            Effect::BringBack { eval } => {
                let unit = &self.plan.eval(&eval).unwrap().unit;
                assert!(self.places[unit].lives.is_empty(), "a client is at work");
                let results = self.done.get_mut(&eval).unwrap();
                results.bring_back();
                let result = Ok(results.counts());
                self.tell(100, Input::BroughtBack { eval, result });
            }
            Effect::Count { eval } => {
                let results = self.done[&eval];
                let counts = if self.roll(|moods| moods.bad_answer) {
                    Err("stale file handle".to_owned())
                } else {
                    Ok(results.counts())
                };
                let signs = Signs {
                    markers: results.done as u64,
                    log_bytes: 100 * results.done as u64,
                    ..Signs::default()
                };
                self.tell(
                    500,
                    Input::Counted {
                        eval,
                        counts,
                        signs,
                    },
                );
            }
            Effect::Finish(outcome) => {
                assert!(self.finished.is_none(), "it finished twice");
                self.finished = Some(outcome);
            }
        }
    }

    /// A server whose process lives is idle and well, or hangs now and then.
    fn sign_of_life(&mut self, effect: Effect) {
        match effect {
            Effect::Pulse {
                unit,
                generation,
                what,
            } => {
                let lives = |life: &Life| life.generation == generation && !life.remnant;
                let lives = self.places[&unit].lives.iter().any(lives);
                let hangs = self.roll(|moods| moods.bad_answer);
                let pulse = match what {
                    Ask::Look { .. } => Pulse::Look(Look {
                        door: if lives { Door::Answers } else { Door::Closed },
                        counters: lives.then(Counters::default),
                        body: None,
                    }),
                    Ask::Canary if lives && !hangs => Pulse::Canary(Canary::Back(200)),
                    Ask::Canary => Pulse::Canary(Canary::Lost),
                };
                self.tell(
                    3_000,
                    Input::Pulsed {
                        unit,
                        generation,
                        pulse,
                        served: None,
                    },
                );
            }
            Effect::LookAtGpus { unit } => {
                let lives = &self.places[&unit].lives;
                assert!(
                    lives.is_empty() || self.strays.contains(&unit),
                    "its own would be taken for held"
                );
                let held = self.roll(|moods| moods.bad_answer);
                let seen = GpuSeen {
                    gpu: GpuIndex(0),
                    unclaimed: held.then_some(40_000),
                    claimants: 1,
                };
                self.tell(
                    3_000,
                    Input::GpusSeen {
                        unit,
                        seen: vec![seen],
                    },
                );
            }
            Effect::Reach { external } => {
                let result = Ok(());
                self.tell(100, Input::Reached { external, result });
            }
            Effect::Requeue { eval, .. } => {
                let result = Ok(0);
                self.tell(100, Input::Requeued { eval, result });
            }
            _ => {}
        }
    }

    fn probe(&mut self) -> ProbeOutcome {
        let failure = |permanent| {
            ProbeOutcome::Failed(ProbeFailure {
                why: "no".to_owned(),
                fix: "mend".to_owned(),
                permanent,
            })
        };
        if !self.roll(|moods| moods.bad_probe) {
            let detail = String::new();
            return ProbeOutcome::Passed { detail };
        }
        match self.dice.below(8) {
            0 => failure(true),
            1 | 2 => failure(false),
            _ => ProbeOutcome::NotYet {
                why: "503".to_owned(),
            },
        }
    }

    /// `fate`: 0 good, 1 refused for good, 2 refused for now, 3 hangs.
    fn launch(&mut self, unit: UnitId, generation: Generation, launch: LaunchId) {
        let (mut fate, mut appears, mut reported) = (0, true, true);
        if self.roll(|moods| moods.bad_start) {
            match self.dice.below(5) {
                0 => reported = false,
                1 => (appears, reported) = (false, false),
                other => fate = other - 1,
            }
        }
        let result = if reported {
            Ok(Handle {
                submitted: None,
                launcher: LauncherKind::Process,
                native: "7".to_owned(),
                address: None,
                port: None,
                log: String::new(),
            })
        } else {
            Err(LaunchFailure::Passing("no answer".to_owned()))
        };
        if appears {
            let appear = Happening::Appear(unit.clone(), generation, launch, fate);
            let slow = self.roll(|moods| moods.bad_start);
            self.soon(if slow { 8_000 } else { 300 }, appear);
        }
        self.tell(
            300,
            Input::LaunchDone {
                unit,
                generation,
                result,
            },
        );
    }

    fn appear(&mut self, unit: &UnitId, generation: Generation, launch: LaunchId, fate: u64) {
        let exit = |code: Option<i32>| Exit {
            code,
            reason: Some("refused".to_owned()),
            ..Exit::of(generation, launch.clone())
        };
        let place = self.places.get_mut(unit).unwrap();
        let newest = match &place.file {
            File::Absent => Generation(0),
            File::Running(generation, _) => *generation,
            File::Exited(exit) => exit.generation,
        };
        if !place.lives.is_empty() || newest >= generation {
            // The lock is held, or a later start came first: nothing is recorded.
            let observation = Observation::Exited(exit(None));
            let unit = unit.clone();
            return self.tell(100, Input::Seen { unit, observation });
        }
        if let 1 | 2 = fate {
            let code = if fate == 1 { 78 } else { 69 };
            place.file = File::Exited(exit(Some(code)));
            return self.changed(unit);
        }
        place.lives.push(Life {
            generation,
            launch: launch.clone(),
            mute: fate == 3,
            remnant: false,
        });
        place.file = File::Running(generation, launch);
        self.changed(unit);
        if self.roll(|moods| moods.death) {
            let recorded = self.dice.below(3) > 0;
            self.soon(120_000, Happening::Die(unit.clone(), generation, recorded));
        }
        if let Some(UnitKind::Eval { name }) = self.plan.unit(unit).map(|unit| unit.kind.clone()) {
            self.soon(2_000, Happening::Work(name, generation));
        }
    }

    /// The state file changed: usually somebody is told.
    fn changed(&mut self, unit: &UnitId) {
        let observation = self.look(unit);
        let told = !matches!(
            observation,
            Observation::Unknown { .. } | Observation::Never
        );
        if told {
            let unit = unit.clone();
            self.tell(200, Input::Seen { unit, observation });
        }
    }

    fn die(&mut self, unit: &UnitId, generation: Generation, recorded: bool) {
        let place = self.places.get_mut(unit).unwrap();
        let Some(life) = place.lives.iter_mut().find(|l| l.generation == generation) else {
            return;
        };
        if recorded {
            place.file = File::Exited(Exit {
                code: Some(1),
                ..Exit::of(generation, life.launch.clone())
            });
            place.lives.clear();
        } else {
            life.remnant = true;
            life.mute = false;
        }
        self.changed(unit);
    }

    fn kill(&mut self, unit: &UnitId, generation: Generation, epoch: Epoch, works: bool) {
        if works {
            let place = self.places.get_mut(unit).unwrap();
            place.lives.clear();
            if let File::Running(generation, launch) = place.file.clone() {
                place.file = File::Exited(Exit {
                    code: Some(143),
                    requested: true,
                    ..Exit::of(generation, launch)
                });
                self.changed(unit);
            }
        }
        let input = Input::StopDone {
            unit: unit.clone(),
            generation,
            result: if works {
                Ok(())
            } else {
                Err("it does not end".to_owned())
            },
        };
        self.soon(100, Happening::Tell(epoch, input));
    }

    /// A client finishes some questions, and ends when none is left.
    fn work(&mut self, eval: &EvalName, generation: Generation) {
        let unit = self.plan.eval(eval).unwrap().unit.clone();
        let place = &self.places[&unit];
        let works = |life: &Life| life.generation == generation && !life.mute && !life.remnant;
        if !place.lives.iter().any(works) {
            return;
        }
        let more = usize::try_from(self.dice.below(4)).unwrap();
        let fails = self.dice.percent(5);
        let results = self.done.get_mut(eval).unwrap();
        let more = more.min(TOTAL - results.done);
        results.done += more;
        if fails && !results.asked_again && more > 0 {
            results.due += 1;
        }
        if results.done == TOTAL {
            self.die(&unit, generation, true);
        } else {
            self.soon(2_000, Happening::Work(eval.clone(), generation));
        }
    }

    fn look(&mut self, unit: &UnitId) -> Observation {
        if self.roll(|moods| moods.blind) {
            let why = "no route".to_owned();
            return Observation::Unknown { why };
        }
        let place = &self.places[unit];
        match &place.file {
            File::Absent => Observation::Never,
            File::Exited(exit) => Observation::Exited(exit.clone()),
            File::Running(generation, launch) => {
                let life = place.lives.iter().find(|l| l.generation == *generation);
                match life {
                    Some(life) if life.mute => Observation::Unknown {
                        why: "the unit script is at work".to_owned(),
                    },
                    Some(life) if !life.remnant => {
                        let port = self.plan.unit(unit).and_then(|unit| unit.port);
                        Observation::Running(RunningUnit {
                            generation: *generation,
                            launch: launch.clone(),
                            pid: 40,
                            start: 4,
                            supervisor: 39,
                            supervised: true,
                            listening: port.into_iter().collect(),
                            place: None,
                            until: None,
                        })
                    }
                    _ => Observation::Lost {
                        generation: *generation,
                        launch: launch.clone(),
                    },
                }
            }
        }
    }
}
