//! Samples on the disk: `samples.EPOCH.jsonl.gz` in the run's directory, a file for each owner, as with the journal. So
//! nobody writes behind what another one left torn, or between the lines of one that does not know yet that it lost the run.
//!
//! What is written at once is a gzip member of its own: `zcat` reads the file, and of one that was cut off the members before
//! the cut. Nothing is synced: a report lacks what a crash of the machine takes, and the run nothing.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::StoreError;
use super::regular::{open_own, open_regular};
use super::reserve::free_bytes;
use crate::base::{Epoch, Timestamp};
use crate::facts::samples::{Head, Line, Samples};

/// What the samples of a run take at most, all owners together: 200 MB.
pub const MOST_SAMPLE_BYTES: u64 = 200_000_000;

/// So much room is left on the disk: what keeps the run going comes first.
const ROOM: u64 = 64 << 20;

/// No line is longer; a file of nonsense must not fill the memory.
const LONGEST: u64 = 1 << 20;

/// Why samples were not kept. The run goes on.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// They have what they may take.
    #[error("samples take {} MB, as much as they may: no more are kept", .0 / 1_000_000)]
    Full(u64),
    /// The disk is nearly full.
    #[error("no samples are kept while less than 64 MiB are free for `{0}`")]
    NoRoom(PathBuf),
    /// They cannot be written.
    #[error("samples cannot be kept: {0}")]
    Failed(#[from] StoreError),
}

/// The samples of one owner, to which lines are added.
#[derive(Debug)]
pub struct SampleFile {
    path: PathBuf,
    head: Head,
    /// None before the first line.
    file: Option<File>,
    /// What it has, in bytes.
    length: u64,
    /// What the owners before wrote.
    others: u64,
    /// What all of them may take.
    most: u64,
}

impl SampleFile {
    /// The samples of this owner. Nothing is written yet.
    pub fn new(run_dir: &Path, head: Head) -> Self {
        Self::at_most(run_dir, head, MOST_SAMPLE_BYTES)
    }

    fn at_most(run_dir: &Path, head: Head, most: u64) -> Self {
        let path = path_of(run_dir, head.epoch);
        let others = segments(run_dir).unwrap_or_default().into_iter();
        let others = others.filter(|(epoch, _)| *epoch != head.epoch);
        let sizes = others.filter_map(|(_, path)| Some(fs::metadata(path).ok()?.len()));
        Self {
            others: sizes.sum(),
            file: None,
            length: 0,
            path,
            head,
            most,
        }
    }

    /// Of how many samples one is written: the more room they have taken, the fewer, so that there is room for the end of a
    /// run of any length. All while half of it is free, then every second while a quarter is, and so on.
    pub fn one_of(&self) -> u32 {
        let left = self.most.saturating_sub(self.others + self.length).max(1);
        let halvings = (self.most / left).max(1).ilog2();
        1 << halvings.min(8)
    }

