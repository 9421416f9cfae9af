//! What can still be read of a damaged journal: each line whose own checksum is right is evidence.

use std::path::Path;

use super::StoreError;
use super::journal::{newest_segment, read_line, segment_path};
use super::regular::read_regular;
use crate::base::Epoch;
use crate::run::Record;

/// The readable lines of a journal.
#[derive(Debug, Default)]
pub struct Salvage {
    /// They, in order.
    pub records: Vec<Record>,
    /// How many before the last of them cannot be read.
    pub lost: u64,
}

/// Reads whatever can be read, back to the line with which the journal begins.
///
/// # Errors
/// The run's directory cannot be listed.
pub fn salvage(run_dir: &Path) -> Result<Salvage, StoreError> {
    let mut records: Vec<Record> = Vec::new();
    for epoch in (1..=newest_segment(run_dir)?.0).rev().map(Epoch) {
        let path = segment_path(run_dir, epoch);
        let bytes = read_regular(&path).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut earlier: Vec<Record> = lines
            .filter_map(|line| read_line(&path, 0, line).ok())
            .filter(|record| record.epoch == epoch)
            .collect();
        earlier.sort_unstable_by_key(|record| record.seq);
        earlier.dedup_by_key(|record| record.seq);
        // A later owner's lines count from its first on.
        if let Some(first) = records.first() {
            earlier.retain(|record| record.seq < first.seq);
        }
        records.splice(0..0, earlier);
        if records.first().is_some_and(|first| first.seq == 1) {
            break;
        }
    }
    let last = records.last().map_or(0, |last| last.seq);
    Ok(Salvage {
        lost: last.saturating_sub(records.len() as u64),
        records,
    })
}
