//! Which results an evaluation waits for.

use std::collections::HashSet;

use super::ids::select;
use crate::plan::EvalPlan;
use crate::spec::model::Finished;

/// The ids that an evaluation waits for, and its rule for the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    ids: Vec<String>,
    set: HashSet<String>,
    rule: Finished,
}

impl Expected {
    /// What `eval` waits for, given the ids of its dataset (none without a dataset).
    pub fn of(eval: &EvalPlan, dataset_ids: &[String]) -> Self {
        let (ids, _) = select(dataset_ids, eval.tasks.as_deref());
        Self::new(ids, eval.finished.clone())
    }

    /// Waits for these ids, by this rule.
    pub fn new(ids: Vec<String>, rule: Finished) -> Self {
        let set = ids.iter().cloned().collect();
        Self { ids, set, rule }
    }

    /// The ids, in the order of the dataset.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The rule for the end.
    pub fn rule(&self) -> &Finished {
        &self.rule
    }

    /// Whether a result of this id counts: with `{count: N}`, and without a dataset, every one does.
    pub fn wants(&self, id: &str) -> bool {
        match self.rule {
            Finished::Count(_) => true,
            Finished::Ids => self.set.contains(id),
            Finished::File(_) => self.set.is_empty() || self.set.contains(id),
        }
    }
}
