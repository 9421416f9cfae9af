//! Where in the YAML a value stands: `models.answer.gpus[1]`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// An item of a sequence, from 0.
    Index(usize),
}

/// A path from the document's root to a value; the empty path is the root.
///
/// Everything that comes from the YAML carries one, so that a problem found much
/// later (a server that runs out of memory) can still point at its line.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[schemars(with = "String")]
#[serde(into = "String", try_from = "String")]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The root of the document.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of `key` in this mapping.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(key.into()));
        path
    }

    /// The path of the `index`-th item of this sequence.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The last step as text; empty for the root.
    pub fn last(&self) -> String {
        match self.0.last() {
            Some(Segment::Key(key)) => key.clone(),
            Some(Segment::Index(index)) => index.to_string(),
            None => String::new(),
        }
    }

    /// The path of the mapping or sequence that holds this value; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// Reads `a.b[0]."c.d"`, the form that [`fmt::Display`] writes and `--set` takes.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut path = Self::root();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('[') {
                let (number, tail) = tail
                    .split_once(']')
                    .ok_or_else(|| format!("`{text}`: `[` without `]`"))?;
                let index = number
                    .parse()
                    .map_err(|_| format!("`{text}`: `{number}` is not an index"))?;
                path.0.push(Segment::Index(index));
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix('"') {
                let (key, tail) = tail
                    .split_once('"')
                    .ok_or_else(|| format!("`{text}`: a quote is not closed"))?;
                path.0.push(Segment::Key(key.to_owned()));
                rest = tail;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("`{text}`: a key is missing"));
                }
                path.0.push(Segment::Key(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            if let Some(tail) = rest.strip_prefix('.') {
                if tail.is_empty() {
                    return Err(format!("`{text}`: a key is missing after the last `.`"));
                }
                rest = tail;
            }
        }
        Ok(path)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    if key.is_empty() || key.contains(['.', '[', '"']) {
                        write!(f, "\"{key}\"")?;
                    } else {
                        f.write_str(key)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.to_string()
    }
}

impl TryFrom<String> for FieldPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_their_text_form() {
        let path = FieldPath::root()
            .key("nodes")
            .key("172.27.31.10")
            .key("gpus")
            .index(4);
        assert_eq!(path.to_string(), "nodes.\"172.27.31.10\".gpus[4]");
        assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
    }

    #[test]
    fn a_broken_path_says_what_is_wrong() {
        for bad in ["a..b", "a.", "a[1", "a[x]", "\"a"] {
            assert!(FieldPath::parse(bad).is_err(), "{bad}");
        }
    }
}
