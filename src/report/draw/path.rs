//! Paths of SVG, in a box of 1000 by 100 whose zero is at the bottom.

use std::fmt::Write as _;

use super::number::coordinate;
use super::scale::Scale;
use crate::base::float;

/// The width of the box.
pub(super) const WIDTH: f64 = 1000.0;
/// Its height.
pub(super) const HEIGHT: f64 = 100.0;

/// A place in the box as `x y`, from shares of its width and height.
fn place(x: f64, y: f64) -> String {
    let (x, y) = (coordinate(WIDTH * x), coordinate(HEIGHT * (1.0 - y)));
    format!("{x} {y}")
}

/// Runs of known values: the first one's index, and the values.
fn runs(series: &[Option<f64>]) -> Vec<(usize, Vec<f64>)> {
    let mut runs: Vec<(usize, Vec<f64>)> = Vec::new();
    for (index, value) in series.iter().enumerate() {
        let Some(value) = value else { continue };
        match runs.last_mut() {
            Some((first, run)) if *first + run.len() == index => run.push(*value),
            _ => runs.push((index, vec![*value])),
        }
    }
    runs
}

/// The middle of a piece, as a share of the width.
fn middle(index: usize, pieces: usize) -> f64 {
    (float(index) + 0.5) / float(pieces.max(1))
}

/// A line through the middles of pieces; where nothing is known there is none. A single value is a dot.
pub(in crate::report) fn line(series: &[Option<f64>], scale: Scale) -> String {
    let mut path = String::new();
    for (first, run) in runs(series) {
        for (offset, value) in run.iter().enumerate() {
            let at = place(middle(first + offset, series.len()), scale.place(*value));
            let _ = write!(path, "{}{at}", if offset == 0 { "M" } else { "L" });
        }
        if run.len() == 1 {
            path.push_str("h0");
        }
    }
    path
}

/// What lies between a series and the one below it (zero where there is none), as if at the middles of pieces.
pub(in crate::report) fn area(
    series: &[Option<f64>],
    below: Option<&[Option<f64>]>,
    scale: Scale,
) -> String {
    let floor = |index: usize| {
        let below = below.and_then(|below| below.get(index).copied().flatten());
        scale.place(below.unwrap_or_default())
    };
    let mut path = String::new();
    for (first, run) in runs(series) {
        // A single value is as wide as its piece.
        let own = middle(first, series.len());
        let half = middle(0, series.len());
        let points: Vec<(f64, f64, f64)> = match run.as_slice() {
            [value] => [own - half, own + half]
                .map(|x| (x, scale.place(*value), floor(first)))
                .to_vec(),
            run => (run.iter().enumerate())
                .map(|(offset, value)| {
                    let x = middle(first + offset, series.len());
                    (x, scale.place(*value), floor(first + offset))
                })
                .collect(),
        };
        let upper = points.iter().map(|(x, y, _)| (*x, *y));
        let lower = points.iter().rev().map(|(x, _, y)| (*x, *y));
        let outline: Vec<(f64, f64)> = match (below, points.first(), points.last()) {
            (None, Some(begin), Some(end)) => upper.chain([(end.0, 0.0), (begin.0, 0.0)]).collect(),
            _ => upper.chain(lower).collect(),
        };
        path.push_str(&polyline(&outline));
        path.push('Z');
    }
    path
}

/// Bars that fill their pieces and stand on zero; neighbours are drawn as one shape.
pub(in crate::report) fn bars(series: &[Option<f64>], scale: Scale) -> String {
    let edge = |index: usize| WIDTH * float(index) / float(series.len().max(1));
    let mut path = String::new();
    for (first, run) in runs(series) {
        let _ = write!(path, "M{} 100", coordinate(edge(first)));
        for (offset, value) in run.iter().enumerate() {
            let y = HEIGHT * (1.0 - scale.place(*value));
            let x = edge(first + offset + 1);
            let _ = write!(path, "V{}H{}", coordinate(y), coordinate(x));
        }
        path.push_str("V100Z");
    }
    path
}

/// A line through points that are given as shares of width and height.
pub(in crate::report) fn polyline(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let _ = write!(
            path,
            "{}{}",
            if index == 0 { "M" } else { "L" },
            place(*x, *y)
        );
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: [Option<f64>; 5] = [Some(0.0), Some(4.0), None, Some(2.0), None];
    const UP: Scale = Scale::Linear { from: 0.0, to: 4.0 };

    #[test]
    fn what_is_not_known_is_not_drawn() {
        insta::assert_snapshot!(line(&SERIES, UP), @"M100 100L300 0M700 50h0");
        insta::assert_snapshot!(area(&SERIES, None, UP), @"M100 100L300 0L300 100L100 100ZM600 50L800 50L800 100L600 100Z");
        insta::assert_snapshot!(bars(&SERIES, UP), @"M0 100V100H200V0H400V100ZM600 100V50H800V100Z");
        assert_eq!(
            line(&[], UP) + &area(&[], None, UP) + &bars(&[None], UP),
            ""
        );
    }

    #[test]
    fn one_area_lies_upon_another() {
        let below = [Some(0.0), Some(1.0), None, Some(1.0), None];
        insta::assert_snapshot!(area(&SERIES, Some(&below), UP), @"M100 100L300 0L300 75L100 100ZM600 50L800 50L800 75L600 75Z");
        insta::assert_snapshot!(polyline(&[(0.0, 0.0), (0.5, 1.0)]), @"M0 100L500 0");
    }
}
