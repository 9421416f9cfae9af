//! Ids of questions: where they stand in a line, which are wanted, which can be file names.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The longest id that leaves room for a client's own endings in a file name of 255 bytes.
const LONGEST: usize = 230;

/// The id of an object: the first of `id_fields` that holds a text or a number; numbers become text.
///
/// `null` counts as absent, as it does in the `line.get("_id") or line.get("id")` of the clients.
pub(super) fn id_of(values: &Map<String, Value>, id_fields: &[String]) -> Option<String> {
    id_fields
        .iter()
        .find_map(|field| match values.get(field.as_str())? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
}

/// Whether an id can be a file name: not empty, not `.` or `..`, at most 230 bytes, without `/`
/// and control characters.
pub fn is_safe_file_name(id: &str) -> bool {
    !id.is_empty()
        && id != "."
        && id != ".."
        && id.len() <= LONGEST
        && !id.chars().any(|c| c == '/' || c.is_control())
}

/// The ids that `tasks` asks for, in the order of the dataset, and those of `tasks` that it lacks.
pub fn select(ids: &[String], tasks: Option<&[String]>) -> (Vec<String>, Vec<String>) {
    let Some(tasks) = tasks else {
        return (ids.to_vec(), Vec::new());
    };
    let wanted: HashSet<&String> = tasks.iter().collect();
    let there: HashSet<&String> = ids.iter().collect();
    let chosen = ids.iter().filter(|id| wanted.contains(id));
    let unknown = tasks.iter().filter(|id| !there.contains(id));
    (chosen.cloned().collect(), unknown.cloned().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_field_present_wins() {
        let fields = texts(&["_id", "id"]);
        let id = |value: Value| id_of(value.as_object().unwrap(), &fields);
        assert_eq!(id(json!({"id": "b", "_id": "a"})).as_deref(), Some("a"));
        assert_eq!(id(json!({"id": 17})).as_deref(), Some("17"));
        assert_eq!(id(json!({"_id": null, "id": "b"})).as_deref(), Some("b"));
        assert_eq!(id(json!({"_id": ["a"]})), None);
    }

    #[test]
    fn a_file_name_must_be_one() {
        for good in ["a", "wiki____0", "é", "a b", "-x", &"a".repeat(230)] {
            assert!(is_safe_file_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a\nb",
            "a\0b",
            &"a".repeat(231),
        ] {
            assert!(!is_safe_file_name(bad), "{bad}");
        }
    }

    #[test]
    fn tasks_choose_and_unknown_ones_are_named() {
        let ids = texts(&["a", "b", "c"]);
        let tasks = texts(&["c", "x", "a"]);
        assert_eq!(
            select(&ids, Some(&tasks)),
            (texts(&["a", "c"]), texts(&["x"]))
        );
        assert_eq!(select(&ids, None), (ids.clone(), vec![]));
    }
}
