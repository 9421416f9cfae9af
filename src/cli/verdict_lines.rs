//! The verdict in a few lines, for displays that go on.

use super::runs::Found;
use crate::report::known::{Ends, Known, evidence};
use crate::report::verdict::{analyse, short_text};
use crate::run::store::{read_samples, sample_bytes};

/// What the evaluations of a run are limited by. Samples are read again only when some came, so that it can be asked each second.
#[derive(Debug, Default)]
pub(super) struct VerdictLines {
    /// How many bytes of samples there were, and what was said of them.
    known: Option<(u64, Vec<String>)>,
}

impl VerdictLines {
    /// The lines of now; none without samples.
    pub(super) fn of(&mut self, found: &Found) -> Vec<String> {
        let bytes = sample_bytes(found.dir.path());
        match &self.known {
            Some((known, lines)) if *known == bytes => lines.clone(),
            _ => {
                let lines = verdict_lines(found);
                self.known = Some((bytes, lines.clone()));
                lines
            }
        }
    }
}

/// Results are not read for it: the journal counts them.
fn verdict_lines(found: &Found) -> Vec<String> {
    let Ok(samples) = read_samples(found.dir.path()) else {
        return Vec::new();
    };
    if samples.servers.is_empty() {
        return Vec::new();
    }
    let evals = found.plan.evals.iter();
    let open = evals.filter(|eval| {
        let state = found.state.evals.get(&eval.name);
        state.is_some_and(|state| state.verdict.is_none())
    });
    let mut lines = Vec::new();
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
            let text = short_text(&analyse(&evidence));
            let said = text.lines().map(|line| format!("{}: {line}", eval.name));
            lines.extend(said);
        }
    }
    if let Some(speed) = found.plan.shares.speed.filter(|_| !lines.is_empty()) {
        lines.push(format!(
            "times are those of the cluster: {speed} hours of it take one here"
        ));
    }
    lines
}
