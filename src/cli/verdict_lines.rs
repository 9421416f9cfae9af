//! The verdict in a few lines, for displays that go on.

use std::time::{Duration, Instant};

use super::closing;
use super::report_of;
use super::runs::Found;
use crate::base::{Clock as _, EvalName, Millis};
use crate::report::verdict::{Analysis, Eta, analyse, short_text};
use crate::run::Phase;
use crate::run::store::{read_samples, sample_bytes};
use crate::world::SystemClock;

/// So many times as long as a look took nobody looks again: results of many questions may lie on a slow disk.
const PAUSE: u32 = 20;

/// What is said of the evaluations of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdicts {
    /// What limits them, what to change, and the time left.
    pub(super) lines: Vec<String>,
    /// Those of which the time left is said with its interval: that is better than what follows from their pace alone.
    pub(super) foretold: Vec<EvalName>,
}

/// What the evaluations of a run are limited by, by all that its report would be made of. It can be asked each second: it looks
/// again when something came, and not too often.
#[derive(Debug, Default)]
pub(super) struct VerdictLines {
    last: Option<Looked>,
}

/// One look.
#[derive(Debug)]
struct Looked {
    /// What there was: bytes of samples, and records.
    news: (u64, usize),
    at: Instant,
    took: Duration,
    found: Vec<(EvalName, Analysis)>,
}

impl VerdictLines {
    /// The lines of now; none without samples.
    pub(super) fn of(&mut self, found: &Found) -> Verdicts {
        if let Phase::Ended(_) = found.state.phase {
            return over(found);
        }
        let news = (sample_bytes(found.dir.path()), found.records.len());
        let is_fresh = |last: &Looked| last.news == news || last.at.elapsed() < last.took * PAUSE;
        let last = match self.last.take().filter(is_fresh) {
            Some(last) => last,
            None => Looked::now(found, news),
        };
        let said = last.said(found.plan.shares.speed);
        self.last = Some(last);
        said
    }
}

fn over(found: &Found) -> Verdicts {
    let command = closing::report_with(&found.dir);
    let line = format!("what limited it, and all tables: {command}");
    let reports = closing::reports(&found.plan, &found.state);
    Verdicts {
        lines: reports.then_some(line).into_iter().collect(),
        foretold: Vec::new(),
    }
}

impl Looked {
    fn now(found: &Found, news: (u64, usize)) -> Self {
        let at = Instant::now();
        let samples = read_samples(found.dir.path(), SystemClock.now()).unwrap_or_default();
        let evals = found.plan.evals.iter();
        let open = evals.filter(|eval| {
            let state = found.state.evals.get(&eval.name);
            let is_open = state.is_some_and(|state| state.verdict.is_none());
            is_open && !samples.servers.is_empty()
        });
        let known = open.filter_map(|eval| {
            let evidence = report_of::evidence_now(found, eval, &samples)?;
            Some((eval.name.clone(), analyse(&evidence)))
        });
        Self {
            news,
            at,
            found: known.collect(),
            took: at.elapsed(),
        }
    }

    /// Times are of this machine, like all that stands around them: a rehearsal ends here before the cluster would.
    fn said(&self, speed: Option<f64>) -> Verdicts {
        let mut said = Verdicts::default();
        let since = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        for (name, analysis) in &self.found {
            let mut analysis = analysis.clone();
            analysis.eta = analysis
                .eta
                .at_speed(speed.unwrap_or(1.0))
                .after(Millis(since));
            if matches!(analysis.eta, Eta::Left { .. }) {
                said.foretold.push(name.clone());
            }
            let text = short_text(&analysis);
            let lines = text.lines().map(|line| format!("{name}: {line}"));
            said.lines.extend(lines);
        }
        if let Some(speed) = speed.filter(|_| !said.foretold.is_empty()) {
            said.lines.push(format!(
                "a rehearsal at {speed}x: times are those of this machine, and the cluster takes {speed} times as long"
            ));
        }
        said
    }
}
