//! The text of `/metrics`, read line by line.

use std::collections::BTreeMap;

/// One sample: `name{label="value",…} 3.5`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line<'a> {
    /// The sample's name; that of a histogram with `_bucket`, `_count` or `_sum`.
    pub(super) name: &'a str,
    /// Its labels.
    pub(super) labels: BTreeMap<&'a str, String>,
    /// Its value.
    pub(super) value: f64,
}

/// The samples of a text; comments, and lines that are none, are left out.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(line)
}

/// The sum of all samples of this name, such as of several engines or reasons.
pub fn total(text: &str, name: &str) -> f64 {
    let named = lines(text).filter(|line| line.name == name);
    named.map(|line| line.value).sum()
}

/// How many values of a histogram are not above one of its limits, in all its label sets.
pub fn up_to(text: &str, histogram: &str, limit: f64) -> f64 {
    let is = |line: &Line<'_>| {
        let name = line.name.strip_suffix("_bucket");
        let le = line.labels.get("le").and_then(|le| le.parse().ok());
        name == Some(histogram) && le.is_some_and(|le: f64| (le - limit).abs() < 1e-9)
    };
    lines(text).filter(is).map(|line| line.value).sum()
}

fn line(text: &str) -> Option<Line<'_>> {
    let text = text.trim();
    if text.starts_with('#') {
        return None;
    }
    let end = text.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = text.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // A time may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Line {
        name,
        labels,
        value,
    })
}

/// The labels up to the closing bracket, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<&str, String>, &str)> {
    let mut all = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((all, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        all.insert(name.trim(), value);
        rest = after;
    }
}

/// A value up to its closing quote, without the escapes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bucket_is_summed_over_its_label_sets() {
        let text = "h_bucket{e=\"0\",le=\"1.0\"} 3\nh_bucket{e=\"1\",le=\"1\"} 4\nh_bucket{le=\"2.0\"} 9\n";
        assert!((up_to(text, "h", 1.0) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn samples_are_read_and_the_rest_is_left_out() {
        let text = "# TYPE a counter\na{b=\"x,}\\\"\\\\\\n\",le=\"+Inf\",} 3.0\n\nplain 1e3 1700000000\nbroken{a=\"\nnan NaN\nnothing\n";
        let read: Vec<Line> = lines(text).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].labels["b"], "x,}\"\\\n");
        assert_eq!(
            (read[0].labels["le"].as_str(), read[0].value),
            ("+Inf", 3.0)
        );
        assert_eq!((read[1].name, read[1].value), ("plain", 1000.0));
        assert!(read[2].value.is_nan());
    }

    proptest! {
        #[test]
        fn any_label_comes_back(value in "\\PC*", number: u32) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let text = format!("m{{a=\"{escaped}\"}} {number}");
            let read: Vec<Line> = lines(&text).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(&read[0].labels["a"], &value);
            prop_assert!((read[0].value - f64::from(number)).abs() < 1e-9);
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC*") {
            lines(&text).for_each(drop);
        }
    }
}
