//! JSON as Python writes it, with numbers that JSON does not have.

/// Python's `json.dump` writes `NaN`, `Infinity` and `-Infinity` unless it is told not to, and its `json.load` reads them. The
/// text with `null` for each; none if there is none.
pub fn without_numbers_of_python(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        let (before, here) = rest.split_at(at);
        out.push_str(before);
        let word = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|word| here.starts_with(word));
        let length = match word {
            Some(word) => word.len(),
            None if here.starts_with('"') => length_of_text(here),
            None => 1,
        };
        let (token, after) = here.split_at(length);
        out.push_str(if word.is_some() { "null" } else { token });
        found |= word.is_some();
        rest = after;
    }
    out.push_str(rest);
    found.then_some(out)
}

/// How long the text in quotes at the start is, quotes included.
fn length_of_text(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_become_null() {
        let of = |text: &str| without_numbers_of_python(text);
        assert_eq!(
            of(r#"{"a": [0.0, Infinity, -Infinity, NaN], "b": "NaN"}"#).unwrap(),
            r#"{"a": [0.0, null, null, null], "b": "NaN"}"#
        );
        assert_eq!(of(r#"{"a": -1, "Infinity": 2}"#), None);
    }
}
