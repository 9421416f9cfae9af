//! Drawing in HTML and SVG: scales, ticks, paths, charts. Pure text; the same values give the same bytes.
//!
//! A chart stretches to whatever width its place has. So its SVG holds shapes alone, in a box of 1000 by 100 whose strokes keep their
//! width, and words stand around it as HTML, at places in percent: they are as large on a phone as on a wall.

mod escape;
mod number;
mod path;
mod plot;
mod scale;
mod ticks;

pub(in crate::report) use escape::escaped;
pub(in crate::report) use number::{amount, coordinate, percent, seconds};
pub(in crate::report) use path::{area, bars, line, polyline};
pub(in crate::report) use plot::{Plot, bands};
pub(in crate::report) use scale::Scale;
pub(in crate::report) use ticks::{elapsed, logarithmic, moments, nice};
