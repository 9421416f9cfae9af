//! In which pieces a browser is told of a run: the whole state when it changed, each line of the log once. Pure.

use super::moment::Line;

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// `state` or `event`.
    pub(super) name: &'static str,
    /// The number of the line.
    pub(super) id: Option<u64>,
    /// JSON in one line.
    pub(super) data: String,
}

/// What one browser has been told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// The last state.
    state: Option<String>,
    /// The number of the last line.
    seq: u64,
}

impl Told {
    /// What it has not been told yet.
    ///
    /// A journal that was begun anew has lower numbers: its lines are told from the first.
    pub(super) fn news(&mut self, state: &str, lines: &[Line]) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.state.as_deref() != Some(state) {
            self.state = Some(state.to_owned());
            frames.push(Frame {
                name: "state",
                id: None,
                data: state.to_owned(),
            });
        }
        let last = lines.last().map_or(0, |line| line.seq);
        if last < self.seq {
            self.seq = 0;
        }
        for line in lines.iter().filter(|line| line.seq > self.seq) {
            frames.push(Frame {
                name: "event",
                id: Some(line.seq),
                data: serde_json::to_string(line).unwrap_or_default(),
            });
        }
        self.seq = last;
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seqs: &[u64]) -> Vec<Line> {
        let line = |seq: &u64| Line {
            seq: *seq,
            day: "Dec 31".to_owned(),
            time: "00:00:41".to_owned(),
            loud: false,
            text: "two\nlines".to_owned(),
        };
        seqs.iter().map(line).collect()
    }

    fn told(told: &mut Told, state: &str, seqs: &[u64]) -> String {
        let frames = told.news(state, &lines(seqs));
        let short = |frame: Frame| match frame.id {
            Some(id) => format!("{} {id}", frame.name),
            None => format!("{} {}", frame.name, frame.data),
        };
        frames.into_iter().map(short).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_browser_is_told_everything_once() {
        let mut browser = Told::default();
        assert_eq!(
            told(&mut browser, "A", &[3, 5]),
            "state A, event 3, event 5"
        );
        assert_eq!(told(&mut browser, "A", &[3, 5]), "");
        assert_eq!(told(&mut browser, "B", &[3, 5]), "state B");
        assert_eq!(told(&mut browser, "B", &[5, 6, 9]), "event 6, event 9");
        let mut another = Told::default();
        assert_eq!(
            told(&mut another, "B", &[5, 6, 9]),
            "state B, event 5, event 6, event 9"
        );
    }

    #[test]
    fn a_journal_begun_anew_is_told_from_its_first_line() {
        let mut browser = Told::default();
        told(&mut browser, "A", &[3, 5]);
        assert_eq!(
            told(&mut browser, "B", &[1, 2]),
            "state B, event 1, event 2"
        );
        assert_eq!(told(&mut browser, "B", &[]), "");
    }

    #[test]
    fn a_frame_is_one_line() {
        let frames = Told::default().news("{}", &lines(&[7]));
        insta::assert_snapshot!(frames[1].data, @r#"{"seq":7,"day":"Dec 31","time":"00:00:41","loud":false,"text":"two\nlines"}"#);
    }
}