    /// Adds lines, all or none.
    ///
    /// # Errors
    /// [`NotKept`]; later ones may be kept again.
    pub fn append(&mut self, lines: &[Line]) -> Result<(), NotKept> {
        let bytes = match &self.file {
            Some(_) => member(lines.iter()),
            None => {
                let head = Line::Head(self.head.clone());
                member(std::iter::once(&head).chain(lines))
            }
        };
        let bytes = bytes.map_err(StoreError::io("write", &self.path))?;
        let used = self.others + self.length;
        if used + bytes.len() as u64 > self.most {
            return Err(NotKept::Full(used));
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if free_bytes(dir).is_some_and(|free| free < ROOM) {
            return Err(NotKept::NoRoom(dir.to_owned()));
        }
        self.write(&bytes)
            .map_err(StoreError::io("write", &self.path))?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            let mut options = File::options();
            let file = open_own(&self.path, options.create(true).append(true).mode(0o600))?;
            self.length = file.metadata()?.len();
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if let Err(error) = file.write_all(bytes) {
            // A part of a member would hide all that comes after it. Where not even that can be undone, this is the last.
            if file.set_len(self.length).is_err() {
                self.most = 0;
            }
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Lines as a gzip member.
fn member<'a>(lines: impl Iterator<Item = &'a Line>) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    for line in lines {
        serde_json::to_writer(&mut packed, line)?;
        packed.write_all(b"\n")?;
    }
    packed.finish()
}

/// All samples of the run in this directory; none where it has none. What was torn off is named in them.
///
/// # Errors
/// The directory cannot be listed, or a newer program wrote them.
pub fn read_samples(run_dir: &Path) -> Result<Samples, StoreError> {
    fill(run_dir, Samples::default())
}

fn fill(run_dir: &Path, mut samples: Samples) -> Result<Samples, StoreError> {
    let segments = segments(run_dir)?;
    let mut began: Vec<Timestamp> = Vec::new();
    for (_, path) in &segments {
        let head = match Lines::open(path).map(|mut lines| lines.next()) {
            Ok(Some(Ok(Line::Head(head)))) => Some(head),
            _ => None,
        };
        if let Some(newer) = head.as_ref().filter(|head| head.v > Head::FORMAT) {
            return Err(StoreError::Newer {
                path: path.clone(),
                found: newer.v,
                known: Head::FORMAT,
            });
        }
        // One whose head was torn off ends nobody's time.
        began.push(head.map_or(Timestamp(u64::MAX), |head| head.began));
    }
    for (place, (_, path)) in segments.iter().enumerate() {
        let ends = began[place + 1..].iter().min().copied();
        let name = path.file_name().unwrap_or_default().display();
        let lines = match Lines::open(path) {
            Ok(lines) => lines,
            Err(error) => {
                samples.torn.push(format!("{name}: {error}"));
                continue;
            }
        };
        for line in lines {
            match line {
                // Another one had the run by then.
                Ok(line) if ends.is_some_and(|ends| at(&line) >= ends) => {}
                Ok(line) => samples.take(line),
                Err(why) => samples.torn.push(format!("{name}: {why}")),
            }
        }
    }
    Ok(samples)
}

fn at(line: &Line) -> Timestamp {
    match line {
        Line::Head(_) => Timestamp(0),
        Line::Server(line) => line.at,
        Line::Node(line) => line.at,
        Line::Eval(line) => line.at,
    }
}

/// The lines of a file, up to its end or to where it cannot be read.
struct Lines {
    text: Option<BufReader<MultiGzDecoder<BufReader<File>>>>,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(1 << 16, open_regular(path)?);
        Ok(Self {
            text: Some(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))),
            line: Vec::new(),
        })
    }

    fn read(&mut self) -> Result<Option<Line>, String> {
        let Some(text) = &mut self.text else {
            return Ok(None);
        };
        self.line.clear();
        let read = text.take(LONGEST).read_until(b'\n', &mut self.line);
        match read {
            Ok(0) => return Ok(None),
            Ok(_) if self.line.ends_with(b"\n") => {}
            Ok(_) => return Err("its last line has no end".to_owned()),
            Err(error) => return Err(format!("it is cut off: {error}")),
        }
        serde_json::from_slice(&self.line)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

impl Iterator for Lines {
    type Item = Result<Line, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if !matches!(read, Ok(Some(_))) {
            self.text = None;
        }
        read.transpose()
    }
}

fn path_of(run_dir: &Path, epoch: Epoch) -> PathBuf {
    run_dir.join(format!("samples.{epoch}.jsonl.gz"))
}

/// The files of all owners, in their order.
fn segments(run_dir: &Path) -> Result<Vec<(Epoch, PathBuf)>, StoreError> {
    let entries = match fs::read_dir(run_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("list", run_dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", run_dir))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("samples.")?.strip_suffix(".jsonl.gz"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((Epoch(number), entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}
