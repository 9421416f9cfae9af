//! How the questions came out, over all that were asked for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::distribution::share;
use crate::eval::{Expected, Listing, Parsed, Progress, Written};
use crate::spec::model::Finished;

/// A result that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Damaged {
    /// Its question.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// How the questions came out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Accuracy {
    /// Questions that were to be answered; absent where nobody says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<usize>,
    /// Complete results, those in error among them.
    pub done: usize,
    /// Right ones; absent if no result says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct: Option<usize>,
    /// Right ones of all questions, from 0 to 1; absent where these are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_all: Option<f64>,
    /// Right ones of those answered, from 0 to 1: results in error are no answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_answered: Option<f64>,
    /// Results in error.
    pub errors: usize,
    /// Of these, those for which servers or the network are to blame.
    pub errors_by_servers: usize,
    /// Questions without any result; absent where it is not known which were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<usize>,
    /// Results that are there and not complete.
    pub torn: Vec<Damaged>,
    /// Results of questions that are not among those asked for.
    pub strangers: usize,
    /// Files of the same name pattern that are no results.
    pub other_files: usize,
}

impl Accuracy {
    /// Of these results; without `expected` of those that are there.
    pub(super) fn of(written: &[Written], expected: Option<&Expected>) -> Self {
        let results = written.iter().filter(|one| one.answer.is_result);
        let results: BTreeMap<String, Parsed> = results
            .map(|one| (one.id.clone(), one.answer.parsed.clone()))
            .collect();
        let other_files = written.len() - results.len();
        let listing = Listing {
            results,
            ..Listing::default()
        };
        let any = || Expected::new(Vec::new(), Finished::File(String::new()));
        let progress = match expected {
            Some(expected) => Progress::count(expected, &listing),
            None => Progress::count(&any(), &listing),
        };
        // A file that tells the end does not tell how many there are to be.
        let counted = expected.filter(|expected| match expected.rule() {
            Finished::File(_) => !expected.ids().is_empty(),
            Finished::Ids | Finished::Count(_) => true,
        });
        let questions = counted.map(|_| progress.total);
        let correct = progress.correct;
        let errors = progress.errors.len();
        let answered = progress.done.len() - errors;
        let servers = progress.errors.iter().filter(|error| error.is_infra());
        Self {
            questions,
            done: progress.done.len(),
            correct,
            of_all: correct.and_then(|correct| share(correct, questions?)),
            of_answered: correct.and_then(|correct| share(correct, answered)),
            errors,
            errors_by_servers: servers.count(),
            missing: questions.map(|_| progress.to_come().saturating_sub(progress.torn.len())),
            torn: (progress.torn.into_iter())
                .map(|(id, why)| Damaged { id, why })
                .collect(),
            strangers: progress.strangers.len(),
            other_files,
        }
    }
}
