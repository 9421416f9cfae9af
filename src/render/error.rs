//! Why nothing was rendered.

use super::quote::QuoteError;

/// Why nothing was rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template does not parse, or asks for what is not there. The text names template, line and column.
    #[error("{0}")]
    Template(String),
    /// An override has a name that no template has.
    #[error("template `{name}` is not one of {known}")]
    UnknownTemplate {
        /// The name as given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A value cannot be written into a script.
    #[error("unit `{unit}`: {what}: {why}")]
    Value {
        /// The unit whose value it is.
        unit: String,
        /// Which value: `argv[2]`, `env.set.NAME`.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value cannot be written at all.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// The plan cannot be written as JSON.
    #[error("the plan cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl From<tera::Error> for RenderError {
    fn from(error: tera::Error) -> Self {
        // What the escape function refuses comes back as an I/O error, whose own text says nothing.
        match (error.kind(), std::error::Error::source(&error)) {
            (tera::ErrorKind::Io(_), Some(cause)) => Self::Template(cause.to_string()),
            _ => Self::Template(error.to_string()),
        }
    }
}
