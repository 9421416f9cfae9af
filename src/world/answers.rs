//! Reads all results of an evaluation once, as numbers: what a report is made of.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::UNIX_EPOCH;

use super::files::FileError;
use super::result_lines::read_line;
use super::results::read_patiently;
use crate::base::Timestamp;
use crate::eval::{
    Answer, Names, Parsed, Pattern, SpokenCalls, TimedCall, Written, logged_time, parse_result_line,
};
use crate::knowledge::adapters::CallLines;
use crate::plan::ResultsPlan;
use crate::run::store::open_regular;

/// So many files are read at a time, at most: each is held in memory whole.
const READERS: usize = 8;

/// All results, in the order of their ids. Those that are not there yet are none.
///
/// # Errors
/// The folder or the file cannot be read. A single result that cannot be is torn.
pub fn read_answers(
    results: &ResultsPlan,
    id_fields: &[String],
) -> Result<Vec<Written>, FileError> {
    match results {
        ResultsPlan::Dir {
            dir,
            pattern,
            valid,
        } => {
            let files = list(dir.as_ref(), pattern)?;
            Ok(read_files(&files, valid))
        }
        ResultsPlan::Jsonl { file } => read_lines(file.as_ref(), id_fields),
    }
}

/// The same of what anybody named: a folder with a file `ID.json` for each, or a file with a line for each.
///
/// # Errors
/// As [`read_answers`].
pub fn read_answers_at(place: &Path, id_fields: &[String]) -> Result<Vec<Written>, FileError> {
    if place.is_dir() {
        return Ok(read_files(&list(place, "{id}.json")?, &[]));
    }
    read_lines(place, id_fields)
}

fn list(dir: &Path, pattern: &str) -> Result<Vec<(String, PathBuf)>, FileError> {
    let Some(pattern) = Pattern::parse(pattern) else {
        return Ok(Vec::new());
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("list", dir)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::io("list", dir))?;
        let name = entry.file_name();
        if let Some(id) = name.to_str().and_then(|name| pattern.id(name)) {
            files.push((id.to_owned(), entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read_files(files: &[(String, PathBuf)], valid: &[String]) -> Vec<Written> {
    let readers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(readers.min(READERS)).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = files
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let mut names = Names::default();
                    let read = |(id, path): &(String, PathBuf)| {
                        read_file(id.clone(), path, valid, &mut names)
                    };
                    part.iter().filter_map(read).collect::<Vec<_>>()
                })
            })
            .collect();
        let join = |part: thread::ScopedJoinHandle<'_, Vec<Written>>| {
            // A fault of this program stays one.
            part.join()
                .unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        };
        parts.into_iter().flat_map(join).collect()
    })
}

/// A result; none where it is a folder, or gone by now.
fn read_file(id: String, path: &Path, valid: &[String], names: &mut Names) -> Option<Written> {
    let found = fs::metadata(path).ok()?;
    if found.is_dir() {
        return None;
    }
    let torn = |why: &str| Answer::torn(format!("it cannot be read: {why}"));
    let answer = if found.is_file() {
        match read_patiently(path) {
            Ok(text) => Answer::read(&text, valid, names),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => torn(&error.to_string()),
        }
    } else {
        torn("it is no regular file")
    };
    let at = written_at(&found);
    Some(Written { id, at, answer })
}

fn written_at(found: &fs::Metadata) -> Option<Timestamp> {
    let at = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(at.as_millis()).ok().map(Timestamp)
}

/// When each result was last written, by its id, without a look into it; of lines of one file when the file was, under an
/// empty one.
///
/// # Errors
/// The folder cannot be read.
pub fn result_times(results: &ResultsPlan) -> Result<BTreeMap<String, Timestamp>, FileError> {
    let files = match results {
        ResultsPlan::Dir { dir, pattern, .. } => list(dir.as_ref(), pattern)?,
        ResultsPlan::Jsonl { file } => vec![(String::new(), PathBuf::from(file))],
    };
    let time = |(id, path): (String, PathBuf)| {
        let found = fs::metadata(path).ok().filter(|found| !found.is_dir())?;
        Some((id, written_at(&found)?))
    };
    Ok(files.into_iter().filter_map(time).collect())
}

/// Of two lines for an id the last one counts, as everywhere.
fn read_lines(path: &Path, id_fields: &[String]) -> Result<Vec<Written>, FileError> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("read", path)(error)),
    };
    let (mut reader, mut line, mut names) = (BufReader::new(file), Vec::new(), Names::default());
    let mut found = BTreeMap::new();
    let mut number = 0;
    while read_line(&mut reader, &mut line).map_err(FileError::io("read", path))? > 0 {
        number += 1;
        if !line.trim_ascii().is_empty() {
            let (id, parsed) = parse_result_line(&line, id_fields, &[]);
            let answer = match parsed {
                Parsed::Whole(_) => Answer::read(&line, &[], &mut names),
                Parsed::Torn(why) => Answer::torn(why),
            };
            let id = id.unwrap_or_else(|| format!("line {number}"));
            let at = None;
            found.insert(id.clone(), Written { id, at, answer });
        }
        line.clear();
    }
    Ok(found.into_values().collect())
}

/// The calls of a client's own log of them, behind so many bytes of it; none where there is no such log.
pub fn read_call_log(path: &Path, after: u64) -> Option<Vec<TimedCall>> {
    let mut names = Names::default();
    let mut file = open_regular(path).ok()?;
    // One that is shorter by now was begun anew.
    let length = file.metadata().ok()?.len();
    let start = if length < after { 0 } else { after };
    file.seek(SeekFrom::Start(start)).ok()?;
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let mut calls = Vec::new();
    while read_line(&mut reader, &mut line).is_ok_and(|length| length > 0) {
        let text = std::str::from_utf8(&line).unwrap_or_default();
        calls.extend(logged_time(text, &mut names));
        line.clear();
    }
    Some(calls)
}

/// The calls that a client's log on standard output tells of; none where there is no such log.
pub fn read_spoken_calls(path: &Path, words: &'static CallLines) -> Option<Vec<TimedCall>> {
    let mut file: File = open_regular(path).ok()?;
    let (mut spoken, mut names) = (SpokenCalls::new(words), Names::default());
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) | Err(_) => return Some(spoken.finish()),
            Ok(length) => spoken.feed(&piece[..length], &mut names),
        }
    }
}
