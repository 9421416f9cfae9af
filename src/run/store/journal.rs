//! The journal: one checksummed JSON line per fact, one segment per owner.
//!
//! A line is `{"crc":"xxxxxxxx","record":{…}}`, the CRC-32 of the record's bytes as they stand
//! there. What a crash cut off at the end of a segment is set aside; anything else that is not
//! what was written is refused.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::atomic::{Mode, write_atomically};
use super::{Owner, StoreError};
use crate::base::{Epoch, Timestamp};
use crate::run::{Event, Record};

/// When an appended line must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns: what is intended, and where a started thing can be found.
    Synced,
    /// When the system gets round to it: what can be seen again.
    Buffered,
}

/// The journal of a run, open for its owner.
#[derive(Debug)]
pub struct Journal {
    owner: Owner,
    file: File,
    path: PathBuf,
    length: u64,
    next: u64,
    /// A line could not be written and not be taken back: nothing may follow it.
    broken: bool,
}

impl Journal {
    /// Opens the owner's segment; gives everything that was recorded before, and sets torn tails
    /// of earlier segments aside.
    ///
    /// # Errors
    /// An earlier segment is damaged, or a file cannot be read.
    pub fn open(owner: Owner) -> Result<(Self, Vec<Record>), StoreError> {
        for epoch in segments(owner.dir())? {
            cut_torn_tail(&segment_path(owner.dir(), epoch))?;
        }
        let records = read_journal(owner.dir())?;
        let path = segment_path(owner.dir(), owner.epoch());
        let file = File::options()
            .append(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        let journal = Self {
            owner,
            file,
            path,
            length: 0,
            next: records.last().map_or(1, |record| record.seq + 1),
            broken: false,
        };
        Ok((journal, records))
    }

    /// The owner it belongs to.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Says that the owner lives; see [`Owner::renew`].
    ///
    /// # Errors
    /// The run was taken over, or the file cannot be written.
    pub fn renew(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.owner.renew(now)
    }

    /// Gives the run up; see [`Owner::leave`].
    ///
    /// # Errors
    /// The run was taken over, or the file cannot be written.
    pub fn leave(self, now: Timestamp) -> Result<(), StoreError> {
        self.owner.leave(now)
    }

    /// Writes one line with a single `write`, after a look that the run is still ours.
    ///
    /// # Errors
    /// The run was taken over, or the line could not be written: then it is not in the journal.
    pub fn append(
        &mut self,
        at: Timestamp,
        event: Event,
        durability: Durability,
    ) -> Result<Record, StoreError> {
        self.owner.still_owner()?;
        let record = Record {
            v: Record::FORMAT,
            seq: self.next,
            at,
            epoch: self.owner.epoch(),
            event,
        };
        let line = line(&record).map_err(StoreError::io("write", &self.path))?;
        self.write(line.as_bytes(), durability)
            .map_err(StoreError::io("write", &self.path))?;
        self.next += 1;
        Ok(record)
    }

    fn write(&mut self, line: &[u8], durability: Durability) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier line could not be taken back"));
        }
        if let Err(error) = self.file.write_all(line) {
            // Half a line must not get a whole one behind it.
            self.broken = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += line.len() as u64;
        match durability {
            Durability::Buffered => Ok(()),
            // After a failed sync nobody knows what is on the disk.
            Durability::Synced => self.file.sync_data().inspect_err(|_| self.broken = true),
        }
    }
}

/// One segment as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SegmentRead {
    /// The records before the torn tail.
    pub records: Vec<Record>,
    /// How many bytes they are.
    pub whole: usize,
    /// What follows them: a line that a crash cut off. Mostly nothing.
    pub torn: usize,
}

