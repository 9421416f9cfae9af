//! The text of `/metrics` (Prometheus' exposition format), read line by line. Pure.

use std::borrow::Cow;

/// One sample: `name{label="value",…} 3.5`. Its labels and its value are read when they are asked for: of a page with a
/// thousand lines some forty matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The sample's name; that of a histogram with `_bucket`, `_count` or `_sum`.
    pub name: &'a str,
    /// What follows it.
    rest: &'a str,
}

/// The samples of a text; comments and empty lines are left out.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
        let (name, rest) = line.split_at(end);
        (!name.starts_with('#')).then_some(Line { name, rest })
    })
}

/// The sum of all samples of this name, such as of several engines or reasons.
pub fn total(text: &str, name: &str) -> f64 {
    let named = lines(text).filter(|line| line.name == name);
    named.filter_map(|line| line.value()).sum()
}

/// How many values of a histogram are not above one of its limits, in all its label sets.
pub fn up_to(text: &str, histogram: &str, limit: f64) -> f64 {
    let is = |line: &Line<'_>| {
        let name = line.name.strip_suffix("_bucket");
        name == Some(histogram) && line.limit().is_some_and(|le| (le - limit).abs() < 1e-9)
    };
    let below = lines(text).filter(is);
    below.filter_map(|line| line.value()).sum()
}

impl<'a> Line<'a> {
    /// Its value; none if the line is no sample.
    pub fn value(&self) -> Option<f64> {
        // A bracket may stand in a label, but not behind them; a time may follow the value.
        let after = self
            .rest
            .rfind('}')
            .map_or(self.rest, |end| &self.rest[end + 1..]);
        after.split_ascii_whitespace().next()?.parse().ok()
    }

    /// The value of one of its labels, without the escapes.
    pub fn label(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.rest.strip_prefix('{')?;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            let (found, after) = rest.split_once("=\"")?;
            let end = closing_quote(after)?;
            if found.trim() == name {
                return Some(unescaped(&after[..end]));
            }
            rest = &after[end + 1..];
        }
    }

    /// The upper limit of a histogram's bucket.
    pub fn limit(&self) -> Option<f64> {
        self.label("le")?.parse().ok()
    }
}

/// Where the value that begins here ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    let is_end = |byte: u8| match (byte, escaped) {
        (b'\\', false) => {
            escaped = true;
            false
        }
        (b'"', false) => true,
        _ => {
            escaped = false;
            false
        }
    };
    text.bytes().position(is_end)
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(other) => value.push(other),
                None => {}
            },
            c => value.push(c),
        }
    }
    Cow::Owned(value)
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
        let read: Vec<Line> = lines(text).filter(|line| line.value().is_some()).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].label("b").unwrap(), "x,}\"\\\n");
        assert_eq!(read[0].limit(), Some(f64::INFINITY));
        assert_eq!(read[0].label("c"), None);
        assert_eq!(read[0].value(), Some(3.0));
        assert_eq!((read[1].name, read[1].value()), ("plain", Some(1000.0)));
        assert_eq!(read[1].label("b"), None);
        assert!(read[2].value().unwrap().is_nan());
    }

    proptest! {
        #[test]
        fn any_label_comes_back(value in "\\PC*", number: u32) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let text = format!("m{{x=\"{escaped}\",y=\"1\"}} {number}");
            let read: Vec<Line> = lines(&text).collect();
            prop_assert_eq!(read[0].label("x").unwrap(), value);
            prop_assert_eq!(read[0].label("y").unwrap(), "1");
            prop_assert_eq!(read[0].value(), Some(f64::from(number)));
        }

        #[test]
        fn nothing_is_too_strange(text in "[a-z{}=\"\\\\, 0-9\n]{0,60}") {
            for line in lines(&text) {
                let _ = (line.value(), line.label("a"), line.limit());
            }
        }
    }
}
