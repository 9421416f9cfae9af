//! Reads single top-level keys of a JSON object and skips the rest without building it.
//!
//! Results of real clients hold whole conversations; only a few short keys of each matter here.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::base::without_numbers_of_python;

/// The keys of one JSON object, and the values of those that were asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fields {
    /// The values that were asked for; the last one wins where a key is there twice.
    pub(super) values: Map<String, Value>,
    /// All keys, in the order of the text.
    pub(super) keys: Vec<String>,
}

/// Reads values of some keys in a form of its own, so that they need not be built whole.
pub(super) trait Take: Default {
    /// Reads the value of `key` and answers true, or leaves it alone.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Takes nothing.
impl Take for () {
    fn take<'de, A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }
}

/// Reads `text`, which must be one JSON object and nothing else, and keeps the values of `wanted`.
///
/// # Errors
/// The parser's words, with the column where it matters.
pub(super) fn read(text: &str, wanted: impl Fn(&str) -> bool) -> Result<Fields, String> {
    read_and_take::<()>(text, wanted).map(|(fields, ())| fields)
}

/// The same, where `T` takes what it knows first.
pub(super) fn read_and_take<T: Take>(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<(Fields, T), String> {
    let text = text.trim_start_matches('\u{feff}');
    read_strictly(text, &wanted).or_else(|why| match without_numbers_of_python(text) {
        Some(text) => read_strictly(&text, &wanted),
        None => Err(why),
    })
}

fn read_strictly<T: Take>(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<(Fields, T), String> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let taken = T::default();
    parser
        .deserialize_map(Keep { wanted, taken })
        .and_then(|found| parser.end().map(|()| found))
        .map_err(|error| {
            let why = error.to_string();
            if why.starts_with("invalid type: ") && error.column() == 0 {
                "not a JSON object".to_owned()
            } else {
                why
            }
        })
}

struct Keep<W, T> {
    wanted: W,
    taken: T,
}

impl<'de, W: Fn(&str) -> bool, T: Take> Visitor<'de> for Keep<W, T> {
    type Value = (Fields, T);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            if self.taken.take(&key, &mut map)? {
            } else if (self.wanted)(&key) {
                fields.values.insert(key.clone(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            fields.keys.push(key);
        }
        Ok((fields, self.taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_values_are_built() {
        let fields = read(r#"{"id": 7, "deep": [[{"x": 1}]], "id": 8}"#, |key| {
            key == "id"
        });
        let fields = fields.unwrap();
        assert_eq!(fields.keys, ["id", "deep", "id"]);
        assert_eq!(fields.values["id"], 8);
        assert_eq!(fields.values.len(), 1);
    }

    #[test]
    fn what_python_writes_for_numbers_that_are_none_is_read() {
        let text = "\u{feff}{\"id\": NaN, \"a\": [Infinity, -Infinity, -1, \"NaN \\\"NaN\\\\\"], \"b\": 2}";
        let fields = read(text, |key| key != "b").unwrap();
        assert_eq!(fields.values["id"], Value::Null);
        let expected = serde_json::json!([null, null, -1, "NaN \"NaN\\"]);
        assert_eq!(fields.values["a"], expected);
        for bad in [
            r#"{"a": NaN"#,
            r#"{"a": Nan}"#,
            "{NaN: 1}",
            r#"{"a": "NaN}"#,
        ] {
            assert!(read(bad, |_| true).is_err(), "{bad}");
        }
    }

    #[test]
    fn anything_but_one_whole_object_is_refused() {
        for bad in ["", "[]", "7", "{", r#"{"a": 1"#, "{} {}", "{}x", "null"] {
            assert!(read(bad, |_| true).is_err(), "{bad}");
        }
    }
}
