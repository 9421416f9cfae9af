//! The sections that tell what happened in a run.

use super::parts::{Page, lines};
use super::{gpus, servers, throughput, timeline};
use crate::report::charts::Course;
use crate::report::draw::escaped;

pub(super) fn sections(
    page: &Page<'_>,
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
        ("routing", "Where calls went", routing(course)),
    ]
}

fn routing(course: &Course) -> String {
    let text = course.routing.trim_end();
    if text.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = text.lines().map(escaped).collect();
    format!("<pre>{}</pre>", lines.join("\n"))
}