/// Everything that a run's journal says, in order; reads only, so that anybody may call it.
///
/// Lines that an owner wrote after another had taken the run are left out.
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::Newer`], or a file cannot be read.
pub fn read_journal(run_dir: &Path) -> Result<Vec<Record>, StoreError> {
    let mut all: Vec<Record> = Vec::new();
    for epoch in segments(run_dir)? {
        let path = segment_path(run_dir, epoch);
        let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
        let segment = read_segment(&path, &bytes)?;
        if let Some(first) = segment.records.first() {
            all.truncate(all.partition_point(|record| record.seq < first.seq));
        }
        all.extend(segment.records);
    }
    Ok(all)
}

/// Reads the bytes of one segment; `path` is only named in errors.
///
/// # Errors
/// [`StoreError::Damaged`] with the line, or [`StoreError::Newer`].
pub fn read_segment(path: &Path, bytes: &[u8]) -> Result<SegmentRead, StoreError> {
    let mut read = SegmentRead::default();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged = |why: String| StoreError::Damaged {
            path: path.to_owned(),
            line: index + 1,
            why,
        };
        // Only the last piece can be without its line end. One that lacks nothing else still
        // counts as torn: the next owner writes into another segment anyway.
        let Some(line_body) = line.strip_suffix(b"\n") else {
            read.torn = line.len();
            break;
        };
        let json = checked(line_body).map_err(damaged)?;
        let record = parse(path, json, damaged)?;
        if let Some(last) = read.records.last()
            && (record.seq != last.seq + 1 || record.epoch != last.epoch)
        {
            let (found, last) = (record.seq, last.seq);
            return Err(damaged(format!("record {found} follows record {last}")));
        }
        read.records.push(record);
        read.whole += line.len();
    }
    Ok(read)
}

fn parse(
    path: &Path,
    json: &str,
    damaged: impl Fn(String) -> StoreError,
) -> Result<Record, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    serde_json::from_str(json).map_err(|error| match serde_json::from_str::<Version>(json) {
        Ok(Version { v }) if v > Record::FORMAT => StoreError::Newer {
            path: path.to_owned(),
            found: v,
            known: Record::FORMAT,
        },
        _ => damaged(format!("not a record: {error}")),
    })
}

const BEFORE_CRC: &[u8] = b"{\"crc\":\"";
const BEFORE_RECORD: &[u8] = b"\",\"record\":";
const AFTER_RECORD: &[u8] = b"}";

fn line(record: &Record) -> io::Result<String> {
    let json = serde_json::to_string(record)?;
    Ok(format!(
        "{{\"crc\":\"{}\",\"record\":{json}}}\n",
        crc(json.as_bytes())
    ))
}

fn crc(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// The record's text, if it is what its checksum says.
fn checked(line: &[u8]) -> Result<&str, String> {
    let frame = || {
        let rest = line.strip_prefix(BEFORE_CRC)?;
        let (crc, rest) = rest.split_at_checked(8)?;
        let json = rest
            .strip_prefix(BEFORE_RECORD)?
            .strip_suffix(AFTER_RECORD)?;
        Some((crc, json))
    };
    let (found, json) = frame().ok_or("not a line of a journal")?;
    if crc(json).as_bytes() != found {
        return Err("the checksum does not fit".to_owned());
    }
    std::str::from_utf8(json).map_err(|error| error.to_string())
}

fn cut_torn_tail(path: &Path) -> Result<(), StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
    let segment = read_segment(path, &bytes)?;
    if segment.torn == 0 {
        return Ok(());
    }
    let aside = path.with_extension("jsonl.torn");
    write_atomically(&aside, &bytes[segment.whole..], Mode::Private)?;
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| {
            file.set_len(segment.whole as u64)
                .and_then(|()| file.sync_all())
        })
        .map_err(StoreError::io("cut", path))
}

/// The file of an epoch's segment.
pub(super) fn segment_path(run_dir: &Path, epoch: Epoch) -> PathBuf {
    run_dir.join(format!("journal.{epoch}.jsonl"))
}

/// The highest epoch that was ever claimed; 0 if none was.
pub(super) fn highest_epoch(run_dir: &Path) -> Result<Epoch, StoreError> {
    Ok(segments(run_dir)?.pop().unwrap_or(Epoch(0)))
}

fn segments(run_dir: &Path) -> Result<Vec<Epoch>, StoreError> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(run_dir).map_err(StoreError::io("list", run_dir))? {
        let name = entry.map_err(StoreError::io("list", run_dir))?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("journal.")?.strip_suffix(".jsonl"));
        epochs.extend(number.and_then(|number| number.parse().ok()).map(Epoch));
    }
    epochs.sort_unstable();
    Ok(epochs)
}
