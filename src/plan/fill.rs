//! `{placeholders}` in commands and environment values.

use std::borrow::Cow;
use std::fmt;

/// Every placeholder there is.
pub(crate) const KNOWN: [&str; 10] = [
    "port",
    "host",
    "name",
    "gpus",
    "dataset",
    "results",
    "config",
    "concurrency",
    "max_rounds",
    "toolorch",
];

/// What stands for each placeholder; a name without a value has none here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(Vec<(&'static str, String)>);

impl Values {
    /// Adds a value.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a value that may be missing.
    #[must_use]
    pub(crate) fn maybe(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The placeholders that have a value.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The value of a placeholder.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why a text cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FillError {
    /// `{nmae}`.
    Unknown(String),
    /// `{port}` in an evaluation, `{concurrency}` where none is given.
    NoValue(String),
    /// `{` without `}`.
    NotClosed,
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "`{{{name}}}` is not a placeholder"),
            Self::NoValue(name) => write!(f, "`{{{name}}}` has no value here"),
            Self::NotClosed => f.write_str("`{` without `}`"),
        }
    }
}

/// Fills in placeholders; `{{` is a brace, a lone `}` stands for itself.
pub(crate) fn fill<'a>(text: &'a str, values: &Values) -> Result<Cow<'a, str>, FillError> {
    if !text.contains('{') {
        return Ok(Cow::Borrowed(text));
    }
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            filled.push('{');
            rest = after;
            continue;
        }
        let (name, after) = rest.split_once('}').ok_or(FillError::NotClosed)?;
        match values.get(name) {
            Some(value) => filled.push_str(value),
            None if KNOWN.contains(&name) => return Err(FillError::NoValue(name.to_owned())),
            None => return Err(FillError::Unknown(name.to_owned())),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(Cow::Owned(filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_filled_in_and_braces_kept() {
        let values = Values::default().with("port", "80").with("name", "a");
        let ok = |text| fill(text, &values).map(Cow::into_owned);
        assert_eq!(ok("--port={port}/{name}"), Ok("--port=80/a".to_owned()));
        assert_eq!(
            ok(r#"{{"a": {{"b": 1}}"#),
            Ok(r#"{"a": {"b": 1}}"#.to_owned())
        );
        assert_eq!(ok("{prot}"), Err(FillError::Unknown("prot".to_owned())));
        assert_eq!(ok("{config}"), Err(FillError::NoValue("config".to_owned())));
        assert_eq!(ok("{port"), Err(FillError::NotClosed));
    }

    proptest! {
        #[test]
        fn doubled_braces_give_any_text_back(text in ".*") {
            let doubled = text.replace('{', "{{");
            prop_assert_eq!(fill(&doubled, &Values::default()), Ok(Cow::Owned::<str>(text)));
        }
    }
}
