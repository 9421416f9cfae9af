//! `toolorch drain`: stop servers, and start them no more until that is undone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::{Clock, Epoch, ExitStatus, Millis, UnitId};
use crate::cli::args::DrainArgs;
use crate::cli::printer::Printer;
use crate::cli::refresh::as_seen_now;
use crate::cli::runs::{self, Found};
use crate::cli::stopping::{Ended, Stop, named};
use crate::cli::{fleet, owners};
use crate::plan::{EvalPlan, Plan, UnitKind};
use crate::run::store::{
    Ask, Durability, Journal, Owner, Request, StoreError, Watch, read_requests,
};
use crate::run::{Event, Phase, RunState, StopWhy, UnitPhase};
use crate::world::SystemClock;

/// How often it is looked whether a request was heeded.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A controller that lives heeds a request within a second.
const PATIENCE: Duration = Duration::from_secs(15);
/// Beside the time that a unit has to end: its script's own, and the controller's.
const MORE: Millis = Millis::from_secs(30);

pub(in crate::cli) fn run(args: &DrainArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let found = runs::find(args.file.as_deref(), printer)?;
    if matches!(found.state.phase, Phase::Ended(_)) {
        printer.complain(&format!(
            "error: `{}` is over: nothing of it runs",
            found.dir.id()
        ));
        return Err(ExitStatus::Usage);
    }
    owners::be_here(&found.dir, "nothing was drained", printer)?;
    let ask = if args.undo { Ask::Undrain } else { Ask::Drain };
    let named = servers(&found.plan, &args.target, printer)?;
    let units = still_to_do(&found.state, named, ask);
    if units.is_empty() {
        let so = if args.undo {
            "is not drained"
        } else {
            "is drained already"
        };
        printer.say(&format!("`{}` {so}", args.target));
        return Ok(ExitStatus::Done);
    }
    if ask == Ask::Drain {
        confirm(&found, &units, args, printer)?;
    }
    let wish = Wish { found, units, ask };
    let by = wish.carry_out(printer)?;
    let names = wish.names();
    let file = args.file.as_deref();
    printer.say(&match ask {
        Ask::Drain => format!("drained: {names}; back again: {}", undo(&args.target, file)),
        Ask::Undrain => match by {
            By::Controller => {
                format!("no longer drained: {names}; the controller starts what is wanted")
            }
            By::Ourselves => {
                let up = start_again(&wish.found);
                format!("no longer drained: {names}; nobody watches: {up}")
            }
        },
    });
    Ok(ExitStatus::Done)
}

fn undo(target: &str, file: Option<&Path>) -> String {
    let file = file.map_or_else(String::new, |file| format!(" {}", file.display()));
    format!("toolorch drain --undo {target}{file}")
}

/// Who starts what was undrained where nobody watches.
fn start_again(found: &Found) -> &'static str {
    let state = as_seen_now(found);
    let whole = |eval: &EvalPlan| {
        let state = state.evals.get(&eval.name);
        state.is_some_and(|eval| eval.total > 0 && eval.done >= eval.total)
    };
    if found.plan.evals.is_empty() || !found.plan.evals.iter().all(whole) {
        "`toolorch up` with the YAML starts what is wanted"
    } else {
        "every question has its result, so that it takes `toolorch up --no-eval` with the YAML to start it"
    }
}

/// The servers that a word names.
fn servers(plan: &Plan, target: &str, printer: Printer) -> Result<Vec<UnitId>, ExitStatus> {
    let refuse = |why: String| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Usage
    };
    if let Some(unit) = plan.units.iter().find(|unit| unit.id.as_str() == target) {
        if matches!(unit.kind, UnitKind::Eval { .. }) {
            let why = format!(
                "`{target}` is an evaluation's client, and only servers can be drained\nhelp: `toolorch down` stops all of it"
            );
            return Err(refuse(why));
        }
        return Ok(vec![unit.id.clone()]);
    }
    let on_node = plan.servers().filter(|unit| unit.node.as_str() == target);
    let there: Vec<UnitId> = on_node.map(|unit| unit.id.clone()).collect();
    if !there.is_empty() {
        return Ok(there);
    }
    let group = plan
        .groups
        .iter()
        .find(|group| group.name.as_str() == target);
    let ends = group.iter().flat_map(|group| &group.endpoints);
    let named: Vec<UnitId> = ends.map(|end| end.unit.clone()).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let nodes: BTreeSet<&str> = plan.servers().map(|unit| unit.node.as_str()).collect();
    let nodes: Vec<&str> = nodes.into_iter().collect();
    let groups: Vec<&str> = plan
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    Err(refuse(format!(
        "`{target}` is neither a server, nor a model or service, nor a node with servers\nhelp: nodes: {}; models and services: {}; `toolorch status` names the servers",
        nodes.join(", "),
        groups.join(", ")
    )))
}

