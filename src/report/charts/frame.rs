//! A time that charts are over, cut into pieces of equal width.

use crate::base::{Millis, Timestamp, float};

/// Pieces have one of these widths in milliseconds, so that their ends are moments that people name.
const WIDTHS: [u64; 22] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
];

/// A time, and the pieces that it is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The width of a piece.
    pub width: Millis,
}

impl Frame {
    /// From one moment to another, in at most so many pieces (two at least) that are no narrower than `least`.
    pub fn new(from: Timestamp, to: Timestamp, most: u64, least: Millis) -> Self {
        // Of no time nothing can be drawn.
        let to = to.max(from + Millis::from_secs(1));
        let span = to.since(from).0;
        let fits = |width: u64| width >= least.0 && span.div_ceil(width) <= most.max(2);
        let width = WIDTHS.into_iter().find(|width| fits(*width));
        let width = width.unwrap_or_else(|| span.div_ceil(most.max(2)).max(least.0));
        Self {
            from,
            to,
            width: Millis(width),
        }
    }

    /// How many pieces there are; the last may be shorter.
    pub fn pieces(&self) -> usize {
        usize::try_from(self.span().0.div_ceil(self.width.0.max(1))).unwrap_or(0)
    }

    /// How long it is.
    pub fn span(&self) -> Millis {
        self.to.since(self.from)
    }

    /// Where a moment lies, from 0 to 1; what is outside lies at an end.
    pub fn place(&self, at: Timestamp) -> f64 {
        let at = float(at.clamp(self.from, self.to).since(self.from).0);
        at / float(self.span().0.max(1))
    }

    /// From when to when a piece is.
    pub fn piece(&self, index: usize) -> (Timestamp, Timestamp) {
        let at = |index: usize| {
            let width = self.width.0.saturating_mul(index as u64);
            (self.from + Millis(width)).min(self.to)
        };
        (at(index), at(index + 1))
    }

    /// The pieces that a time touches, and for how many milliseconds each.
    pub fn touched(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (usize, u64)> {
        let (from, to) = (from.max(self.from), to.min(self.to));
        let index = |at: Timestamp| at.since(self.from).0 / self.width.0.max(1);
        let pieces = if to > from {
            index(from)..index(Timestamp(to.0 - 1)) + 1
        } else {
            0..0
        };
        let frame = *self;
        pieces.filter_map(move |piece| {
            let piece = usize::try_from(piece).ok()?;
            let (begin, end) = frame.piece(piece);
            Some((piece, to.min(end).since(from.max(begin)).0))
        })
    }

    /// An amount that came between two moments, at an even pace: added to the pieces. What lies outside is not counted.
    pub fn pour(&self, from: Timestamp, to: Timestamp, amount: f64, into: &mut [f64]) {
        let span = float(to.since(from).0.max(1));
        for (piece, length) in self.touched(from, to) {
            if let Some(piece) = into.get_mut(piece) {
                *piece += amount * float(length) / span;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_are_as_wide_as_people_count() {
        let day = Millis::from_secs(86_400);
        let width = |span: Millis| {
            let frame = Frame::new(Timestamp(0), Timestamp(0) + span, 240, Millis(0));
            (frame.width.0, frame.pieces())
        };
        assert_eq!(width(day), (600_000, 144));
        assert_eq!(width(Millis::from_secs(185)), (1_000, 185));
        assert_eq!(width(Millis(6_600)), (100, 66));
        assert_eq!(width(Millis(0)), (100, 10));
        let wide = Frame::new(Timestamp(5), Timestamp(60_005), 240, Millis(15_000));
        assert_eq!((wide.width, wide.pieces()), (Millis(15_000), 4));
        assert_eq!(wide.piece(3), (Timestamp(45_005), Timestamp(60_005)));
    }

    proptest! {
        /// What is poured over a time inside arrives, wherever the cuts are.
        #[test]
        fn nothing_is_spilt(
            from in 0_u64..100_000, span in 1_u64..900_000_000, most in 2_u64..400,
            cut in (0_u64..1_000, 0_u64..1_000),
        ) {
            let frame = Frame::new(Timestamp(from), Timestamp(from + span), most, Millis(0));
            prop_assert!(frame.pieces() as u64 <= most.max(2));
            let at = |part: u64| Timestamp(from + span * part / 1_000);
            let (a, b) = (at(cut.0.min(cut.1)), at(cut.0.max(cut.1)));
            let mut pieces = vec![0.0; frame.pieces()];
            frame.pour(a, b, 7.0, &mut pieces);
            let sum: f64 = pieces.iter().sum();
            let expected = if b > a { 7.0 } else { 0.0 };
            prop_assert!((sum - expected).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&frame.place(a)));
        }
    }
}
