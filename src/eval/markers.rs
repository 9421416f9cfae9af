//! Marker lines in a client's output, counted as the log grows.

use regex_lite::Regex;

use super::lines::Lines;

/// Marker lines by what they say of their question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// `status=started`.
    pub started: u64,
    /// Finished, in error or not; also a marker that says no status.
    pub finished: u64,
    /// Of these, `status=error`.
    pub errors: u64,
    /// `status=skipped`: a result was there before.
    pub skipped: u64,
}

impl Marks {
    /// All signs of work: a client that skips what is there works as well.
    pub fn all(&self) -> u64 {
        self.started + self.finished + self.skipped
    }
}

/// Counts the marker lines of a growing log, piece by piece.
#[derive(Debug)]
pub struct MarkerReader {
    lines: Lines,
    marker: Marker,
    marks: Marks,
}

#[derive(Debug)]
struct Marker {
    regex: Regex,
    /// What every match begins with; a plain search for it skips nearly all lines.
    literal: String,
}

impl MarkerReader {
    /// A reader for this regular expression, which is searched for anywhere in a line.
    ///
    /// # Errors
    /// The regular expression's own fault, in words.
    pub fn new(marker: &str) -> Result<Self, String> {
        let regex = Regex::new(marker)
            .map_err(|error| format!("`marker: {marker}` is not a regular expression: {error}"))?;
        Ok(Self {
            lines: Lines::default(),
            marker: Marker {
                regex,
                literal: literal_start(marker),
            },
            marks: Marks::default(),
        })
    }

    /// Takes the next bytes of the log, which may end anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let (marker, marks) = (&self.marker, &mut self.marks);
        self.lines.feed(bytes, |line| marker.count(line, marks));
    }

    /// What was counted in whole lines so far.
    pub fn marks(&self) -> Marks {
        self.marks
    }
}

impl Marker {
    fn count(&self, line: &str, marks: &mut Marks) {
        if !line.contains(&self.literal) {
            return;
        }
        let Some(found) = self.regex.find(line) else {
            return;
        };
        // Groups are a matter of taste; `status=` is what all known clients write.
        let words = line[found.start()..].split(|c: char| !c.is_alphanumeric() && c != '=');
        let status = words
            .into_iter()
            .find_map(|word| word.strip_prefix("status="));
        match status {
            Some("started") => marks.started += 1,
            Some("skipped") => marks.skipped += 1,
            Some("error") => {
                marks.errors += 1;
                marks.finished += 1;
            }
            _ => marks.finished += 1,
        }
    }
}

/// The plain text that a regular expression begins with; empty where that is not certain.
fn literal_start(regex: &str) -> String {
    let mut literal = String::new();
    let mut characters = regex.chars().peekable();
    // An alternative or a flag may do without the beginning.
    if regex.contains('|') || regex.starts_with("(?") {
        return literal;
    }
    while let Some(c) = characters.next() {
        let plain = match c {
            '\\' => match characters.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => escaped,
                _ => break,
            },
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => break,
            c => c,
        };
        if matches!(characters.peek(), Some('*' | '?' | '{')) {
            break;
        }
        literal.push(plain);
    }
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::knowledge::adapters;

    const HLE: &str = r"\[HLE_TASK_COMPLETE\] id=(?P<id>\S+) status=(?P<status>\w+)";
    const LOG: &str = "loading\n\
        [HLE_TASK_COMPLETE] id=a status=done correct=True\n\
        12:00 INFO [HLE_TASK_COMPLETE] id=b status=error error_type=KeyError\n\
        ('[HLE_TASK_COMPLETE] id=c status=skipped',)\n\
        [FRAMES_TASK_COMPLETE] id=d status=done\n\
        [HLE_TASK_COMPLETE] half\n\
        [HLE_TASK_COMPLETE] id=e status=done";

    fn marks(started: u64, finished: u64, errors: u64, skipped: u64) -> Marks {
        Marks {
            started,
            finished,
            errors,
            skipped,
        }
    }

    #[test]
    fn markers_are_counted_by_status_in_whole_lines() {
        let mut reader = MarkerReader::new(HLE).unwrap();
        reader.feed(LOG.as_bytes());
        assert_eq!(reader.marks(), marks(0, 2, 1, 1));
        reader.feed(b"\n");
        assert_eq!(reader.marks(), marks(0, 3, 1, 1));
        assert_eq!(reader.marks().all(), 4);
    }

    #[test]
    fn the_markers_of_known_clients_are_found_in_their_words() {
        let log = "[HLE_TASK_COMPLETE] id=wiki____0 status=done correct=True\n\
            [FRAMES_TASK_COMPLETE] id=1 status=error error_type=KeyError\n\
            [QUESTION_COMPLETE] id=s-01 status=done correct=True\n";
        let markers = adapters::all().iter().filter_map(|known| known.marker);
        let counted = markers.map(|marker| {
            let mut reader = MarkerReader::new(marker).unwrap();
            reader.feed(log.as_bytes());
            assert!(
                reader.marker.literal.len() > 4,
                "`{marker}` is slow to look for"
            );
            reader.marks().finished
        });
        assert_eq!(counted.collect::<Vec<_>>(), [1, 1, 1, 1]);
    }

    #[test]
    fn a_marker_needs_no_status() {
        let mut reader = MarkerReader::new(r"^done \d+$").unwrap();
        reader.feed(b"done 1\ndone x\n\xff\xfe\ndone 2\n");
        assert_eq!(reader.marks(), marks(0, 2, 0, 0));
    }

    #[test]
    fn the_plain_beginning_is_certain_or_empty() {
        assert_eq!(literal_start(HLE), "[HLE_TASK_COMPLETE] id=");
        for (regex, literal) in [
            ("ab|c", ""),
            ("(?i)ab", ""),
            ("ab*", "a"),
            ("ab{2}", "a"),
            ("ab+", "ab"),
            ("^ab", ""),
            (r"a\db", "a"),
            ("a.b", "a"),
            ("", ""),
        ] {
            assert_eq!(literal_start(regex), literal, "{regex}");
        }
    }

    #[test]
    fn a_broken_marker_is_named() {
        let why = MarkerReader::new("[x").unwrap_err();
        assert!(
            why.starts_with("`marker: [x` is not a regular expression: "),
            "{why}"
        );
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(cuts in prop::collection::vec(0..LOG.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, LOG.len()]);
            cuts.sort_unstable();
            let mut reader = MarkerReader::new(HLE).unwrap();
            for pair in cuts.windows(2) {
                reader.feed(&LOG.as_bytes()[pair[0]..pair[1]]);
            }
            prop_assert_eq!(reader.marks(), marks(0, 2, 1, 1));
        }
    }
}
