//! "Did you mean": the known name that a misspelt one resembles.

use crate::diag::{Applicability, Diagnostic, Fix, Place};
use crate::spec::similar::similar;

/// The patch that replaces `given` by the known name it resembles.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl Iterator<Item = &'a str>,
    place: Place,
) -> Option<Fix> {
    similar(given, known).map(|text| Fix {
        title: format!("did you mean `{text}`?"),
        place,
        replacement: text.to_owned(),
        applicability: Applicability::Guess,
    })
}

/// Adding a fix that may not exist.
pub(crate) trait MaybeFix {
    /// Adds the fix, if there is one.
    #[must_use]
    fn maybe_fix(self, fix: Option<Fix>) -> Self;
}

impl MaybeFix for Diagnostic {
    fn maybe_fix(self, fix: Option<Fix>) -> Self {
        match fix {
            Some(fix) => self.fix(fix),
            None => self,
        }
    }
}
