//! Results as lines of one growing file: only what was appended is read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::files::FileError;
use super::results::{Version, free_place};
use crate::eval::{Call, Cause, Listing, Parsed, Whole, calls_of, parse_result_line};
use crate::plan::ResultsPlan;
use crate::run::store::open_regular;

/// Times of reading that are remembered: a running client's results are read once a second.
const REMEMBERED: usize = 8192;

/// One object per line.
#[derive(Debug)]
pub(super) struct ResultLines {
    file: PathBuf,
    id_fields: Vec<String>,
    version: Option<Version>,
    /// Everything before it are whole lines that were read.
    offset: u64,
    lines: u64,
    /// Up to where the file had been read by when, oldest first.
    grown: VecDeque<(SystemTime, u64)>,
    /// What whole lines said.
    results: BTreeMap<String, Parsed>,
    /// What follows the last line end.
    tail: Tail,
}

/// What follows the last line end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing.
    None,
    /// A complete result that lacks only its line end.
    Whole,
    /// Part of a line.
    Torn,
}

impl ResultLines {
    pub(super) fn new(file: PathBuf, id_fields: Vec<String>) -> Self {
        Self {
            file,
            id_fields,
            version: None,
            offset: 0,
            lines: 0,
            grown: VecDeque::new(),
            results: BTreeMap::new(),
            tail: Tail::None,
        }
    }

    /// The file, and the keys that may hold an id.
    pub(super) fn place(&self) -> (&Path, &[String]) {
        (&self.file, &self.id_fields)
    }

    pub(super) fn scan(&mut self, listing: &mut Listing) -> Result<(), FileError> {
        match self.read(listing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget();
                listing.results.clear();
                Ok(())
            }
            other => other.map_err(FileError::io("read", &self.file)),
        }
    }

    fn read(&mut self, listing: &mut Listing) -> io::Result<()> {
        let began = SystemTime::now();
        let mut file = open_regular(&self.file)?;
        let version = Version::of(&file.metadata()?);
        if self.version == Some(version) {
            return Ok(());
        }
        let replaced = self
            .version
            .is_some_and(|old| old.inode() != version.inode());
        if replaced || version.size() < self.offset {
            self.forget();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        self.tail = Tail::None;
        loop {
            line.clear();
            let length = read_line(&mut reader, &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            self.offset += length;
            self.lines += 1;
            if !line.trim_ascii().is_empty() {
                let (id, parsed) = self.parse(&line);
                add(&mut self.results, id, parsed);
            }
        }
        listing.results.clone_from(&self.results);
        if !line.is_empty() {
            let (id, parsed) = self.parse(&line);
            self.tail = match parsed {
                Parsed::Whole(_) => Tail::Whole,
                Parsed::Torn(_) => Tail::Torn,
            };
            add(&mut listing.results, id, parsed);
        }
        self.version = Some(version);
        self.grown.push_back((began, self.offset));
        if self.grown.len() > REMEMBERED {
            self.grown.pop_front();
        }
        Ok(())
    }

    fn parse(&self, line: &[u8]) -> (String, Parsed) {
        let (id, parsed) = parse_result_line(line, &self.id_fields, &[]);
        (id.unwrap_or_else(|| format!("line {}", self.lines)), parsed)
    }

    fn forget(&mut self) {
        (self.version, self.offset, self.lines) = (None, 0, 0);
        self.grown.clear();
        self.results.clear();
        self.tail = Tail::None;
    }

    /// Ends the last line, or cuts what is torn of it: whatever is appended next would be glued to
    /// it. Torn lines in the middle do no harm, their ids run again.
    pub(super) fn set_aside_torn(&mut self, results: &ResultsPlan) -> Result<usize, FileError> {
        if self.tail == Tail::None {
            return Ok(0);
        }
        let moved = usize::from(self.tail == Tail::Torn);
        let name = self.file.file_name().unwrap_or_default();
        let place = match self.tail {
            Tail::Torn => Some(free_place(results, &name.to_string_lossy())?),
            _ => None,
        };
        self.mend(place)
            .map_err(FileError::io("mend", &self.file))?;
        Ok(moved)
    }

    fn mend(&self, place: Option<PathBuf>) -> io::Result<()> {
        let mut file = File::options().read(true).append(true).open(&self.file)?;
        match place {
            None => file.write_all(b"\n")?,
            Some(place) => {
                let mut torn = Vec::new();
                file.seek(SeekFrom::Start(self.offset))?;
                file.read_to_end(&mut torn)?;
                fs::write(place, torn)?;
                file.set_len(self.offset)?;
            }
        }
        file.sync_all()
    }

    /// Ids whose results in error were appended since then. Lines bear no time: where the file was not read before it,
    /// those that servers or the network caused.
    pub(super) fn errors_since(&self, since: SystemTime) -> BTreeSet<String> {
        let known = self.grown.iter().rev().find(|(at, _)| *at <= since);
        let known = known.map(|(_, offset)| *offset);
        let late = |offset: u64, whole: &Whole| match known {
            Some(known) => offset >= known,
            None => whole.cause == Some(Cause::Infra),
        };
        let mut ids = BTreeSet::new();
        let Ok(file) = open_regular(&self.file) else {
            return ids;
        };
        let (mut reader, mut line, mut offset) = (BufReader::new(file), Vec::new(), 0);
        while let Ok(length @ 1..) = read_line(&mut reader, &mut line) {
            if let (id, Parsed::Whole(whole)) = self.parse(&line)
                && whole.failed
                && late(offset, &whole)
            {
                ids.insert(id);
            }
            offset += length;
            line.clear();
        }
        ids
    }

    /// The length of what was read.
    pub(super) fn length(&self) -> u64 {
        self.offset
    }

    /// The calls of whole lines behind an offset.
    pub(super) fn calls(&self, after: u64) -> Vec<Call> {
        let file = open_regular(&self.file).and_then(|mut file| {
            file.seek(SeekFrom::Start(after))?;
            Ok(file)
        });
        let Ok(file) = file else {
            return Vec::new();
        };
        let (mut reader, mut line, mut calls) = (BufReader::new(file), Vec::new(), Vec::new());
        while read_line(&mut reader, &mut line).is_ok_and(|length| length > 0) {
            calls.extend(std::str::from_utf8(&line).map_or_else(|_| Vec::new(), calls_of));
            line.clear();
        }
        calls
    }
}

/// A line of more bytes is no result of one question; read whole, a few of them would fill the memory.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Reads a line and its end; of one that is too long the end alone. Answers how many bytes of the file that were.
pub(super) fn read_line(reader: &mut BufReader<File>, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut length = 0;
    loop {
        let piece = reader.by_ref().take(LONGEST).read_until(b'\n', line)? as u64;
        length += piece;
        if piece < LONGEST || line.ends_with(b"\n") {
            return Ok(length);
        }
        // Torn, whatever follows.
        line.clear();
        line.push(b'?');
    }
}

/// The last word counts, but half a line takes nothing back.
fn add(results: &mut BTreeMap<String, Parsed>, id: String, parsed: Parsed) {
    let torn = matches!(parsed, Parsed::Torn(_));
    if !(torn && results.contains_key(&id)) {
        results.insert(id, parsed);
    }
}
