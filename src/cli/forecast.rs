//! What `up` is about to do beside what runs: `plan` says it beforehand, and `up` in the same words.

use std::collections::BTreeMap;
use std::path::Path;

use super::past_calls::Undeclared;
use super::printer::Printer;
use super::runs;
use super::{changes, fleet};
use crate::base::{Clock, EvalName, ExitStatus, UnitId};
use crate::facts::Observation;
use crate::plan::Plan;
use crate::render::FileSet;
use crate::run::store::{RunDir, Watch};
use crate::run::{
    Act, Asked, Changes, Forecast, OtherFormat, Outlook, Phase, ResultsSeen, RunState,
};
use crate::supervise::EvalDesk;
use crate::world::SystemClock;

/// What `up` asks of an owner, without further words.
pub(super) const UP: Asked = Asked {
    start_servers: true,
    restart_evals: false,
};

/// A run, and what it is to become.
pub(super) struct Next<'a> {
    pub(super) dir: &'a RunDir,
    pub(super) plan: &'a Plan,
    pub(super) files: &'a FileSet,
    pub(super) state: &'a RunState,
    pub(super) asked: Asked,
}

impl Next<'_> {
    /// What the plan changes, and what happens.
    ///
    /// # Errors
    /// Another version of toolorch started what runs.
    pub(super) fn foresee(
        &self,
        results: &BTreeMap<EvalName, ResultsSeen>,
    ) -> Result<(Changes, Forecast), OtherFormat> {
        let (changes, seen) = changes::between(self.dir, self.plan, self.files, self.state)?;
        let forecast = self.forecast(&changes, &seen, results);
        Ok((changes, forecast))
    }

    /// The same, said where it fails.
    pub(super) fn foresee_or_say(
        &self,
        results: &BTreeMap<EvalName, ResultsSeen>,
        printer: Printer,
    ) -> Result<(Changes, Forecast), ExitStatus> {
        self.foresee(results).map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Usage
        })
    }

    fn forecast(
        &self,
        changes: &Changes,
        seen: &BTreeMap<UnitId, Observation>,
        results: &BTreeMap<EvalName, ResultsSeen>,
    ) -> Forecast {
        let watch = Watch::look(self.dir.path(), SystemClock.now());
        let watched = matches!(watch, Ok(Watch::Alive(_)));
        Forecast::of(&Outlook {
            plan: self.plan,
            before: runs::read_plan(self.dir).ok().as_ref(),
            state: self.state,
            changes,
            seen,
            results,
            asked: self.asked,
            lives: !watched
                && (!changes::marked(self.dir).is_empty()
                    || fleet::may_live(self.plan, self.state)),
        })
    }

    /// Says it, before it happens. Where no server may be started it must be none that changes.
    pub(super) fn begin(
        &self,
        desks: &mut [EvalDesk],
        yaml: &Path,
        printer: Printer,
    ) -> Result<Changes, ExitStatus> {
        let results = results(desks, &Undeclared::new(), printer)?;
        let (changes, forecast) = self.foresee_or_say(&results, printer)?;
        if self.state.phase == Phase::New {
            return Ok(changes);
        }
        let yaml = yaml.display();
        let lines = forecast.lines(&yaml.to_string());
        if !self.asked.start_servers && !changes.is_empty() {
            let lines = lines.join("\n");
            printer.complain(&format!(
                "error: the plan is not that of what runs\n{lines}\nhelp: let it become so: toolorch up {yaml}"
            ));
            return Err(ExitStatus::Usage);
        }
        let quiet = forecast.changes_nothing();
        let nothing = quiet.then(|| "nothing changes".to_owned());
        for line in lines.into_iter().chain(nothing) {
            printer.say(&format!("beside what runs: {line}"));
        }
        Ok(changes)
    }
}

/// What is known of these evaluations' results.
pub(super) fn results(
    desks: &mut [EvalDesk],
    held: &Undeclared,
    printer: Printer,
) -> Result<BTreeMap<EvalName, ResultsSeen>, ExitStatus> {
    let mut results = BTreeMap::new();
    for desk in desks {
        let counts = desk.counts().map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Refused
        })?;
        let seen = ResultsSeen {
            missing: counts.total.saturating_sub(counts.done),
            total: counts.total,
            due: counts.due,
            finished: counts.finished,
            held: held.contains_key(desk.name()),
        };
        results.insert(desk.name().clone(), seen);
    }
    Ok(results)
}

/// What a new run does with results that are there.
pub(super) fn of_new_run(plan: &Plan, results: &BTreeMap<EvalName, ResultsSeen>) -> Forecast {
    let mut forecast = Forecast::of(&Outlook {
        plan,
        before: None,
        state: &RunState::default(),
        changes: &Changes::default(),
        seen: &BTreeMap::new(),
        results,
        asked: UP,
        lives: false,
    });
    forecast.without_evals.clear();
    forecast.acts.retain(|act| match act {
        Act::ClientStarted { missing, total, .. } => missing < total,
        Act::AskedAgain { .. } | Act::HeldAgainst { .. } => true,
        _ => false,
    });
    forecast
}
