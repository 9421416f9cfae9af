//! Whole lines of a growing log, piece by piece.

/// A line longer than this is cut: nothing that is looked for is that long, and a log may have no line end at all.
const LONGEST: usize = 64 * 1024;

/// What follows the last line end.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes, which may end anywhere, and hands on each line that is whole now.
    pub(super) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let mut whole = |bytes: &[u8]| {
            line(&String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]));
        };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(rest) if self.partial.is_empty() => whole(rest),
                Some(rest) => {
                    let mut bytes = std::mem::take(&mut self.partial);
                    bytes.extend_from_slice(rest);
                    whole(&bytes);
                }
                None => {
                    let room = LONGEST.saturating_sub(self.partial.len());
                    self.partial
                        .extend_from_slice(&piece[..piece.len().min(room)]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fed(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| seen.push(line.to_owned()));
        }
        seen
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut lines = Lines::default();
        for _ in 0..10 {
            lines.feed(&vec![b'x'; LONGEST], |line| panic!("{} bytes", line.len()));
        }
        assert_eq!(lines.partial.len(), LONGEST);
        let mut seen = Vec::new();
        lines.feed(b"y\nnext\n", |line| seen.push(line.len()));
        assert_eq!(seen, [LONGEST, 4]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[ab\n]{0,40}", cuts in prop::collection::vec(0_usize..41, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let whole: Vec<String> = text.split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect();
            prop_assert_eq!(fed(&pieces), whole);
        }
    }
}
