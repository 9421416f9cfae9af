//! The verdict in a few lines, for displays that go on.

use super::closing;
use super::runs::Found;
use crate::base::{Clock as _, EvalName};
use crate::report::known::{Ends, Known, evidence};
use crate::report::verdict::{Eta, analyse, short_text};
use crate::run::Phase;
use crate::run::store::{read_samples, sample_bytes};
use crate::world::SystemClock;

/// What is said of the evaluations of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdicts {
    /// What limits them, what to change, and the time left.
    pub(super) lines: Vec<String>,
    /// Those of which the time left is said with its interval: that is better than what follows from their pace alone.
    pub(super) foretold: Vec<EvalName>,
}

/// What the evaluations of a run are limited by. Samples are read again only when some came, so that it can be asked each second.
#[derive(Debug, Default)]
pub(super) struct VerdictLines {
    /// How many bytes of samples there were, and what was said of them.
    known: Option<(u64, Phase, Verdicts)>,
}

impl VerdictLines {
    /// The lines of now; none without samples.
    pub(super) fn of(&mut self, found: &Found) -> Verdicts {
        let bytes = sample_bytes(found.dir.path());
        match &self.known {
            Some((known, phase, lines)) if *known == bytes && *phase == found.state.phase => {
                lines.clone()
            }
            _ => {
                let lines = verdict_lines(found);
                self.known = Some((bytes, found.state.phase.clone(), lines.clone()));
                lines
            }
        }
    }
}

/// Results are not read for it: the journal counts them. Times are of this machine, like all that stands around them: a rehearsal
/// ends here before the cluster would.
fn verdict_lines(found: &Found) -> Verdicts {
    let mut said = Verdicts::default();
    if let Phase::Ended(_) = found.state.phase {
        let command = closing::report_with(&found.dir);
        let line = format!("what limited it, and all tables: {command}");
        let reports = closing::reports(&found.plan, &found.state);
        said.lines.extend(reports.then_some(line));
        return said;
    }
    let samples = read_samples(found.dir.path(), SystemClock.now()).unwrap_or_default();
    if samples.servers.is_empty() {
        return said;
    }
    let speed = found.plan.shares.speed;
    let evals = found.plan.evals.iter();
    let open = evals.filter(|eval| {
        let state = found.state.evals.get(&eval.name);
        state.is_some_and(|state| state.verdict.is_none())
    });
    for eval in open {
        let known = Known {
            plan: &found.plan,
            eval,
            records: &found.records,
            state: &found.state,
            samples: &samples,
            ends: Ends::Counted,
            order: &[],
            tables: None,
        };
        if let Some(evidence) = evidence(&known) {
            let mut analysis = analyse(&evidence);
            if let Some(speed) = speed {
                analysis.eta = analysis.eta.at_speed(speed);
            }
            if matches!(analysis.eta, Eta::Left { .. }) {
                said.foretold.push(eval.name.clone());
            }
            let text = short_text(&analysis);
            let lines = text.lines().map(|line| format!("{}: {line}", eval.name));
            said.lines.extend(lines);
        }
    }
    if let Some(speed) = speed.filter(|_| !said.foretold.is_empty()) {
        said.lines.push(format!(
            "a rehearsal at {speed}x: times are those of this machine, and the cluster takes {speed} times as long"
        ));
    }
    said
}