fn still_to_do(state: &RunState, units: Vec<UnitId>, ask: Ask) -> Vec<UnitId> {
    let wanted = |unit: &UnitId| {
        let unit = state.unit(unit);
        let done = unit.drained == (ask == Ask::Drain);
        !done || (ask == Ask::Drain && unit.phase.may_live())
    };
    units.into_iter().filter(wanted).collect()
}

/// Says what will come of it; an evaluation that would be left without a server needs a yes.
fn confirm(
    found: &Found,
    units: &[UnitId],
    args: &DrainArgs,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let state = as_seen_now(found);
    let watched = matches!(
        Watch::look(found.dir.path(), SystemClock.now()),
        Ok(Watch::Alive(_))
    );
    let held = held(&found.plan, &state, units, watched);
    for line in &held {
        printer.complain(&format!("warning: {line}"));
    }
    if held.is_empty() || args.yes {
        return Ok(());
    }
    printer.complain("nothing was drained\nhelp: `--yes` drains all the same");
    Err(ExitStatus::Refused)
}

/// Evaluations that are not over and lose their last endpoint of something that they require.
fn held(plan: &Plan, state: &RunState, units: &[UnitId], watched: bool) -> Vec<String> {
    let ready = |unit: &UnitId| matches!(state.unit(unit).phase, UnitPhase::Ready(_));
    let mut lines = Vec::new();
    let over = |eval: &&crate::plan::EvalPlan| {
        let eval = state.evals.get(&eval.name);
        eval.is_some_and(|eval| {
            eval.verdict.is_some() || (eval.total > 0 && eval.done >= eval.total)
        })
    };
    for eval in plan.evals.iter().filter(|eval| !over(eval)) {
        for group in plan
            .groups
            .iter()
            .filter(|group| eval.requires.contains(&group.name))
        {
            let ends = || group.endpoints.iter().map(|end| &end.unit);
            let touched = ends().any(|unit| units.contains(unit));
            let stay = ends().any(|unit| ready(unit) && !units.contains(unit));
            if touched && !stay {
                let runs = state.unit(&eval.unit).phase.may_live();
                let what = match (runs, watched) {
                    (true, true) => "is held, its client stopped, until one is back",
                    (true, false) => {
                        "goes on, and its calls fail: nobody watches who could hold it"
                    }
                    (false, _) => "waits until one is back",
                };
                let (eval, group) = (&eval.name, &group.name);
                lines.push(format!(
                    "no server of `{group}` that is ready stays: `{eval}` {what}"
                ));
            }
        }
    }
    lines
}

/// Who did what was asked.
enum By {
    /// The controller that watches.
    Controller,
    /// Nobody watches: this command.
    Ourselves,
}

/// What is to be done, and to which run.
struct Wish {
    found: Found,
    units: Vec<UnitId>,
    ask: Ask,
}

impl Wish {
    fn names(&self) -> String {
        let names: Vec<String> = self.units.iter().map(|unit| format!("`{unit}`")).collect();
        names.join(", ")
    }

