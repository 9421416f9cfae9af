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
use crate::base::{Epoch, Millis, Timestamp};
use crate::facts::samples::{Head, Line, Samples};

/// What the samples of a run take at most, all owners together: 200 MB.
pub const MOST_SAMPLE_BYTES: u64 = 200_000_000;

/// So much room is left on the disk: what keeps the run going comes first.
const ROOM: u64 = 64 << 20;

/// No line is longer; a file of nonsense must not fill the memory.
const LONGEST: u64 = 1 << 20;

/// Clocks differ by less than this: what is of a later moment has a clock that is wrong.
const AHEAD: Millis = Millis::from_secs(3600);

/// What is looked at while an owner begins may be of a moment before.
const EARLY: Millis = Millis::from_secs(60);

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
        let head = Line::Head(self.head.clone());
        let head = self.file.is_none().then_some(&head);
        let bytes = member(head.into_iter().chain(lines));
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

/// All samples of the run in this directory; none where it has none. What was torn off is named in them. `now` is the time of whoever
/// reads: a sample from after it was taken by a clock that was wrong.
///
/// # Errors
/// The directory cannot be listed, or a newer program wrote them.
pub fn read_samples(run_dir: &Path, now: Timestamp) -> Result<Samples, StoreError> {
    fill(run_dir, Samples::default(), now + AHEAD)
}

/// Bytes of samples in this directory: as long as they are as many, nothing came.
pub fn sample_bytes(run_dir: &Path) -> u64 {
    let segments = segments(run_dir).unwrap_or_default().into_iter();
    let sizes = segments.filter_map(|(_, path)| Some(fs::metadata(path).ok()?.len()));
    sizes.sum()
}

/// Fills samples with all lines of moments up to `latest`.
fn fill(run_dir: &Path, mut samples: Samples, latest: Timestamp) -> Result<Samples, StoreError> {
    let segments = segments(run_dir)?;
    let mut began: Vec<Timestamp> = Vec::new();
    for (_, path) in &segments {
        let head = match Lines::open(path).map(|mut lines| lines.next()) {
            Ok(Some(Ok((Some(Line::Head(head)), _)))) => Some(head),
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
        // One that has no head says nothing of its begin.
        let starts = Some(began[place]).filter(|began| *began < Timestamp(u64::MAX));
        // One whose clock was behind ends nobody's time either.
        let later = began[place + 1..].iter().copied();
        let later = later.filter(|began| starts.is_none_or(|own| *began >= own));
        let ends = later.min();
        let is_early = |at: Timestamp| starts.is_some_and(|began| at + EARLY < began);
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
                Ok((line, unknown)) => {
                    if !unknown.is_empty() {
                        samples.doubts.unknown(&unknown);
                    }
                    let Some(line) = line else { continue };
                    match at(&line) {
                        Some(at) if at > latest => samples.doubts.ahead(at),
                        // Another one had the run by then.
                        Some(at) if ends.is_some_and(|ends| at >= ends) => {}
                        Some(at) if is_early(at) => samples.doubts.early += 1,
                        _ => samples.take(line),
                    }
                }
                Err(why) => samples.torn.push(format!("{name}: {why}")),
            }
        }
    }
    Ok(samples)
}

fn at(line: &Line) -> Option<Timestamp> {
    match line {
        Line::Head(_) => None,
        Line::Server(line) => Some(line.at),
        Line::Node(line) => Some(line.at),
        Line::Eval(line) => Some(line.at),
    }
}

/// A line as far as it is known, and the names of what is not.
type Told = (Option<Line>, Vec<String>);

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

    fn read(&mut self) -> Result<Option<Told>, String> {
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
        Line::read(&self.line).map(Some)
    }
}

impl Iterator for Lines {
    type Item = Result<Told, String>;

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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::base::{Generation, RunId, UnitId};
    use crate::facts::samples::busy::Busy;
    use crate::facts::samples::{Encoder, EvalLine};

    const EVERY: u64 = 15_000;
    const LATER: Timestamp = Timestamp(u64::MAX / 2);

    fn head(epoch: u64, began: u64) -> Head {
        Head {
            v: Head::FORMAT,
            run: RunId::new("small-1-abcd"),
            epoch: Epoch(epoch),
            began: Timestamp(began),
            every: Millis(EVERY),
        }
    }

    fn progress(at: u64, done: usize) -> Line {
        Line::Eval(EvalLine {
            at: Timestamp(at),
            eval: "sums".into(),
            generation: Generation(1),
            runs: true,
            done,
            errors: 0,
            total: 100,
            open_calls: None,
            files: Some((7, 400)),
        })
    }

    fn done(samples: &Samples) -> Vec<usize> {
        let lines = samples.evals.values().next();
        lines.map_or_else(Vec::new, |lines| {
            lines.iter().map(|line| line.done).collect()
        })
    }

