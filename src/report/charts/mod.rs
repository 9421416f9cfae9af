//! What the charts of a report are drawn from: series over time and spreads of times, from the plan, the journal, the samples and
//! the calls. Pure, thinned to what a page can show, and no part of `report.json`.

mod alarms;
mod class;
mod course;
mod frame;
mod lanes;
mod nodes;
mod pace;
mod servers;
mod spread;
mod standstill;
#[cfg(test)]
mod tests;

pub use alarms::Told;
pub use class::{Class, Classes};
pub use course::{Charts, Course, Recorded, Words};
pub use frame::Frame;
pub use lanes::{Doing, Group, Lane, Mark, MarkKind, Span};
pub use nodes::{GpuSeries, NodeSeries};
pub use pace::Pace;
pub use servers::ClassSeries;
pub use spread::{BINS, Bin, Spread, spreads};
