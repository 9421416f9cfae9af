//! Reads a client's own log of its calls.

use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use crate::eval::{Call, logged_call};
use crate::run::store::open_regular;

/// The calls behind an offset; none where the client has written no such log.
pub fn logged_calls(path: &Path, after: u64) -> Option<Vec<Call>> {
    let mut file = open_regular(path).ok()?;
    // One that is shorter by now was begun anew.
    let length = file.metadata().ok()?.len();
    let start = if length < after { 0 } else { after };
    file.seek(SeekFrom::Start(start)).ok()?;
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let calls = lines.filter_map(|line| logged_call(std::str::from_utf8(&line).ok()?));
    Some(calls.collect())
}
