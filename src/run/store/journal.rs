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
use super::failpoint::failpoint_io;
use super::owner::claimed_epoch;
use super::regular::{open_own, read_regular};
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
    /// The lines that were appended, in bytes.
    length: u64,
    next: u64,
    tail: Tail,
}

/// What stands behind the lines that were appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing.
    Clean,
    /// Perhaps a part of a line that could not be written.
    Ragged,
    /// A sync failed: nobody knows what of the segment is on the disk.
    Unsure,
}

impl Journal {
    /// Opens the owner's segment; gives everything that was recorded before, and sets torn tails
    /// of earlier segments aside.
    ///
    /// # Errors
    /// What was recorded before is damaged, or a file cannot be read.
    pub fn open(owner: Owner) -> Result<(Self, Vec<Record>), StoreError> {
        let segments = read_segments(owner.dir())?;
        for segment in &segments {
            segment.settle()?;
        }
        let records = records(segments);
        let next = records.last().map_or(1, |record| record.seq + 1);
        Ok((Self::begin(owner, next)?, records))
    }

    /// Begins anew with these events, where what was recorded before is damaged: all earlier segments stay as they are, and
    /// are superseded at once. A crash on the way leaves the damage as it was.
    ///
    /// # Errors
    /// The run was taken over, or a file cannot be written.
    pub fn rebuild(
        owner: Owner,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<(Self, Vec<Record>), StoreError> {
        owner.still_owner()?;
        let records: Vec<Record> = (1..)
            .zip(events)
            .map(|(seq, event)| Record {
                v: Record::FORMAT,
                seq,
                at: now,
                epoch: owner.epoch(),
                event,
            })
            .collect();
        let path = segment_path(owner.dir(), owner.epoch());
        let lines: io::Result<String> = records.iter().map(line).collect();
        let lines = lines.map_err(StoreError::io("write", &path))?;
        write_atomically(&path, lines.as_bytes(), Mode::Private)?;
        let next = records.len() as u64 + 1;
        Ok((Self::begin(owner, next)?, records))
    }

    fn begin(owner: Owner, next: u64) -> Result<Self, StoreError> {
        let path = segment_path(owner.dir(), owner.epoch());
        let file = open_segment(&path)?;
        let length = file.metadata().map_err(StoreError::io("look at", &path))?;
        Ok(Self {
            owner,
            file,
            path,
            length: length.len(),
            next,
            tail: Tail::Clean,
        })
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
        self.write(line.as_bytes(), durability)?;
        self.next += 1;
        Ok(record)
    }

    fn write(&mut self, line: &[u8], durability: Durability) -> Result<(), StoreError> {
        self.mend()?;
        let failed = StoreError::io("write", &self.path);
        // Half a line must not get a whole one behind it.
        self.tail = Tail::Ragged;
        failpoint_io("journal-before-write")
            .and_then(|()| self.file.write_all(line))
            .and_then(|()| failpoint_io("journal-after-write"))
            .map_err(failed)?;
        if durability == Durability::Synced {
            self.tail = Tail::Unsure;
            self.file
                .sync_data()
                .and_then(|()| failpoint_io("journal-after-sync"))
                .map_err(StoreError::io("sync", &self.path))?;
        }
        self.tail = Tail::Clean;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Takes back what a failed append left. Whatever a failed sync left in doubt is written once more, into a new file.
    fn mend(&mut self) -> Result<(), StoreError> {
        let failed = |doing| StoreError::io(doing, &self.path);
        match self.tail {
            Tail::Clean => return Ok(()),
            Tail::Ragged => self.file.set_len(self.length).map_err(failed("cut"))?,
            Tail::Unsure => {
                let mut bytes = read_regular(&self.path).map_err(failed("read"))?;
                let appended = usize::try_from(self.length).unwrap_or(usize::MAX);
                bytes.truncate(appended);
                if read_segment(&self.path, &bytes)?.whole != appended {
                    let lost = io::Error::other("lines of it are lost");
                    return Err(failed("read")(lost));
                }
                write_atomically(&self.path, &bytes, Mode::Private)?;
                self.file = open_segment(&self.path)?;
            }
        }
        self.tail = Tail::Clean;
        Ok(())
    }
}

fn open_segment(path: &Path) -> Result<File, StoreError> {
    let file = open_own(path, File::options().append(true));
    file.map_err(StoreError::io("open", path))
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

/// A segment that counts, as far as it counts.
struct Segment {
    path: PathBuf,
    read: SegmentRead,
}

/// Everything that a run's journal says, in order; reads only, so that anybody may call it.
///
/// Lines that an owner wrote after another had taken the run are left out.
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::Newer`], or a file cannot be read.
pub fn read_journal(run_dir: &Path) -> Result<Vec<Record>, StoreError> {
    Ok(records(read_segments(run_dir)?))
}

/// The same, with how many bytes of the newest segment that is.
pub(super) fn read_with_end(run_dir: &Path) -> Result<(Vec<Record>, u64), StoreError> {
    let segments = read_segments(run_dir)?;
    let end = segments.last().map_or(0, |newest| newest.read.whole as u64);
    Ok((records(segments), end))
}

fn records(segments: Vec<Segment>) -> Vec<Record> {
    let all = segments.into_iter();
    all.flat_map(|segment| segment.read.records).collect()
}

/// The segments from the one in which the journal begins, in order, and nothing missing between them.
///
/// They are read from the newest on: whatever an owner had read before its first line is there when its predecessor's segment
/// is read, which may still grow by lines that came too late.
fn read_segments(run_dir: &Path) -> Result<Vec<Segment>, StoreError> {
    let newest = newest_segment(run_dir)?;
    let mut segments = Vec::new();
    // The first line of what was read so far.
    let mut first: Option<u64> = None;
    for epoch in (1..=newest.0).rev().map(Epoch) {
        let segment = Segment::read(run_dir, epoch, first)?;
        first = segment.read.records.first().map(|r| r.seq).or(first);
        segments.push(segment);
        if first == Some(1) {
            break;
        }
    }
    if let Some(first) = first.filter(|first| *first != 1) {
        let path = segment_path(run_dir, Epoch(1));
        return Err(missing(&path, 1, 1, first));
    }
    segments.reverse();
    Ok(segments)
}

/// The error for lines that are not there.
fn missing(path: &Path, line: usize, first: u64, next: u64) -> StoreError {
    let why = match next - first {
        1 => format!("record {first} is missing"),
        _ => format!("records {first} to {} are missing", next - 1),
    };
    let path = path.to_owned();
    StoreError::Damaged { path, line, why }
}

impl Segment {
    /// Reads that of an epoch, up to the line with which the next one begins.
    fn read(run_dir: &Path, epoch: Epoch, next: Option<u64>) -> Result<Self, StoreError> {
        let path = segment_path(run_dir, epoch);
        let bytes = match read_regular(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let why = "the file is missing".to_owned();
                return Err(StoreError::Damaged { path, line: 1, why });
            }
            other => other.map_err(StoreError::io("read", &path))?,
        };
        let mut read = read_segment(&path, &bytes)?;
        if let Some(stranger) = read.records.first().filter(|r| r.epoch != epoch) {
            let why = format!("it is of epoch {}", stranger.epoch);
            return Err(StoreError::Damaged { path, line: 1, why });
        }
        if let Some(next) = next {
            let counts = read.records.partition_point(|record| record.seq < next);
            read.records.truncate(counts);
            if let Some(last) = read.records.last()
                && last.seq + 1 != next
            {
                return Err(missing(&path, counts + 1, last.seq + 1, next));
            }
        }
        Ok(Self { path, read })
    }

    /// Sets a torn tail aside, and makes the rest durable: what the next owner writes must not outlive it.
    fn settle(&self) -> Result<(), StoreError> {
        let path = &self.path;
        let whole = self.read.whole as u64;
        if self.read.torn > 0 {
            let bytes = read_regular(path).map_err(StoreError::io("read", path))?;
            let tail = bytes.get(self.read.whole..).unwrap_or_default();
            let aside = path.with_extension("jsonl.torn");
            write_atomically(&aside, tail, Mode::Private)?;
        }
        open_own(path, File::options().write(true))
            .and_then(|file| {
                if self.read.torn > 0 {
                    file.set_len(whole)?;
                }
                file.sync_all()
            })
            .map_err(StoreError::io("cut", path))
    }
}

/// Reads the bytes of one segment; `path` is only named in errors.
///
/// # Errors
/// [`StoreError::Damaged`] with the line, or [`StoreError::Newer`].
pub fn read_segment(path: &Path, bytes: &[u8]) -> Result<SegmentRead, StoreError> {
    let mut read = SegmentRead::default();
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        // Only the last piece can be without its line end. One that lacks nothing else still
        // counts as torn: the next owner writes into another segment anyway.
        let Some(line_body) = line.strip_suffix(b"\n") else {
            read.torn = line.len();
            break;
        };
        let record = read_line(path, number, line_body)?;
        if let Some(last) = read.records.last()
            && (record.seq != last.seq + 1 || record.epoch != last.epoch)
        {
            return Err(StoreError::Damaged {
                path: path.to_owned(),
                line: number,
                why: format!("record {} follows record {}", record.seq, last.seq),
            });
        }
        read.records.push(record);
        read.whole += line.len();
    }
    Ok(read)
}

/// One line without its end; its number, from 1, is only named in errors.
pub(super) fn read_line(path: &Path, number: usize, line: &[u8]) -> Result<Record, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let damaged = |why| StoreError::Damaged {
        path: path.to_owned(),
        line: number,
        why,
    };
    let json = checked(line).map_err(damaged)?;
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

/// The file of an epoch's segment.
pub(super) fn segment_path(run_dir: &Path, epoch: Epoch) -> PathBuf {
    run_dir.join(format!("journal.{epoch}.jsonl"))
}

/// The newest segment that is there or must be there; 0 if none was ever claimed.
pub(super) fn newest_segment(run_dir: &Path) -> Result<Epoch, StoreError> {
    // In this order: a segment is there before its owner's file is.
    let claimed = claimed_epoch(run_dir);
    Ok(claimed.max(highest_epoch(run_dir)?))
}

/// The highest epoch of which there is a segment; 0 if there is none.
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
