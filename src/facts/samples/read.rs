//! Reads a line of samples, also one of a later release: what that knows more is passed over and named.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::Value;

use super::line::Line;
use crate::knowledge::series::{Counter, Distribution, Gauge};

impl Line {
    /// A line, and the names of what in it is not known; no line where all of it is not.
    ///
    /// # Errors
    /// It is no JSON object: the file is damaged here.
    pub fn read(text: &[u8]) -> Result<(Option<Self>, Vec<String>), String> {
        if let Ok(line) = serde_json::from_slice(text) {
            return Ok((Some(line), Vec::new()));
        }
        let mut value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let object = value.as_object_mut();
        let Some((kind, fields)) = object.and_then(|object| object.iter_mut().next()) else {
            return Err("it has a line that is no object".to_owned());
        };
        let kind = kind.clone();
        let mut unknown = Vec::new();
        pass_over::<Gauge>(fields, "now", &mut unknown);
        pass_over::<Counter>(fields, "more", &mut unknown);
        pass_over::<Distribution>(fields, "spread", &mut unknown);
        let line = serde_json::from_value(value).ok();
        if line.is_none() {
            unknown = vec![kind];
        }
        Ok((line, unknown))
    }
}

/// Takes the keys out of one of the maps of a line that are none of its series.
fn pass_over<'de, T: Deserialize<'de>>(line: &mut Value, map: &str, unknown: &mut Vec<String>) {
    let Some(map) = line.get_mut(map).and_then(Value::as_object_mut) else {
        return;
    };
    map.retain(|key, _| {
        let name: serde::de::value::StringDeserializer<serde::de::value::Error> =
            key.clone().into_deserializer();
        let known = T::deserialize(name).is_ok();
        if !known {
            unknown.push(key.clone());
        }
        known
    });
}
