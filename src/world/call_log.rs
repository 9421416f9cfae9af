//! Reads a client's own log of its calls.

use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::Path;

use super::result_lines::read_line;
use crate::eval::{Call, logged_call};
use crate::run::store::open_regular;

/// The calls behind an offset; none where the client has written no such log.
pub fn logged_calls(path: &Path, after: u64) -> Option<Vec<Call>> {
    let mut file = open_regular(path).ok()?;
    // One that is shorter by now was begun anew.
    let length = file.metadata().ok()?.len();
    let start = if length < after { 0 } else { after };
    file.seek(SeekFrom::Start(start)).ok()?;
    let (mut reader, mut line, mut calls) = (BufReader::new(file), Vec::new(), Vec::new());
    while read_line(&mut reader, &mut line).is_ok_and(|length| length > 0) {
        calls.extend(std::str::from_utf8(&line).ok().and_then(logged_call));
        line.clear();
    }
    Some(calls)
}
