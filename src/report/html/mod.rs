//! A report as one page of HTML that needs nothing else: no network, no script to be complete, no font.

mod answer;
mod course;
mod gpus;
#[cfg(test)]
mod night;
mod page;
mod parts;
mod servers;
mod spreads;
mod summary;
mod tables;
#[cfg(test)]
mod tests;
mod throughput;
mod timeline;
mod verdicts;

pub use page::{bins_of, report_html};
