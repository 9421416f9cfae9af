//! A chart: its shapes, and the words around them.

use std::fmt::Write as _;

use super::escape::escaped;
use super::number::coordinate;
use super::path::WIDTH;
use crate::base::float;

/// A chart.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Plot {
    /// What it shows, for those who do not see it.
    pub(in crate::report) label: String,
    /// Its height in pixels.
    pub(in crate::report) height: u16,
    /// Words at heights from 0 to 1, each with a line.
    pub(in crate::report) rows: Vec<(f64, String)>,
    /// Words at widths from 0 to 1, and what stands below them.
    pub(in crate::report) columns: Vec<(f64, String, Option<String>)>,
    /// What is drawn, as SVG.
    pub(in crate::report) shapes: String,
}

impl Plot {
    /// The chart as HTML.
    pub(in crate::report) fn html(&self) -> String {
        let mut out = String::new();
        let height = self.height;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<div class=\"plot\" style=\"--h:{height}px\"><div class=\"ys\">"
        );
        for (at, text) in &self.rows {
            let text = escaped(text);
            let _ = write!(
                out,
                "<span style=\"bottom:{}%\">{text}</span>",
                coordinate(100.0 * at)
            );
        }
        let label = escaped(&self.label);
        let _ = write!(
            out,
            "</div><svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">"
        );
        self.grid(&mut out);
        out.push_str(&self.shapes);
        out.push_str("</svg>");
        out.push_str(&columns(&self.columns));
        out.push_str("</div>");
        out
    }

    fn grid(&self, out: &mut String) {
        let lines = |path: &mut String, at: f64| {
            let _ = write!(path, "M0 {}H1000", coordinate(100.0 * (1.0 - at)));
        };
        let (mut grid, mut base) = (String::new(), String::new());
        for (at, _) in &self.rows {
            lines(if *at <= 0.0 { &mut base } else { &mut grid }, *at);
        }
        for (class, path) in [("grid", grid), ("base", base)] {
            if !path.is_empty() {
                let _ = write!(out, "<path class=\"{class}\" d=\"{path}\"/>");
            }
        }
    }
}

/// Words below a chart; every second one is left out where there is no room.
fn columns(all: &[(f64, String, Option<String>)]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let days = if all.iter().any(|(_, _, below)| below.is_some()) {
        " days"
    } else {
        ""
    };
    let mut out = format!("<div class=\"xs{days}\">");
    for (index, (at, text, below)) in all.iter().enumerate() {
        let side = match at {
            at if *at < 0.03 => " class=\"first\"",
            at if *at > 0.97 => " class=\"last\"",
            _ if index % 2 == 1 && all.len() > 5 && below.is_none() => " class=\"more\"",
            _ => "",
        };
        let (at, text) = (coordinate(100.0 * at), escaped(text));
        let below = below
            .as_ref()
            .map(|below| format!("<b>{}</b>", escaped(below)));
        let below = below.unwrap_or_default();
        let _ = write!(out, "<span{side} style=\"left:{at}%\">{text}{below}</span>");
    }
    out + "</div>"
}

/// Upright bands over all of a chart, at most a hundred, each with words that are shown where it is pointed at. Answers SVG.
/// `words` is asked for the pieces from one to another.
pub(in crate::report) fn bands(
    pieces: usize,
    words: impl Fn(std::ops::Range<usize>) -> Option<String>,
) -> String {
    let each = pieces.div_ceil(100).max(1);
    let mut out = "<g class=\"bands\">".to_owned();
    for first in (0..pieces).step_by(each) {
        let range = first..(first + each).min(pieces);
        let edge = |index: usize| WIDTH * float(index) / float(pieces);
        let (x, width) = (edge(range.start), edge(range.end) - edge(range.start));
        if let Some(words) = words(range) {
            let lines: Vec<String> = words.lines().map(escaped).collect();
            let _ = write!(
                out,
                "<rect class=\"h\" x=\"{}\" width=\"{}\" height=\"100\"><title>{}</title></rect>",
                coordinate(x),
                coordinate(width),
                lines.join("\n")
            );
        }
    }
    out + "</g>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_shapes_and_words_around_them() {
        let plot = Plot {
            label: "a <b>".to_owned(),
            height: 80,
            rows: vec![(0.0, "0".to_owned()), (0.5, "20".to_owned())],
            columns: vec![
                (0.0, "14:00".to_owned(), Some("31 Dec".to_owned())),
                (0.5, "15:00".to_owned(), None),
            ],
            shapes: "<path d=\"M0 0\"/>".to_owned(),
        };
        insta::assert_snapshot!(plot.html().replace("><", ">\n<"), @r#"
        <div class="plot" style="--h:80px">
        <div class="ys">
        <span style="bottom:0%">0</span>
        <span style="bottom:50%">20</span>
        </div>
        <svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="a &lt;b&gt;">
        <path class="grid" d="M0 50H1000"/>
        <path class="base" d="M0 100H1000"/>
        <path d="M0 0"/>
        </svg>
        <div class="xs days">
        <span class="first" style="left:0%">14:00<b>31 Dec</b>
        </span>
        <span style="left:50%">15:00</span>
        </div>
        </div>
        "#);
        let said = bands(2, |range| (range.start == 1).then(|| "a\n<b>".to_owned()));
        insta::assert_snapshot!(said, @r#"
        <g class="bands"><rect class="h" x="500" width="500" height="100"><title>a
        &lt;b&gt;</title></rect></g>
        "#);
    }
}