    #[test]
    fn each_piece_is_whole_and_a_torn_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = SampleFile::new(dir.path(), head(1, 0));
        let mut ends = Vec::new();
        for number in 1..=3 {
            file.append(&[progress(10 * number, usize::try_from(number).unwrap())])
                .unwrap();
            ends.push(file.length);
        }
        let path = path_of(dir.path(), Epoch(1));
        let zcat = Command::new("zcat").arg(&path).output().unwrap();
        let text = String::from_utf8(zcat.stdout).unwrap();
        insta::assert_snapshot!(text, @r#"
        {"head":{"v":1,"run":"small-1-abcd","epoch":1,"began":0,"every":15000}}
        {"eval":{"at":10,"eval":"sums","gen":1,"runs":true,"done":1,"errors":0,"total":100,"files":[7,400]}}
        {"eval":{"at":20,"eval":"sums","gen":1,"runs":true,"done":2,"errors":0,"total":100,"files":[7,400]}}
        {"eval":{"at":30,"eval":"sums","gen":1,"runs":true,"done":3,"errors":0,"total":100,"files":[7,400]}}
        "#);
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let samples = read_samples(dir.path(), LATER).unwrap();
            let least = ends.iter().filter(|end| **end <= cut as u64).count();
            let found = done(&samples);
            assert!(
                found.len() >= least && [1, 2, 3].starts_with(&found),
                "{cut}: {found:?}"
            );
            let is_torn = !ends.contains(&(cut as u64));
            assert_eq!(
                !samples.torn.is_empty(),
                is_torn,
                "{cut}: {:?}",
                samples.torn
            );
        }
        fs::write(&path, [&whole[..], &[0; 100]].concat()).unwrap();
        let samples = read_samples(dir.path(), LATER).unwrap();
        assert_eq!(done(&samples), [1, 2, 3]);
        assert_eq!(samples.torn.len(), 1);
        assert_eq!(samples.every, Millis(EVERY));
    }

    #[test]
    fn a_new_owner_goes_on_and_what_the_last_one_wrote_later_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = SampleFile::new(dir.path(), head(1, 0));
        first.append(&[progress(10, 1)]).unwrap();
        let mut second = SampleFile::new(dir.path(), head(2, 25));
        second.append(&[progress(30, 3)]).unwrap();
        first.append(&[progress(20, 2), progress(40, 9)]).unwrap();
        second.append(&[progress(50, 5)]).unwrap();
        // Torn, between two that are whole.
        fs::write(path_of(dir.path(), Epoch(3)), b"\x1f\x8b").unwrap();
        let mut fourth = SampleFile::new(dir.path(), head(4, 60));
        fourth.append(&[progress(70, 7)]).unwrap();
        assert_eq!(fourth.others, first.length + second.length + 2);
        let samples = read_samples(dir.path(), LATER).unwrap();
        assert_eq!(done(&samples), [1, 2, 3, 5, 7]);
        assert_eq!(samples.torn.len(), 1, "{:?}", samples.torn);
        assert!(samples.torn[0].starts_with("samples.3.jsonl.gz: it is cut off: "));
        assert!(
            read_samples(&dir.path().join("none"), LATER)
                .unwrap()
                .evals
                .is_empty()
        );
    }

    #[test]
    fn what_a_clock_cannot_have_said_is_left_out_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let began = 10_000_000;
        let mut file = SampleFile::new(dir.path(), head(1, began));
        let moments = [
            began,
            began - 30_000,
            began - 90_000,
            began + 10,
            5,
            4_000_000_000_000,
        ];
        let lines: Vec<Line> = moments.iter().map(|at| progress(*at, 7)).collect();
        file.append(&lines).unwrap();
        let latest = Timestamp(began + 100);
        let samples = fill(dir.path(), Samples::default(), latest).unwrap();
        // The second was looked at while the owner began.
        assert_eq!(samples.evals["sums"].len(), 2);
        assert_eq!(
            samples.span(),
            Some((Timestamp(began - 30_000), Timestamp(began + 10)))
        );
        insta::assert_snapshot!(samples.doubted().join("\n"), @"
        1 line of a moment that had not come when this was made, up to 2096-10-02T07:06:40.000Z: left out; the clock of the run's host, or this one's, was wrong
        2 lines of moments before its owner began: left out; the clock of the run's host was set back
        the clock of the run's host was set back 1 time, by 30.0s at most: what was sampled in that time is one piece
        ");
        let read = read_samples(dir.path(), Timestamp(began + 60_000)).unwrap();
        assert_eq!((read.doubts.ahead, read.doubts.early), (1, 2));
    }

    #[test]
    fn a_line_of_a_later_release_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = SampleFile::new(dir.path(), head(1, 0));
        file.append(&[progress(10, 1)]).unwrap();
        let mut more = GzEncoder::new(Vec::new(), Compression::default());
        more.write_all(b"{\"weather\":{\"at\":20}}\n").unwrap();
        file.write(&more.finish().unwrap()).unwrap();
        file.append(&[progress(30, 3)]).unwrap();
        let samples = read_samples(dir.path(), LATER).unwrap();
        assert_eq!(done(&samples), [1, 3]);
        assert_eq!(samples.torn, [""; 0]);
        insta::assert_snapshot!(samples.doubted().join("\n"), @"1 line has something of a later toolorch, which this one does not know: `weather`");
    }

    #[test]
    fn a_newer_form_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let newer = Head { v: 2, ..head(1, 0) };
        SampleFile::new(dir.path(), newer).append(&[]).unwrap();
        let error = read_samples(dir.path(), LATER).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn the_fuller_the_seldomer_and_never_more_than_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let most = 6_000;
        let mut file = SampleFile::at_most(dir.path(), head(1, 0), most);
        let (mut busy, mut encoder) = (Busy::new(1), Encoder::default());
        let mut seen = Vec::new();
        let full = loop {
            seen.push(file.one_of());
            busy.work();
            let unit = UnitId::new("a-0");
            let at = Timestamp(EVERY * seen.len() as u64);
            let line = encoder.line(at, &unit, Generation(1), &busy.sample);
            if let Err(error) = file.append(&[Line::Server(line)]) {
                break error;
            }
            // Of one process only the first line has all.
            assert!(file.length <= most);
        };
        seen.dedup();
        assert_eq!(seen[..3], [1, 2, 4]);
        insta::assert_snapshot!(NotKept::Full(199_999_999), @"samples take 199 MB, as much as they may: no more are kept");
        assert!(matches!(full, NotKept::Full(used) if used == file.length));
        assert_eq!(fs::metadata(&file.path).unwrap().len(), file.length);
        let next = SampleFile::at_most(dir.path(), head(2, 0), most);
        assert!(next.one_of() >= 4, "another owner has no room of its own");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_and_later_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = SampleFile::new(dir.path(), head(1, 0));
        let gone = dir.path().join("gone");
        fs::create_dir(&gone).unwrap();
        let mut nowhere = SampleFile::new(&gone, head(1, 0));
        fs::remove_dir(&gone).unwrap();
        let error = nowhere.append(&[progress(1, 1)]).unwrap_err().to_string();
        let words = error.replace(dir.path().to_str().unwrap(), "DIR");
        insta::assert_snapshot!(words, @"samples cannot be kept: cannot write `DIR/gone/samples.1.jsonl.gz`: No such file or directory (os error 2)");
        insta::assert_snapshot!(NotKept::NoRoom("/runs/1".into()), @"no samples are kept while less than 64 MiB are free for `/runs/1`");
        fs::create_dir(&gone).unwrap();
        nowhere.append(&[progress(2, 2)]).unwrap();
        assert_eq!(done(&read_samples(&gone, LATER).unwrap()), [2]);
        std::os::unix::fs::symlink("/dev/full", path_of(dir.path(), Epoch(1))).unwrap();
        assert!(
            file.append(&[progress(1, 1)]).is_err(),
            "no link is followed"
        );
    }

    /// A day of 100 servers, each with 16 requests under way. What is measured here is a quarter of an hour of ten.
    #[test]
    fn a_day_of_a_hundred_servers_has_room() {
        let (servers, turns) = (10_usize, 60_u64);
        let dir = tempfile::tempdir().unwrap();
        let mut file = SampleFile::new(dir.path(), head(1, 0));
        let mut encoder = Encoder::default();
        let mut busy: Vec<Busy> = (0..servers as u64).map(Busy::new).collect();
        let mut first = 0;
        for turn in 1..=turns {
            let lines = busy.iter_mut().enumerate().map(|(number, busy)| {
                busy.work();
                let unit = UnitId::new(format!("orchestrator-{number}"));
                let at = Timestamp(EVERY * turn + 617 * number as u64);
                Line::Server(encoder.line(at, &unit, Generation(1), &busy.sample))
            });
            let lines: Vec<Line> = lines.collect();
            file.append(&lines).unwrap();
            first = if turn == 1 { file.length } else { first };
        }
        let per_line = (file.length - first) / ((turns - 1) * servers as u64);
        let day = per_line * 100 * 24 * 240 + first * 10 * 24;
        assert!(
            day < MOST_SAMPLE_BYTES / 2,
            "{} MB: it would be thinned out",
            day / 1_000_000
        );
        let samples = read_samples(dir.path(), LATER).unwrap();
        let points = samples
            .servers
            .values()
            .map(|series| series.points().count());
        assert_eq!(points.sum::<usize>(), servers * 60);
    }
}
