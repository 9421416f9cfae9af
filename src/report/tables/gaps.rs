//! What cannot be said, and what would help.

use super::evaluation::Whose;

/// So many models are named.
const NAMED: usize = 10;

/// Something that nobody tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gap {
    /// Which questions there were.
    NoDataset,
    /// How many calls a torn result had.
    Torn,
    /// How long tools took.
    NoCalls,
    /// How long the orchestrator took.
    NoLog,
    /// Which of these models of the log is the orchestrator.
    WhichModel(Vec<String>),
    /// The log has no call to this model, which is said to be the orchestrator.
    NeverAsked(String),
}

impl Gap {
    /// In words.
    pub(super) fn said(&self, whose: Whose) -> String {
        match (self, whose) {
            (Self::NoDataset, Whose::Anybody) => {
                "which questions are missing: the dataset is not known; name it with `--dataset FILE`".to_owned()
            }
            (Self::NoDataset, Whose::Run) => {
                "which questions are missing: the evaluation has no dataset, or it cannot be read".to_owned()
            }
            (Self::Torn, _) => {
                "how many calls torn results had: none of theirs is in a table".to_owned()
            }
            (Self::NoCalls, _) => "how long tools took: no result tells of a call".to_owned(),
            (Self::NoLog, Whose::Anybody) => {
                "how long the orchestrator took: no result tells of its calls; name a log of them with `--call-log FILE` or `--client-log FILE`".to_owned()
            }
            (Self::NoLog, Whose::Run) => {
                "how long the orchestrator took: no result tells of its calls, and there is no log of them".to_owned()
            }
            (Self::NeverAsked(model), _) => {
                format!("how long the orchestrator took: the log has no call to `{model}`")
            }
            (Self::WhichModel(models), whose) => {
                let which = if models.is_empty() {
                    "every model of the log answers for a tool, or judges".to_owned()
                } else {
                    let named = &models[..models.len().min(NAMED)];
                    let more = match models.len() - named.len() {
                        0 => String::new(),
                        more => format!(" and {more} more"),
                    };
                    format!("it may be any of `{}`{more}", named.join("`, `"))
                };
                let how = match whose {
                    Whose::Anybody => "name it with `--orchestrator MODEL`",
                    Whose::Run => "the evaluation's key `orchestrator` names it",
                };
                format!("how long the orchestrator took: {which}; {how}")
            }
        }
    }
}
