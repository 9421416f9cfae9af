//! The sections that tell what happened in a run.

use super::parts::{Page, lines};
use super::tables::html;
use super::{gpus, servers, throughput, timeline};
use crate::report::charts::Course;
use crate::report::document::{Block, Report, calls};

pub(super) fn sections(
    page: &Page<'_>,
    report: &Report,
    course: &Course,
) -> Vec<(&'static str, &'static str, String)> {
    let mut sampled = servers::section(page, course);
    if sampled.is_empty() {
        sampled = lines(&course.unsampled);
    } else if !course.unsampled.is_empty() {
        sampled += &lines(&course.unsampled);
    }
    vec![
        ("course", "What happened", timeline::section(page, course)),
        (
            "throughput",
            "How fast it went",
            throughput::section(page, course),
        ),
        ("servers", "Queues and caches", sampled),
        ("gpus", "GPUs", gpus::section(page, course)),
        ("routing", "Where calls went", routing(page, report)),
    ]
}

fn routing(page: &Page<'_>, report: &Report) -> String {
    let blocks = report.happened.iter().flat_map(calls);
    // The section has that title.
    let blocks = blocks.filter(|block| !matches!(block, Block::Title(_)));
    blocks.map(|block| html(page, &block)).collect()
}
