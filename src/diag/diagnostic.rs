//! One finding about the user's cluster: what, where, why, and what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{FieldPath, Span};

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never changes an exit code.
    Note,
    /// Probably a mistake; `allow:` silences it, `--strict` makes it count.
    Warning,
    /// Nothing is started while one stands.
    Error,
}

/// A stable code such as `E0102`; `toolorch explain` has a page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Code(pub &'static str);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Where in the YAML something stands.
///
/// Later floors know only paths; the renderer asks the spanned tree for the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// These bytes of the source.
    Span(Span),
    /// The key of the entry at this path.
    Key(FieldPath),
    /// The value at this path; a missing value falls back to the nearest parent that exists.
    Value(FieldPath),
}

/// A place and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What is said beside the underlined text; may be empty.
    pub text: String,
    /// The place that the finding is about, as opposed to one that explains it.
    pub primary: bool,
}

/// How far a fix can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Applicability {
    /// Right as it stands.
    Sure,
    /// Probably what was meant.
    Guess,
}

/// A replacement that would mend the finding, shown as a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Why this mends it: "did you mean `port`?".
    pub title: String,
    /// What is replaced.
    pub place: Place,
    /// By what.
    pub replacement: String,
    /// How far it can be trusted.
    pub applicability: Applicability,
}

/// The codes whose places hold what nobody may see.
const SECRETS: [Code; 2] = [Code("E0204"), Code("E0601")];

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnostic {
    /// The code, stable across releases.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One line: lower case, no full stop, backticks around the user's text.
    pub title: String,
    /// Places, the primary ones first.
    pub labels: Vec<Label>,
    /// Reasons and remedies in words, one paragraph each.
    pub help: Vec<String>,
    /// Patches.
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    /// Whether the text at its places must not be shown.
    pub(super) fn hides_its_place(&self) -> bool {
        SECRETS.contains(&self.code)
    }

    fn new(code: Code, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            title: title.into(),
            labels: Vec::new(),
            help: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// A finding that stops everything.
    pub fn error(code: Code, title: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, title)
    }

    /// A finding that is probably a mistake.
    pub fn warning(code: Code, title: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, title)
    }

    /// A finding worth knowing.
    pub fn note(code: Code, title: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, title)
    }

    /// Adds the place that the finding is about.
    #[must_use]
    pub fn at(mut self, place: Place, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            place,
            text: text.into(),
            primary: true,
        });
        self
    }

    /// Adds a place that explains the finding.
    #[must_use]
    pub fn see(mut self, place: Place, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            place,
            text: text.into(),
            primary: false,
        });
        self
    }

    /// Adds a reason or a remedy in words.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Adds a patch.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    /// The value's path that the finding is about, if it has one.
    pub fn path(&self) -> Option<&FieldPath> {
        self.labels.iter().find_map(|label| match &label.place {
            Place::Key(path) | Place::Value(path) => Some(path),
            Place::Span(_) => None,
        })
    }
}

/// Findings in the order in which they were made.
pub type Report = Vec<Diagnostic>;
