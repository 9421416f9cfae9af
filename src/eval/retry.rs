//! Which results in error are asked again.

use super::{Cause, Progress, ResultError};
use crate::spec::model::RetryErrors;

impl Progress {
    /// The ids in error whose questions this rule asks again.
    pub fn due(&self, rule: RetryErrors) -> impl Iterator<Item = &str> {
        let due = move |error: &&ResultError| match rule {
            RetryErrors::Infra => error.cause == Cause::Infra,
            RetryErrors::All => true,
            RetryErrors::None => false,
        };
        self.errors
            .iter()
            .filter(due)
            .map(|error| error.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_rule_names_is_due() {
        let error = |id: &str, cause| ResultError {
            id: id.to_owned(),
            error_type: None,
            cause,
        };
        let progress = Progress {
            errors: vec![error("a", Cause::Infra), error("b", Cause::Other)],
            ..Progress::default()
        };
        let due = |rule| progress.due(rule).collect::<Vec<_>>();
        assert_eq!(due(RetryErrors::Infra), ["a"]);
        assert_eq!(due(RetryErrors::All), ["a", "b"]);
        assert_eq!(due(RetryErrors::None), [""; 0]);
    }
}