    /// By the controller where one watches, else by ourselves.
    fn carry_out(&self, printer: Printer) -> Result<By, ExitStatus> {
        let failed = |error: StoreError| runs::store(&error, printer);
        match Owner::take(self.found.dir.path(), SystemClock.now()) {
            Ok(owner) => self.ourselves(owner, printer).map(|()| By::Ourselves),
            Err(StoreError::Owned { .. }) => {
                let request = Request::new(self.ask, self.units.clone());
                let lying = request
                    .lay(&self.found.dir, SystemClock.now())
                    .map_err(failed)?;
                printer.say("the controller that watches is asked");
                self.await_done(&lying, printer).map(|()| By::Controller)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Waits until the journal says that it is done; a request that nobody heeds is taken back.
    fn await_done(&self, lying: &Path, printer: Printer) -> Result<(), ExitStatus> {
        let began = Instant::now();
        let grace = self
            .found
            .plan
            .units
            .iter()
            .filter(|unit| self.units.contains(&unit.id));
        let grace = grace.map(|unit| unit.grace).max().unwrap_or_default();
        let patience = Duration::from(Millis(grace.0 + MORE.0));
        loop {
            let found =
                runs::read(self.found.dir.clone()).map_err(|error| runs::store(&error, printer))?;
            if still_to_do(&found.state, self.units.clone(), self.ask).is_empty() {
                return Ok(());
            }
            let heeded = !lying.exists();
            let limit = if heeded { patience } else { PATIENCE };
            if began.elapsed() > limit {
                let why = if heeded || std::fs::remove_file(lying).is_err() {
                    format!("it is under way, and not done after {}s", limit.as_secs())
                } else {
                    format!(
                        "the controller did not heed it within {}s; it was taken back",
                        limit.as_secs()
                    )
                };
                printer.complain(&format!("error: {why}\nhelp: look with `toolorch status`"));
                return Err(ExitStatus::Refused);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Nobody watches: recorded and stopped here.
    fn ourselves(&self, owner: Owner, printer: Printer) -> Result<(), ExitStatus> {
        let failed = |error: StoreError| runs::store(&error, printer);
        let epoch = owner.epoch();
        // An earlier owner that wakes up must not start again what is stopped here.
        self.found.dir.raise_fence(epoch).map_err(failed)?;
        // What was asked of the last owner, and not heeded, is older than this word.
        for lying in read_requests(&self.found.dir.requests()) {
            lying.without(&self.units).map_err(failed)?;
        }
        let (mut journal, records) = Journal::open(owner).map_err(failed)?;
        let state = RunState::fold(&records);
        let mut note = |event: Event| {
            let written = journal.append(SystemClock.now(), event, Durability::Synced);
            written.map(drop).map_err(failed)
        };
        for unit in &self.units {
            let (unit, drained) = (unit.clone(), state.unit(unit).drained);
            match self.ask {
                Ask::Drain if !drained => note(Event::Drained { unit })?,
                Ask::Undrain if drained => note(Event::Undrained { unit })?,
                _ => {}
            }
        }
        let mut all = Ok(());
        if self.ask == Ask::Drain {
            let living = self
                .units
                .iter()
                .filter(|unit| state.unit(unit).phase.may_live());
            let living: Vec<&UnitId> = living.collect();
            for unit in &living {
                let generation = state.unit(unit).generation;
                let (unit, why) = ((*unit).clone(), StopWhy::Drained);
                note(Event::StopIntended {
                    unit,
                    generation,
                    why,
                })?;
            }
            let ended = self.stop(&living, epoch, printer)?;
            for unit in living {
                if !ended.unproved.contains(unit) {
                    let (unit, generation) = (unit.clone(), state.unit(unit).generation);
                    note(Event::Stopped { unit, generation })?;
                }
            }
            if !ended.problems.is_empty() {
                let names = named(&ended.unproved);
                printer.complain(&format!(
                    "error: not all of it is known to be stopped: {names}"
                ));
                for problem in &ended.problems {
                    printer.complain(&format!("error: {problem}"));
                }
                printer.complain("help: it is not started again until it is undrained; the same command tries once more to stop it");
                all = Err(ExitStatus::Refused);
            }
        }
        journal.leave(SystemClock.now()).map_err(failed)?;
        all
    }

    /// Stops units by their scripts, wherever they are.
    fn stop(
        &self,
        living: &[&UnitId],
        epoch: Epoch,
        printer: Printer,
    ) -> Result<Ended, ExitStatus> {
        let Found { dir, plan, .. } = &self.found;
        let units = living.iter().map(|unit| (*unit).clone()).collect();
        let fleet = fleet::of_units(plan, &units, dir, printer)?;
        let planned = plan.units.iter().filter(|unit| units.contains(&unit.id));
        let stop = Stop {
            run: dir.id(),
            epoch: Some(epoch),
            scripts: &dir.scripts(),
            units: planned.map(|unit| (unit.id.clone(), unit.grace)).collect(),
            fleet,
            settled: BTreeSet::new(),
            given_up: BTreeSet::new(),
            printer,
        };
        stop.units_alone()
    }
}
