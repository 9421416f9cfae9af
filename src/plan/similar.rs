//! "Did you mean": the known name that a misspelt one resembles.

use crate::diag::{Applicability, Diagnostic, Fix, Place};

/// The known text nearest to `given`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (given.chars().count() / 3).max(1);
    known
        .map(|text| (strsim::damerau_levenshtein(given, text), text))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, text)| text)
}

/// The patch that replaces `given` by the known name it resembles.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl Iterator<Item = &'a str>,
    place: Place,
) -> Option<Fix> {
    nearest(given, known).map(|text| Fix {
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
