//! The table of `docs/RELIABILITY.md`, between its markers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::tally::{Fault, Tally};

const BEGIN: &str = "<!-- table: ./tests/reliability -->\n";
const END: &str = "<!-- end of table -->\n";
const HEAD: &str = "| fault | what goes wrong, and how | tries | noticed after: median, max | as before after: median, max | double starts | results lost |\n\
                    |---|---|---|---|---|---|---|\n";

/// The row of a fault.
pub(crate) fn line(fault: &Fault, tally: &Tally) -> String {
    let Fault { id, what, how, .. } = fault;
    if let Some(why) = tally.skipped {
        return format!("| {id} | {what}: {how} | not tried: {why} | | | | |");
    }
    format!(
        "| {id} | {what}: {how} | {}{} | {} | {} | {} | {} |",
        tally.tries,
        if tally.failures.is_empty() {
            ""
        } else {
            ", FAILED"
        },
        times(&tally.detected),
        times(&tally.recovered),
        tally.double_starts,
        tally.lost
    )
}

fn times(all: &[Duration]) -> String {
    let mut all = all.to_vec();
    all.sort_unstable();
    match all.last() {
        None => "–".to_owned(),
        Some(most) => format!("{}, {}", seconds(all[all.len() / 2]), seconds(*most)),
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Puts these rows in place of the page's rows of the same faults.
pub(crate) fn write(rows: &[(&Fault, Tally)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/RELIABILITY.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let fresh: Vec<(&str, String)> = rows
        .iter()
        .map(|(fault, tally)| (fault.id, line(fault, tally)))
        .collect();
    let kept = |id: &str| {
        let head = format!("| {id} |");
        table
            .lines()
            .find(|line| line.starts_with(&head))
            .map(str::to_owned)
    };
    let lines = super::faults::all().filter_map(|fault| {
        let new = fresh.iter().find(|(id, _)| *id == fault.id);
        new.map(|(_, line)| line.clone()).or_else(|| kept(fault.id))
    });
    let table: String = lines.map(|line| line + "\n").collect();
    fs::write(&path, format!("{before}{BEGIN}{HEAD}{table}{END}{after}")).unwrap();
}
