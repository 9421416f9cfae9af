//! What an owner has to say in the end: the exit status and one line.

use super::brain::Brain;
use super::effect::Outcome;
use super::evals::Stage;
use super::input::Counts;
use crate::base::ExitStatus;
use crate::run::Verdict;

/// The verdict on results that the evaluation's own rule calls finished.
pub(super) fn of_finished(counts: Counts) -> Verdict {
    if counts.errors == 0 {
        return Verdict::Complete;
    }
    Verdict::Incomplete {
        missing: counts.total.saturating_sub(counts.done),
        why: match counts.errors {
            1 => "1 result is in error".to_owned(),
            errors => format!("{errors} results are in error"),
        },
    }
}

impl Brain {
    /// The outcome, once everything that this owner is to achieve is decided.
    pub(super) fn decided(&self) -> Option<Outcome> {
        if self.goal.evals.is_empty() {
            return self.decided_without_evals();
        }
        let mut code = ExitStatus::Done;
        let mut said = Vec::new();
        for eval in &self.goal.evals {
            let verdict = self.verdict(eval)?;
            if *self.stage(eval) != Stage::Waiting {
                return None;
            }
            let (own, words) = words(verdict);
            code = code.worse(own);
            said.push(format!("{eval}: {words}"));
        }
        if let Some(places) = self.misrouted() {
            code = code.worse(ExitStatus::Misrouted);
            said.push(places);
        }
        Some(Outcome {
            code,
            summary: said.join("; "),
            kept: false,
        })
    }

    fn decided_without_evals(&self) -> Option<Outcome> {
        if !self.servers_settled() {
            return None;
        }
        let (code, summary) = match self.short_group() {
            Some(group) => (
                ExitStatus::NotReady,
                format!("`{}` did not become ready", group.name),
            ),
            None => self.written_without_evals()?,
        };
        Some(Outcome {
            code,
            summary,
            kept: false,
        })
    }

    /// Whether all configurations were written; none while one is on its way.
    fn written_without_evals(&self) -> Option<(ExitStatus, String)> {
        for config in &self.plan.configs {
            if let Err(why) = self.configs_done.get(&config.name)? {
                return Some((ExitStatus::Refused, why.clone()));
            }
        }
        Some((ExitStatus::Done, "all servers are ready".to_owned()))
    }
}

fn words(verdict: &Verdict) -> (ExitStatus, String) {
    match verdict {
        Verdict::Complete => (ExitStatus::Done, "complete".to_owned()),
        Verdict::Incomplete { missing: 0, why } => {
            (ExitStatus::Incomplete, format!("incomplete: {why}"))
        }
        Verdict::Incomplete { missing, why } => (
            ExitStatus::Incomplete,
            format!("incomplete, {missing} missing: {why}"),
        ),
        Verdict::GaveUp { missing, why } => (
            ExitStatus::GaveUp,
            format!("given up, {missing} missing: {why}"),
        ),
        Verdict::NotStarted { why, code } => (
            ExitStatus::from_code(*code).unwrap_or(ExitStatus::Internal),
            format!("not started: {why}"),
        ),
    }
}
